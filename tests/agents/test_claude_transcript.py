"""The client's record: prompts, work, open tools, errors and limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cc_ci_orch.agents import claude_talk
from cc_ci_orch.agents.claude_account import Hooks, Status, account, follow_hook
from cc_ci_orch.agents.claude_transcript import ApiError, Failure, Trail, follow, limit_end
from cc_ci_orch.core.model import Doing

CAPTURES = Path(__file__).with_name("captures")


def trail(*records: Any, start: Trail = Trail()) -> Trail:  # noqa: B008
    end = start.worked
    for record in records:
        line = record if isinstance(record, bytes) else json.dumps(record).encode()
        end += len(line) + 1
        start = follow(start, line, end)
    return start


def user(content: Any, **more: Any) -> dict[str, Any]:
    message = {"role": "user", "content": content}
    return {"type": "user", "message": message, "promptSource": "typed", **more}


def assistant(*parts: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "assistant", "message": {"role": "assistant", "content": list(parts)}, **more}


def says(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


CALL = {"type": "tool_use", "id": "t1", "name": "Bash", "input": {"command": "make"}}
RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "done"}


def error(text: str, **more: Any) -> dict[str, Any]:
    at = "2026-11-22T19:12:36.299Z"
    return assistant(says(text), isApiErrorMessage=True, timestamp=at, **more)


def test_a_captured_record_is_read() -> None:
    """One prompt, one tool that came back, one answer."""
    lines = (CAPTURES / "transcript-claude-tool.jsonl").read_bytes().splitlines()
    found = trail(*lines)
    assert (found.prompts, found.open_tools, found.error) == (1, frozenset(), None)
    assert found.worked > 0


def test_notes_on_requests_are_no_work() -> None:
    """They come with every retry, and in a hang with every timeout."""
    lines = (CAPTURES / "transcript-claude-529.jsonl").read_bytes().splitlines()
    assert trail(*lines) == Trail(prompts=1)


def test_a_tool_call_is_open_until_its_result() -> None:
    begun = trail(user("go"), assistant(CALL))
    assert begun.open_tools == {"t1"}
    done = trail(user([RESULT]), start=begun)
    assert done.open_tools == frozenset()
    assert done.worked > begun.worked


def test_our_own_prompts_and_interrupts_are_no_work() -> None:
    """Else a nudge into a hang would count as its end."""
    begun = trail(user("go"), assistant(says("yes")))
    more = trail(
        {"type": "queue-operation", "operation": "enqueue", "content": "x"},
        {"type": "queue-operation", "operation": "dequeue"},
        user([says("[Request interrupted by user]")]),
        user("x", promptSource="queued"),
        start=begun,
    )
    assert more.worked == begun.worked
    assert more.prompts == begun.prompts + 1, "queued is taken, and counts once"


def test_rubbish_changes_nothing() -> None:
    some = trail(user("go"))
    for line in (b"", b"{", b'{"type":"user"', b"[1]", b'"user"', b'{"type":"user","message":3}'):
        after = follow(some, line, 99)
        assert (after.worked, after.open_tools) == (some.worked, some.open_tools)


@pytest.mark.parametrize(
    ("record", "failure"),
    [
        (error("Not logged in", error="authentication_failed"), Failure.LOGIN),
        (error("Invalid API key", apiErrorStatus=401), Failure.LOGIN),
        (error("Credit balance is too low", error="billing_error"), Failure.CREDIT),
        (error("Prompt is too long · …", error="invalid_request"), Failure.TOO_LONG),
        (error("API Error: 529 Overloaded", error="server_error"), Failure.OTHER),
        (error("API Error: (429)", error="rate_limit", apiErrorStatus=429), Failure.LIMIT),
    ],
)
def test_errors_by_what_there_is_to_do(record: Any, failure: Failure) -> None:
    found = trail(user("go"), record).error
    assert found is not None
    assert found.failure is failure
    assert trail(user("go"), record, user("again")).error is None


def test_what_is_said_to_the_client_itself_is_no_prompt() -> None:
    """The menu at a weekly limit leaves such records; the limit stays."""
    limited = trail(user("go"), error("x", apiErrorStatus=429))
    menu = user("<command-name>/rate-limit-options</command-name>")
    said = user("<local-command-stdout>Claude Code will continue</local-command-stdout>")
    assert trail(menu, said, start=limited) == limited


def test_a_limit_ends_when_the_record_says() -> None:
    info = {"status": "rejected", "resetsAt": 1795381956, "rateLimitType": "five_hour"}
    text = "You've hit your 5-hour limit · resets 9:12pm (UTC)"
    exact = error(text, apiError="usage_limit_reached", apiErrorParams={"rate_limit_info": info})
    found = trail(exact).error
    assert found == ApiError(Failure.LIMIT, text, found.at if found else 0, 1795381956.0)
    worded = trail(error(text, apiError="usage_limit_reached")).error
    assert worded is not None
    assert worded.until == datetime(2026, 11, 22, 21, 12, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "now", "then"),
    [
        ("resets 6:51pm (UTC)", "2026-11-22T15:00Z", "2026-11-22T18:51Z"),
        ("resets 1am (UTC)", "2026-11-22T23:30Z", "2026-11-23T01:00Z"),
        ("resets 12am (UTC)", "2026-12-31T20:00Z", "2027-01-01T00:00Z"),
        ("resets 12:30pm (UTC)", "2026-11-22T12:00Z", "2026-11-22T12:30Z"),
        ("resets Nov 27, 10:37am (UTC)", "2026-11-22T19:00Z", "2026-11-27T10:37Z"),
        ("resets Jan 2 at 9am (UTC)", "2026-12-30T19:00Z", "2027-01-02T09:00Z"),
        ("resets 6pm (Europe/Berlin)", "2026-11-22T15:00Z", "2026-11-22T17:00Z"),
        ("resets 6pm (Nowhere/Atall)", "2026-11-22T15:00Z", "2026-11-22T18:00Z"),
    ],
)
def test_the_words_of_a_limit_are_understood(text: str, now: str, then: str) -> None:
    """Zone, date and rollover; the first such time after the message."""
    at, expected = (datetime.fromisoformat(value).timestamp() for value in (now, then))
    assert limit_end(text, at) == expected


@pytest.mark.parametrize("text", ["", "resets soon", "resets 6", "resets Feb 31, 6pm (UTC)"])
def test_words_without_a_time_have_none(text: str) -> None:
    assert limit_end(text, 1795381956.0) is None


# -------------------------------------------------------------------------------- account


def doing(state: str, found: Trail = Trail(), hooks: Hooks = Hooks()) -> Doing | None:  # noqa: B008
    status = Status(1, 1, "c", state) if state else None
    told = account(status, hooks, found)
    return told.doing if told else None


def test_an_error_counts_only_at_the_prompt() -> None:
    """Busy, it is at work on the next one."""
    limited = trail(error("API Error", apiErrorStatus=429))
    assert doing("idle", limited) is Doing.LIMITED
    assert doing("busy", limited) is Doing.BUSY
    assert doing("idle", trail(error("API Error: 500"))) is Doing.IDLE
    assert doing("idle", trail(error("x", error="billing_error"))) is Doing.BLOCKED
    assert doing("waiting") is Doing.BLOCKED
    assert doing("something new") is None


def test_hooks_stand_in_for_a_missing_status_file() -> None:
    hooks = Hooks()
    seen = []
    for end, name in enumerate(("SessionStart", "UserPromptSubmit", "PreToolUse", "Stop", "?")):
        hooks = follow_hook(hooks, name.encode(), end)
        seen.append(doing("", hooks=hooks))
    assert seen == [Doing.IDLE, Doing.BUSY, Doing.BUSY, Doing.IDLE, Doing.IDLE]
    assert (hooks.prompts, hooks.worked) == (1, 2)


# ----------------------------------------------------------------------------------- talk


def test_a_conversation_reads_like_one() -> None:
    """Who said what, tools with their outcome, errors."""
    at = "2026-11-22T19:10:54.686Z"
    records = [
        user("go\non", timestamp=at),
        assistant(says("I do."), CALL, timestamp=at),
        user([{**RESULT, "content": "a\nb\nc\nd\ne", "is_error": True}], timestamp=at),
        {"type": "api-request", "timestamp": at},
        error("API Error: 529"),
    ]
    told = [line for r in records for line in claude_talk.told(json.dumps(r).encode())]
    assert told == [
        "2026-11-22 19:10:54 you: go",
        "                         on",
        "2026-11-22 19:10:54 agent: I do.",
        "2026-11-22 19:10:54 tool Bash: make",
        "2026-11-22 19:10:54   failed: a",
        "                              b",
        "                              c",
        "                              … 2 more lines",
        "2026-11-22 19:12:36 error: API Error: 529",
    ]
