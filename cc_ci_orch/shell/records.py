"""What the supervisor writes down: its memory, the events, and the watchdog's readable log.

A disk that is full or can't be written to stops none of it: the memory lives on in the
process, events wait until they can be written, and `trouble` says so.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from cc_ci_orch.core.codec import decode, encode
from cc_ci_orch.core.events import Event
from cc_ci_orch.core.model import Memory, RoleMemory, Trouble
from cc_ci_orch.shell.ports import Clock, Files

MEMORY = "memory.json"
EVENTS = "events.jsonl"
SCHEMA = 1

SAVE_EVIDENCE_EVERY = 30.0
"""Seconds between saves when nothing but evidence changed. What is lost of it by a crash only
makes the next supervisor more patient."""

BUFFERED = 10_000
"""Events kept in memory while they can't be written; of more the oldest are lost."""

RECOVERED = 64 * 1024
"""Bytes at the end of the event log in which the last numbered event is looked for."""

_EVIDENCE = frozenset(
    [
        "log",
        "log_at",
        "echo",
        "echo_until",
        "marks",
        "cpu",
        "progress_at",
        "quiet_from",
        "rest_at",
        "progress_by",
        "reason",
        "evidence",
        "next_step",
        "next_at",
    ]
)
_DURABLE = tuple(
    f.name for f in fields(RoleMemory) if f.name not in _EVIDENCE and not f.metadata.get("volatile")
)


class MemoryFile:
    """The watchdog's memory on disk. One writer: whoever holds the instance's lock."""

    def __init__(self, files: Files, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._saved: tuple[object, ...] | None = None
        self._saved_at = 0.0
        self.trouble: Trouble | None = None

    def load(self) -> Memory | None:
        """The memory; None where there is none, or none that can be used (set aside then)."""
        return self._files.load(MEMORY, _decode)

    def peek(self) -> Memory | None:
        """As `load`, for one who only looks on: nothing is set aside, `trouble` says why not."""
        try:
            value = self._files.peek(MEMORY)
            return None if value is None else _decode(value)
        except (OSError, ValueError) as error:
            self.trouble = Trouble("state", f"can't read the memory: {error}")
            return None

    def flush(self, memory: Memory) -> None:
        """Write it down, whatever changed."""
        self._saved = None
        self.save(memory)

    def save(self, memory: Memory) -> None:
        """Write it down if it matters: at once for decisions, now and then for evidence."""
        durable = _durable(memory)
        now = self._clock.monotonic()
        if durable == self._saved and now - self._saved_at < SAVE_EVIDENCE_EVERY:
            return
        try:
            self._files.save(MEMORY, {"schema": SCHEMA, "memory": encode(memory)})
        except OSError as error:
            self.trouble = Trouble("state", f"can't write the memory: {error.strerror or error}")
            return
        self.trouble = None
        self._saved, self._saved_at = durable, now


def _decode(value: Mapping[str, Any]) -> Memory:
    if value.get("schema") != SCHEMA:
        raise ValueError(f"its schema is {value.get('schema')!r}")
    return decode(Memory, value.get("memory"))


def _durable(memory: Memory) -> tuple[object, ...]:
    """All that a crash must not lose, for comparing."""
    whole = tuple(
        getattr(memory, f.name)
        for f in fields(Memory)
        if f.name not in ("roles", "last_tick") and not f.metadata.get("volatile")
    )
    roles = tuple(
        (name, *(getattr(mem, field) for field in _DURABLE)) for name, mem in memory.roles.items()
    )
    return (*whole, *roles)


class EventLog:
    """Writes events as JSON lines, and as readable lines for `logs watchdog`."""

    def __init__(
        self,
        files: Files,
        clock: Clock,
        mask: Callable[[Any], Any],
        say: Callable[[str], None],
    ) -> None:
        self._files = files
        self._clock = clock
        self._mask = mask
        self._say = say
        self._waiting: deque[str] = deque(maxlen=BUFFERED)
        self.trouble: Trouble | None = None

    def record(self, event: Event) -> None:
        """Write it down, or keep it until that is possible."""
        self._put(event, None)
        self.flush()

    def record_all(self, events: Sequence[Event], told: int) -> None:
        """Write numbered events down; `told` is the number of the last one."""
        for number, event in enumerate(events, told - len(events) + 1):
            self._put(event, number)
        self.flush()

    def recover(self, events: Sequence[Event], told: int) -> int:
        """Write down those of the numbered events that are not in the log yet.

        Returns the number from which the next ones count.
        """
        written = last_number(self._files.end(EVENTS, RECOVERED).splitlines())
        missing = events[max(0, len(events) - max(0, told - written)) :]
        self.record_all(missing, told)
        return max(told, written)

    def _put(self, event: Event, number: int | None) -> None:
        value = self._mask(as_json(event, self._clock.wall(), number))
        self._say(as_text(event))
        self._waiting.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))

    def flush(self) -> None:
        """Write what waits, in its order."""
        try:
            while self._waiting:
                self._files.append(EVENTS, self._waiting[0])
                self._waiting.popleft()
        except OSError as error:
            self.trouble = Trouble("state", f"can't write events: {error.strerror or error}")
        else:
            self.trouble = None


def timestamp(wall: float) -> str:
    """ISO 8601 in UTC with fractions, as in events.jsonl."""
    return datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def last_number(lines: Sequence[str]) -> int:
    """The number of the last numbered event among the lines; 0 if there is none."""
    for line in reversed(lines):
        try:
            return int(json.loads(line)["n"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0


def as_json(event: Event, wall: float, number: int | None = None) -> dict[str, Any]:
    """The event as it stands in events.jsonl; what doesn't apply is left out."""
    known: Mapping[str, Any] = {
        "t": timestamp(wall),
        "event": event.name.value,
        "role": event.role,
        "phase": event.phase,
        "gate": event.gate,
        "attempt": event.attempt,
        "handoff": event.handoff,
        "proved": event.proved,
        "why": event.why,
        "by": event.by,
        "evidence": encode(event.evidence) or None,
        "n": number,
    }
    return {key: value for key, value in known.items() if value is not None}


def as_text(event: Event) -> str:
    """The event as a person reads it in the watchdog's log."""
    about = f" {event.role}" if event.role else ""
    proof = "" if event.proved is None else " (proved)" if event.proved else " (not proved)"
    return f"{event.name}{about}{proof}: {event.why}"
