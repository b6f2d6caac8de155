"""An opencode conversation as people read it."""

from __future__ import annotations

from typing import Any

from cc_ci_orch.agents.opencode_talk import told

T = 1795381755150


def lines(message: Any) -> list[str]:
    return [line for _, part in told(message) for line in part]


def test_who_said_what_and_what_came_of_it() -> None:
    """Prompts, answers, tools with their outcome, errors; each part once it is finished."""
    asked = {
        "info": {"id": "m1", "role": "user", "time": {"created": T}},
        "parts": [{"id": "p1", "type": "text", "text": "go on\nand on"}],
    }
    assert lines(asked) == [
        "2026-11-22 21:09:15 you: go on",
        "                         and on",
    ]
    state = {"status": "completed", "input": {"command": "make"}, "output": "1\n2\n3\n4\n5"}
    tool = {"id": "p2", "type": "tool", "tool": "bash", "state": state}
    words = {"id": "p3", "type": "text", "text": "it works", "time": {"start": T + 2000}}
    answer: Any = {
        "info": {"id": "m2", "role": "assistant", "time": {"created": T}},
        "parts": [{"id": "p0", "type": "step-start"}, tool, words],
    }
    assert [id for id, _ in told(answer)] == ["p2"], "what it is still saying is not shown"
    words["time"] = {"start": T + 2000, "end": T + 3000}
    error = {"name": "APIError", "data": {"message": "no credit"}}
    answer["info"] |= {"error": error, "time": {"created": T, "completed": T + 5000}}
    assert lines(answer) == [
        "2026-11-22 21:09:15 tool bash: make",
        "2026-11-22 21:09:15   gave: 1",
        "                            2",
        "                            3",
        "                            … 2 more lines",
        "2026-11-22 21:09:17 agent: it works",
        "2026-11-22 21:09:20 error: no credit",
    ]


def test_failed_tools_interrupts_and_what_is_not_for_people() -> None:
    state = {"status": "error", "input": {"x": 1}, "error": "Tool execution aborted"}
    message = {
        "info": {
            "id": "m1",
            "role": "assistant",
            "time": {"created": T, "completed": T},
            "error": {"name": "MessageAbortedError", "data": {"message": "Aborted"}},
        },
        "parts": [{"id": "p1", "type": "tool", "tool": "odd", "state": state}],
    }
    assert [line[20:] for line in lines(message)] == [
        "tool odd: {'x': 1}",
        "  failed: Tool execution aborted",
        "interrupted",
    ]
    own = {"info": {"role": "user"}, "parts": [{"type": "compaction"}]}
    assert told(own) == [] == told({})


def test_nothing_in_it_reaches_the_terminal_as_a_command() -> None:
    part = {"id": "p1", "type": "text", "text": "a\x1b]0;title\x07b"}
    (line,) = lines({"info": {"role": "user", "time": {"created": T}}, "parts": [part]})
    assert line.endswith("you: a]0;titleb")
