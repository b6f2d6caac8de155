"""The state of an instance as values and as JSON. Nothing here reads or writes.

`as_dict` is the public interface (`status --json`, schema 1); the table (`status_table.py`) is
made from it, so that the two never disagree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cc_ci_orch.core.model import (
    Liveness,
    Memory,
    PhaseState,
    RoleMemory,
    Seen,
    Snapshot,
    Trouble,
    Wanted,
)
from cc_ci_orch.core.phases import PhaseError, PhaseSpec, find, position
from cc_ci_orch.core.standing import standing
from cc_ci_orch.seats import Seat

SCHEMA = 1

SICK = frozenset({Liveness.ABSENT, Liveness.STALLED, Liveness.BLOCKED, Liveness.EXITED})
"""What a wanted session must not be in a healthy instance."""


AWAY = frozenset({Liveness.ABSENT, Liveness.EXITED})
"""What a session may be that has been ended because its phase is over."""


@dataclass(frozen=True)
class SupervisorInfo:
    """The supervising process, as far as there is one."""

    running: bool
    pid: int | None = None
    since: float | None = None
    last_tick_age: float | None = None
    version: str = ""


@dataclass(frozen=True)
class PhaseInfo:
    """Where in the plan the instance stands."""

    id: str
    title: str
    index: int
    count: int
    state: str
    done: bool
    gates: tuple[Mapping[str, Any], ...] = ()
    waits_for: str = ""
    """While it is draining: whom its end waits for."""


def phase_info(memory: Memory, phases: Sequence[PhaseSpec]) -> PhaseInfo:
    """Where the instance stands, by what it remembers; before the first start: at the first."""
    course = memory.course
    try:
        spec = find(phases, course.phase or next((phase.id for phase in phases), ""))
    except PhaseError:  # the plan has changed since, or can't be read
        return PhaseInfo(course.phase, "", 0, len(phases), course.state, False)
    index, count = position(phases, spec.id)
    where = standing(course.ledger, spec.id, spec.gates)
    complete = course.state is PhaseState.COMPLETE
    state = "stopped" if memory.stopped and not complete else course.state.value
    waits_for = course.waiting_for if state == PhaseState.DRAINING else ""
    gates = tuple(
        {
            "id": gate.id,
            "claim": gate.claim.attempt if gate.claim else None,
            "verdict": gate.verdict.word.value if gate.verdict else None,
            "attempt": gate.verdict.attempt if gate.verdict else None,
            "passed": gate.passed,
        }
        for gate in where.gates
    )
    done = complete or where.complete
    return PhaseInfo(spec.id, spec.title, index, count, state, done, gates, waits_for)


@dataclass(frozen=True)
class Reboots:
    count: int = 0
    last: str | None = None


def as_dict(
    name: str,
    seats: Sequence[Seat],
    snapshot: Snapshot,
    memory: Memory,
    supervisor: SupervisorInfo,
    phase: PhaseInfo,
    reboots: Reboots,
    troubles: Sequence[Trouble],
) -> dict[str, Any]:
    """Everything that `status --json` prints."""
    sessions = [_session(seat, snapshot, memory) for seat in seats]
    away = AWAY if phase.state == PhaseState.DRAINING else frozenset()
    well = all(_is_well(memory.roles.get(seat.name, RoleMemory()), away) for seat in seats)
    return {
        "schema": SCHEMA,
        "instance": name,
        "time": iso(snapshot.wall),
        "healthy": supervisor.running and (phase.state == PhaseState.COMPLETE or well),
        "boot_id": snapshot.boot_id,
        "supervisor": {
            "running": supervisor.running,
            "pid": supervisor.pid,
            "since": iso(supervisor.since),
            "last_tick_age_s": rounded(supervisor.last_tick_age),
        },
        "phase": {
            "id": phase.id,
            "title": phase.title,
            "index": phase.index,
            "count": phase.count,
            "state": phase.state,
            "done": phase.done,
            "gates": list(phase.gates),
            "waits_for": phase.waits_for or None,
        },
        "turn": sorted(memory.course.turn),
        "sessions": sessions,
        "pending_handoffs": sum(len(mem.inbox) for mem in memory.roles.values()),
        "reboots": {"count": reboots.count, "last": reboots.last},
        "troubles": [trouble.text for trouble in troubles],
    }


def _session(seat: Seat, snapshot: Snapshot, memory: Memory) -> dict[str, Any]:
    mem = memory.roles.get(seat.name, RoleMemory())
    view = snapshot.sessions.get(seat.name)
    alive = view is not None and view.running is Seen.PRESENT and view.process is not None
    log = view.log if view else None
    return {
        "role": seat.name,
        "backend": seat.backend.name,
        "model": seat.role.model,
        "session": seat.session,
        "wanted": mem.wanted.value,
        "liveness": mem.liveness.value,
        "since": iso(mem.since_wall or None),
        "reason": f"given up for now: {mem.reason}" if mem.gave_up else mem.reason,
        "pid": view.process.pid if alive and view and view.process else None,
        "conversation": mem.conversation,
        "restarts": mem.restarts,
        "next_attempt": _wall_of(_next_attempt(mem, alive=alive), snapshot),
        "held": mem.held,
        "log": str(seat.log),
        "log_age_s": rounded(max(0.0, snapshot.wall - log.mtime_ns / 1e9) if log else None),
        "progress_age_s": _age(mem.progress_at, snapshot),
    }


def _next_attempt(mem: RoleMemory, *, alive: bool) -> float | None:
    """When the process is started again, or the next step is tried after giving up."""
    if alive:
        return mem.next_at if mem.gave_up else None
    return mem.next_attempt


def _is_well(mem: RoleMemory, away: AbstractSet[Liveness]) -> bool:
    if mem.wanted is Wanted.DOWN or mem.held or mem.liveness in away:
        return True
    return mem.liveness not in SICK and not mem.gave_up


def _wall_of(mono: float | None, snapshot: Snapshot) -> str | None:
    return None if mono is None else iso(snapshot.wall + mono - snapshot.mono)


def _age(mono: float | None, snapshot: Snapshot) -> float | None:
    return None if mono is None else rounded(max(0.0, snapshot.mono - mono))


def iso(wall: float | None) -> str | None:
    """ISO 8601 in UTC, whole seconds."""
    if wall is None:
        return None
    return datetime.fromtimestamp(wall, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)
