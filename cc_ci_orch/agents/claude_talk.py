"""Claude Code's record of a conversation as a text that a person can follow.

2026-11-22 19:10:54 you: go on
2026-11-22 19:10:55 tool Bash: make test
2026-11-22 19:11:31   failed: 2 tests failed
2026-11-22 19:11:33 agent: Two tests fail; I look into the first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cc_ci_orch.agents.base import plain
from cc_ci_orch.agents.claude_transcript import INTERRUPTED, blocks, parse, text_of

RESULT_LINES = 3
"""Lines shown of what a tool gave back."""

LINE = 400
"""Longest line, in characters, that is shown of a tool."""

_SHOWN = re.compile(rb'"type": ?"(?:user|assistant|queue-operation)"')


def told(line: bytes) -> list[str]:
    """The lines for one record; [] for one that is no part of the conversation."""
    if not _SHOWN.search(line):
        return []
    record = parse(line)
    if record is None or record.get("isMeta"):
        return []
    when = str(record.get("timestamp", ""))[:19].replace("T", " ")
    lines: list[str] = []
    for speaker, text in _said(record):
        first, *rest = plain(text).strip().split("\n") or [""]
        lines.append(f"{when} {speaker}{first}")
        lines += [f"{'':19} {' ' * len(speaker)}{more}" for more in rest]
    return lines


def _said(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Who said what, part by part."""
    kind, parts = record.get("type"), blocks(record)
    if kind == "queue-operation" and record.get("operation") == "enqueue":
        yield "queued: ", str(record.get("content", ""))
    elif kind == "assistant" and record.get("isApiErrorMessage"):
        yield "error: ", text_of(parts)
    elif kind == "assistant":
        for part in parts:
            if part.get("type") == "text":
                yield "agent: ", str(part.get("text", ""))
            elif part.get("type") == "tool_use":
                yield f"tool {part.get('name')}: ", _input(part.get("input"))
    elif kind == "user":
        for part in parts:
            if part.get("type") == "tool_result":
                word = "failed: " if part.get("is_error") else "gave: "
                yield f"  {word}", _result(part.get("content"))
            elif str(part.get("text", "")).startswith(INTERRUPTED):
                yield "", "interrupted"
            elif part.get("type") == "text":
                yield "you: ", str(part.get("text", ""))


def _input(value: object) -> str:
    """What a tool was asked: its command or file, else all of it on one line."""
    if isinstance(value, dict):
        for name in ("command", "file_path", "pattern", "url", "query", "prompt", "description"):
            if isinstance(value.get(name), str):
                return _short(value[name])
    return _short(str(value))


def _result(content: object) -> str:
    if isinstance(content, list):
        content = text_of([part for part in content if isinstance(part, dict)])
    lines = [line for line in str(content or "").splitlines() if line.strip()] or ["nothing"]
    more = [f"… {len(lines) - RESULT_LINES} more lines"] if len(lines) > RESULT_LINES else []
    return "\n".join([*map(_short, lines[:RESULT_LINES]), *more])


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LINE else f"{text[:LINE]}…"
