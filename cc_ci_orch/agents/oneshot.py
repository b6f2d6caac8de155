"""An agent that is run once, to its end: its command line, and what its output says of itself.

An exit status of 0 can hide an error: so Claude Code and opencode are asked for their output
as JSON lines, which say what became of it, and which are made readable here. A program of the
`command` backend has nothing but its status, and keeps the terminal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cc_ci_orch.agents import claude_talk
from cc_ci_orch.agents.base import Backend, Job, plain

WORDS = 600
"""Characters of an agent's last words that are kept."""

KEPT = ("is_error", "api_error_status", "terminal_reason", "subtype", "num_turns", "stop_reason")
"""What of Claude Code's result is kept as evidence."""


@dataclass(frozen=True)
class Verdict:
    """What the agent's own output says of its end."""

    error: str = ""
    """What went wrong; "" where nothing is said to have."""
    said: str = ""
    evidence: Mapping[str, Any] | None = None


def speaks_json(backend: Backend) -> bool:
    """Whether its output is lines of JSON, and not for a terminal."""
    return backend.name in ("claude", "opencode")


def argv(backend: Backend, job: Job) -> tuple[str, ...]:
    """The command line of the one run."""
    model = ("--model", job.model) if job.model else ()
    text = backend.typeable(job.prompt)
    match backend.name:
        case "claude":
            return (
                *(backend.program(), "-p", "--session-id", job.conversation),
                *("--output-format", "stream-json", "--verbose"),
                *("--dangerously-skip-permissions", *model, text),
            )
        case "opencode":
            how = ("--format", "json", "--auto", "--title", job.session)
            return (backend.program(), "run", *how, *model, text)
        case _:
            return backend.argv(job)


class Reader:
    """Reads the output line by line; `told` are lines for a person, `verdict` what it came to."""

    def __init__(self) -> None:
        self._whole: list[bytes] = []
        self._verdict = Verdict()
        self._words = ""

    def told(self, line: bytes) -> list[str]:
        """What a line of the output says."""
        record = _read(line)
        if record is None:
            self._whole.append(line[:65536])
            text = plain(line.decode("utf-8", "replace")).rstrip()
            return [text] if text.strip() else []
        return self._take(record)

    def verdict(self) -> Verdict:
        """What all of it came to."""
        if self._verdict == Verdict() and not self._words and self._whole:
            whole = _parse(b"\n".join(self._whole))  # one object, written over several lines
            for record in whole if isinstance(whole, list) else [whole]:
                if isinstance(record, dict):
                    self._take(record)
        if self._verdict.error or self._verdict.said:
            return self._verdict
        return Verdict(said=self._words[-WORDS:], evidence=self._verdict.evidence)

    def _take(self, record: Mapping[str, Any]) -> list[str]:
        if record.get("type") == "result" or "is_error" in record:
            return self._take_result(record)
        part = record.get("part")
        if record.get("type") == "error":
            return self._take_error(record)
        if isinstance(part, dict):
            return self._take_part(part)
        if record.get("type") in ("user", "assistant"):
            stamped = {"timestamp": datetime.now(UTC).isoformat(), **record}
            return claude_talk.told(json.dumps(stamped).encode())
        return []

    def _take_result(self, record: Mapping[str, Any]) -> list[str]:
        """Claude Code's own result; `subtype` stays "success" on errors (2.1.330)."""
        said = str(record.get("result") or "")[:WORDS]
        failed = bool(record.get("is_error")) or bool(record.get("api_error_status"))
        reason = str(record.get("api_error_status") or record.get("terminal_reason") or "error")
        evidence = {key: record[key] for key in KEPT if record.get(key) is not None}
        error = f"{reason}: {said}" if failed and said else reason if failed else ""
        self._verdict = Verdict(error, said, evidence)
        return [f"result: {'failed: ' if failed else ''}{' '.join(plain(said).split())}"]

    def _take_error(self, record: Mapping[str, Any]) -> list[str]:
        found = record.get("error")
        data = found.get("data") if isinstance(found, dict) else None
        text = data.get("message") if isinstance(data, dict) else None
        named = found.get("name") if isinstance(found, dict) else found
        error = " ".join(str(text or named or "an error without a name").split())[:WORDS]
        self._verdict = Verdict(error, self._verdict.said, {"name": named})
        return [f"error: {error}"]

    def _take_part(self, part: Mapping[str, Any]) -> list[str]:
        """A part of opencode's conversation."""
        if part.get("type") == "text":
            self._words = str(part.get("text") or "").strip() or self._words
            return [f"agent: {line}" for line in plain(self._words).splitlines()]
        if part.get("type") == "tool":
            state = part.get("state")
            what = state.get("title") or state.get("input") if isinstance(state, dict) else ""
            status = state.get("status") if isinstance(state, dict) else ""
            return [f"tool {part.get('tool')} ({status}): {' '.join(str(what).split())[:200]}"]
        return []


def _read(line: bytes) -> Mapping[str, Any] | None:
    value = _parse(line)
    return value if isinstance(value, dict) and ("type" in value or "is_error" in value) else None


def _parse(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
