"""The state of an instance as values, as JSON and as a table. Nothing here reads or writes.

`as_dict` is the public interface (`status --json`, schema 1); the table is made from it, so
that the two never disagree.
"""

from __future__ import annotations

import unicodedata
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
from cc_ci_orch.core.text import span
from cc_ci_orch.seats import Seat

SCHEMA = 1
WIDTH = 80

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


# ----------------------------------------------------------------------------- the table

COLOURS = {
    "working": "32", "idle": "32", "waiting": "36", "starting": "36", "limited": "33",
    "retrying": "33", "unknown": "33", "stalled": "31", "blocked": "31", "exited": "31",
    "absent": "31",
}  # fmt: skip

COLUMNS = (("STATE", 8), ("FOR", 6), ("PROGRESS", 8), ("RESTARTS", 8), ("PID", 7))
"""Behind the role's name, which has at most 32 characters: together at most 79."""


def table(state: Mapping[str, Any], *, colour: bool = False) -> str:
    """The state for a person: at most 80 columns wide."""
    lines = [_headline(state), _phase_line(state), ""]
    lines += sessions_table(state, state["sessions"], colour=colour).splitlines()
    lines += [fit(f"trouble: {trouble}") for trouble in state["troubles"]]
    return "\n".join(lines) + "\n"


def sessions_table(
    state: Mapping[str, Any], sessions: Sequence[Mapping[str, Any]], *, colour: bool = False
) -> str:
    """Two lines for each of the sessions, below a line of headings."""
    lines = []
    roles = max([12, *(len(session["role"]) for session in sessions)])
    heads = (("ROLE", roles), *COLUMNS)
    lines.append("  ".join(f"{name:<{width}}" for name, width in heads).rstrip())
    for session in sessions:
        lines.append(f"{session['role']:<{roles}}  {_row(session, state, colour)}")
        lines.append(fit(f"    {_note(session, state)}"))
    return "\n".join(lines) + "\n"


def _headline(state: Mapping[str, Any]) -> str:
    supervisor = state["supervisor"]
    if supervisor["running"]:
        age = supervisor["last_tick_age_s"]
        tick = f", last tick {span(age)} ago" if age is not None else ""
        who = f"supervisor {supervisor['pid']}{tick}"
    else:
        who = "no supervisor"
    health = "healthy" if state["healthy"] else "not healthy"
    return fit(f"{state['instance']}: {health}; {who}")


def _phase_line(state: Mapping[str, Any]) -> str:
    phase = state["phase"]
    passed = sum(1 for gate in phase["gates"] if gate["passed"])
    turn = ", ".join(state["turn"]) or "nobody"
    gates = f", {passed} of {len(phase['gates'])} gates passed" if phase["gates"] else ""
    where = f"phase {phase['id']} ({phase['index']} of {phase['count']}) {phase['state']}"
    waits_for = phase.get("waits_for")  # not told by an older version
    now = f"waiting for {waits_for}" if waits_for else f"on turn: {turn}"
    return fit(f"{where}{gates}; {now}")


def _row(session: Mapping[str, Any], state: Mapping[str, Any], colour: bool) -> str:
    cells = (
        session["liveness"],
        _since(session["since"], state["time"]),
        _short(session["progress_age_s"]),
        str(session["restarts"]),
        str(session["pid"] or "-"),
    )
    padded = [f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True)]
    if colour and session["wanted"] == "up":
        padded[0] = f"\x1b[{COLOURS.get(session['liveness'], '0')}m{padded[0]}\x1b[0m"
    return "  ".join(padded).rstrip()


def _note(session: Mapping[str, Any], state: Mapping[str, Any]) -> str:
    notes = []
    if session["held"]:
        notes.append("held")
    if session["wanted"] == "down":
        notes.append("to stay down")
    if session["next_attempt"]:
        notes.append(f"next attempt {session['next_attempt']}")
    return "; ".join([*notes, session["reason"]])


def _since(since: str | None, now: str) -> str:
    if since is None:
        return "-"
    return span((datetime.fromisoformat(now) - datetime.fromisoformat(since)).total_seconds())


def _short(age: float | None) -> str:
    return "-" if age is None else span(age)


def fit(line: str, width: int = WIDTH) -> str:
    """The line without control characters, cut to the width of a terminal."""
    line = "".join(c if c.isprintable() else "?" for c in line)
    if sum(map(_cells, line)) <= width:
        return line
    room = width - 1
    for at, char in enumerate(line):
        room -= _cells(char)
        if room < 0:
            return line[:at] + "…"
    return line


def _cells(char: str) -> int:
    """How many columns a terminal gives to a character."""
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
