"""An opencode conversation as a text that a person can follow, message by message.

2026-11-22 19:10:54 you: go on
2026-11-22 19:10:55 tool bash: make test
2026-11-22 19:11:31   gave: 2 tests failed
2026-11-22 19:11:33 agent: Two tests fail; I look into the first.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from cc_ci_orch.agents.base import plain
from cc_ci_orch.agents.opencode_account import Record, failure, mapping, records, submitted

RESULT_LINES = 3
"""Lines shown of what a tool gave back."""

LINE = 400
"""Longest line, in characters, that is shown of a tool."""


def told(message: Record) -> list[tuple[str, list[str]]]:
    """What is finished of a message: for each part its id and its lines, in their order."""
    info = mapping(message.get("info"))
    user = info.get("role") == "user"
    if user and not submitted(message):
        return []
    done = user or "completed" in mapping(info.get("time"))
    began = mapping(info.get("time")).get("created")
    found = []
    for part in records(message.get("parts")):
        said = list(_said(part, user, done))
        if said:
            lines = [
                line for speaker, text in said for line in _lines(_when(part, began), speaker, text)
            ]
            found.append((str(part.get("id")), lines))
    failed = failure(info.get("error"))
    if failed is not None:
        ended = mapping(info.get("time")).get("completed") or began
        words = "interrupted" if failed.name == "MessageAbortedError" else f"error: {failed.text}"
        found.append((f"{info.get('id')} error", _lines(_stamp(ended), "", words)))
    return found


def _said(part: Record, user: bool, done: bool) -> Iterator[tuple[str, str]]:
    kind = part.get("type")
    if kind == "text" and not part.get("synthetic"):
        text = str(part.get("text", ""))
        ended = done or "end" in mapping(part.get("time"))
        if ended and text.strip():
            yield ("you: " if user else "agent: "), text
    elif kind == "tool":
        state = mapping(part.get("state"))
        status = state.get("status")
        if status not in ("completed", "error") and not done:
            return
        yield f"tool {part.get('tool')}: ", _input(mapping(state.get("input")))
        if status == "completed":
            yield "  gave: ", _result(str(state.get("output") or ""))
        elif status == "error":
            yield "  failed: ", _result(str(state.get("error") or ""))


def _when(part: Record, began: object) -> str:
    start = mapping(part.get("time")).get("start")
    start = start or mapping(mapping(part.get("state")).get("time")).get("start")
    return _stamp(start or began)


def _stamp(milliseconds: object) -> str:
    if not isinstance(milliseconds, (int, float)):
        return " " * 19
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(milliseconds / 1000))


def _lines(when: str, speaker: str, text: str) -> list[str]:
    first, *rest = plain(text).strip().split("\n")
    indent = " " * (20 + len(speaker))
    return [f"{when} {speaker}{first}", *(f"{indent}{more}" for more in rest)]


def _input(value: Record) -> str:
    """What a tool was asked: its command or file, else all of it on one line."""
    for name in ("command", "filePath", "pattern", "url", "query", "prompt", "description"):
        if isinstance(value.get(name), str):
            return _short(str(value[name]))
    return _short(str(dict(value)))


def _result(content: str) -> str:
    lines = [line for line in content.splitlines() if line.strip()] or ["nothing"]
    more = [f"… {len(lines) - RESULT_LINES} more lines"] if len(lines) > RESULT_LINES else []
    return "\n".join([*map(_short, lines[:RESULT_LINES]), *more])


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LINE else f"{text[:LINE]}…"
