"""The orchestrator: a role outside the loops, which looks after them.

- It is down until a person starts it by name. From then on it is healed like a role without a
  turn, whatever becomes of the phases: dead, stalled, limited.
- A start or stop of the instance doesn't concern it, nor does the end of a phase. Where the
  person stops it, it stays down until they start it.
- A reboot takes it down, and nobody but a person brings it up again; it keeps its
  conversation. A terminal server that dies, or a supervisor, is no reboot.
- Where no supervisor runs, it can be started all the same; nobody heals it then.
- Idle, it is waiting: it looks in from time to time, by itself or reminded. A program that
  can't tell idle from hung is expected to show signs of life, as on a turn.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import liveness, session
from cc_ci_orch.core.actions import Reply
from cc_ci_orch.core.model import (
    ExitStatus,
    Liveness,
    Memory,
    Request,
    RoleMemory,
    RoleSpec,
    Seen,
    SessionView,
    Snapshot,
    Wanted,
)
from cc_ci_orch.core.policy import START_SETTLE
from cc_ci_orch.core.step import Decision, Moment, Step

SETTLED = 60.0
"""Seconds after which a start is answered, although its client has told nothing of itself."""

NEVER = RoleMemory(wanted=Wanted.DOWN)
"""What is remembered of one that nobody has started."""

DONE, FAILED, TRY_AGAIN = 0, 1, 75


def names(snapshot: Snapshot) -> frozenset[str]:
    """The roles outside the loops."""
    return frozenset(spec.name for spec in snapshot.roles if spec.apart)


def settle(decision: Decision, snapshot: Snapshot) -> Decision:
    """Know every role outside the loops: one that nobody has started is down."""
    for role in names(snapshot) - decision.memory.roles.keys():
        down = replace(NEVER, since=snapshot.mono, since_wall=snapshot.wall)
        decision = decision.with_role(role, down)
    return decision


def after_boot(mem: RoleMemory, view: SessionView | None) -> RoleMemory:
    """Down, unless it is seen to run after all, or can't be seen."""
    gone = view is None or view.running is Seen.ABSENT
    return replace(mem, wanted=Wanted.DOWN) if gone else mem


def heal_orchestrator(
    view: SessionView,
    mem: RoleMemory,
    spec: RoleSpec,
    at: Moment,
    memory: Memory,
    *,
    supervising: bool,
    may_start: bool,
) -> Step:
    """What to do about it in this tick: as about any role, if somebody supervises or asks."""
    mem = replace(mem, on_turn=not spec.traits.has_account)
    if not (supervising or mem.ending is not None or asked_for(memory, spec.name)):
        return Step(_seen(view, mem, spec, at))
    if never_started(mem) and view.presence is not Seen.PRESENT:
        return Step(replace(mem, liveness=Liveness.ABSENT, reason="nobody has started it"))
    return session.step(view, mem, spec, at, may_start=may_start)


def never_started(mem: RoleMemory) -> bool:
    """Whether there is nothing to tell of it."""
    return mem.wanted is Wanted.DOWN and mem.conversation is None and mem.ending is None


def asked_for(memory: Memory, role: str) -> bool:
    """Whether a person waits for its start."""
    return any(request.kind == "start" and role in request.roles for request in memory.waiting)


def _seen(view: SessionView, mem: RoleMemory, spec: RoleSpec, at: Moment) -> RoleMemory:
    """Look on: nobody supervises, and nobody asks for anything."""
    mem = liveness.take_in(view, mem, spec, at.now)
    found = liveness.judge(view, mem, spec, at.policy, at.now)
    if found.liveness is not mem.liveness:
        mem = replace(mem, liveness=found.liveness, since=at.now, since_wall=at.wall)
    reason = "nobody has started it" if never_started(mem) else found.reason
    return replace(mem, reason=reason, evidence=found.evidence, next_step="", next_at=None)


def answer_start(decision: Decision, request: Request, snapshot: Snapshot) -> Reply | None:
    """The answer to who asked for its start; None while it isn't known what becomes of it."""
    for role in request.roles:
        mem = decision.role(role)
        spec = next(spec for spec in snapshot.roles if spec.name == role)
        view = snapshot.sessions.get(role)
        refusal = _refusal(mem, view, snapshot)
        if refusal is not None:
            return Reply(request.id, refusal[0], f"can't start {role}: {refusal[1]}", role)
        if mem.starting or mem.ending is not None or mem.process is None or mem.mode is not None:
            return None
        if not _has_settled(view, mem, spec, snapshot.mono):
            return None
    return Reply(request.id, DONE, f"started {', '.join(request.roles)}")


def _refusal(
    mem: RoleMemory, view: SessionView | None, snapshot: Snapshot
) -> tuple[int, str] | None:
    if snapshot.terminal is Seen.UNKNOWN or (view and view.running is Seen.UNKNOWN):
        return TRY_AGAIN, "tmux doesn't answer"
    if mem.wanted is Wanted.DOWN:
        return FAILED, "somebody stopped it meanwhile"
    if mem.held and mem.process is None:
        return FAILED, "it is held, and so left alone"
    failed = mem.mode is not None and mem.deaths > 0 and not mem.starting
    if failed:
        ended = f"its process ended with {mem.exit or ExitStatus()}"
        return FAILED, mem.start_trouble or ended
    return None


def _has_settled(view: SessionView | None, mem: RoleMemory, spec: RoleSpec, now: float) -> bool:
    """Whether its client has come up: has drawn something, shows no dialog, took its prompt."""
    age = now - mem.started_at
    if age >= SETTLED:
        return True
    if age < START_SETTLE or mem.typing is not None or view is None or view.not_ready:
        return False
    return not spec.traits.has_account or mem.liveness is not Liveness.STARTING
