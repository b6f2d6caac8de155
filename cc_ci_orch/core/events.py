"""Facts, in the past tense: what `events.jsonl` records. The names are a public interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Name(StrEnum):
    SUPERVISOR_STARTED = "supervisor.started"
    SUPERVISOR_STOPPED = "supervisor.stopped"
    SUPERVISOR_RECOVERED = "supervisor.recovered"
    SESSION_STARTED = "session.started"
    SESSION_EXITED = "session.exited"
    SESSION_STALLED = "session.stalled"
    SESSION_NUDGED = "session.nudged"
    SESSION_INTERRUPTED = "session.interrupted"
    SESSION_HEALED = "session.healed"
    SESSION_GAVE_UP = "session.gave_up"
    SESSION_LIMITED = "session.limited"
    SESSION_BLOCKED = "session.blocked"
    SESSION_RECOVERED = "session.recovered"
    SESSION_HELD = "session.held"
    SESSION_RELEASED = "session.released"
    HANDOFF_SEEN = "handoff.seen"
    HANDOFF_DELIVERED = "handoff.delivered"
    HANDOFF_FAILED = "handoff.failed"
    PHASE_STARTED = "phase.started"
    PHASE_COMPLETED = "phase.completed"
    PHASE_CHANGED = "phase.changed"
    GATE_CLAIMED = "gate.claimed"
    GATE_PASSED = "gate.passed"
    GATE_FAILED = "gate.failed"
    PROTOCOL_VIOLATION = "protocol.violation"
    HOST_REBOOTED = "host.rebooted"
    TROUBLE = "trouble"
    NOTIFIED = "notified"


@dataclass(frozen=True)
class Event:
    """One fact: what happened, why, and the evidence for it. The shell adds the time."""

    name: Name
    why: str
    role: str | None = None
    by: str = "watchdog"
    evidence: Mapping[str, object] = field(default_factory=dict)
    phase: str | None = None
    gate: str | None = None
    attempt: int | None = None
    handoff: str | None = None
    proved: bool | None = None
