"""What people ask for: taken into memory at once, answered when it is done.

Every request is answered exactly once, with an exit code and one line. `start`, `hold` and
`release` are answered at once; `stop`, `restart` and `nudge` when their effect is seen, and
so is the start of what stands outside the loops.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import apart, passage, typing_in
from cc_ci_orch.core.actions import Reply
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    Ending,
    Liveness,
    PhaseState,
    Request,
    RoleMemory,
    Rung,
    Seen,
    Snapshot,
    Then,
    Wanted,
)
from cc_ci_orch.core.phases import PhaseError
from cc_ci_orch.core.policy import BACKOFF_FIRST, STOP_MARGIN
from cc_ci_orch.core.step import Decision

DONE, FAILED, TRY_AGAIN = 0, 1, 75


def take(decision: Decision, snapshot: Snapshot) -> Decision:
    """Take the new requests in."""
    for request in snapshot.requests:
        if (wrong := _wrong(request, snapshot)) is not None:
            decision = decision.then(Reply(request.id, FAILED, wrong))
            continue
        match request.kind:
            case "start":
                decision = _start(decision, request, snapshot)
            case "stop":
                decision = _stop(decision, request, snapshot)
            case "restart":
                decision = _restart(decision, request, snapshot)
            case "hold" | "release":
                decision = _hold(decision, request, snapshot)
            case "phase":
                decision = _change_phase(decision, request, snapshot)
            case _:  # a nudge
                decision = _wait(decision, request)
    return _nudge_waiting(decision, snapshot)


def _wrong(request: Request, snapshot: Snapshot) -> str | None:
    """Why a request can't be taken in, whatever the state."""
    strange = set(request.roles) - {spec.name for spec in snapshot.roles}
    if strange:
        return f"no such role: {', '.join(sorted(strange))}"
    if request.kind == "nudge" and len(request.roles) != 1:
        return "a nudge goes to one role"
    known = {phase.id for phase in snapshot.phases}
    if request.kind == "phase" and not known:
        return "there are no phases"
    if request.kind == "phase" and request.text not in ("set", "advance", "defer"):
        return f"can't change the phase: {request.text!r}: accepted: set, advance, defer"
    if request.phase and request.phase not in known:
        return f"no such phase: {request.phase!r}: accepted: {', '.join(sorted(known))}"
    return None


def _change_phase(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    try:
        decision, text = passage.change(decision, snapshot, request.text, request.phase)
    except PhaseError as error:
        return decision.then(Reply(request.id, FAILED, f"can't change the phase: {error}"))
    return decision.then(Reply(request.id, DONE, text))


def _wait(decision: Decision, request: Request) -> Decision:
    memory = decision.memory
    return replace(decision, memory=replace(memory, waiting=(*memory.waiting, request)))


def _names(request: Request, snapshot: Snapshot) -> tuple[str, ...]:
    return request.roles or tuple(spec.name for spec in snapshot.loops)


def _running(snapshot: Snapshot, role: str) -> bool:
    view = snapshot.sessions.get(role)
    return view is not None and view.running is Seen.PRESENT


def _start(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    """Everything but what a person keeps down; or just the roles that were named."""
    named = request.roles
    if set(named) & apart.names(snapshot):
        return _start_apart(decision, request, snapshot)
    for spec in snapshot.loops:
        mem = decision.role(spec.name)
        if named and spec.name not in named:
            if request.everything and not _running(snapshot, spec.name):
                decision = decision.with_role(spec.name, replace(mem, wanted=Wanted.DOWN))
            continue
        if not named and mem.kept_down:
            continue
        if not _running(snapshot, spec.name):
            mem = fresh_start(mem, snapshot)
        mem = replace(mem, wanted=Wanted.UP, kept_down=False)
        decision = decision.with_role(spec.name, mem)
    memory = replace(decision.memory, stopped=False, stop_by=None, viewer_retry_at=0.0)
    decision = passage.begin(replace(decision, memory=memory), snapshot, request.phase)
    held = [n for n in _names(request, snapshot) if decision.role(n).held]
    but = f"; held, so left alone: {', '.join(held)}" if held else ""
    return decision.then(Reply(request.id, DONE, f"starting{but}"))


def _start_apart(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    """Start what stands outside the loops, and answer when it runs."""
    for role in request.roles:
        mem = decision.role(role)
        if not _running(snapshot, role):
            mem = fresh_start(mem, snapshot)
        elif mem.ending is None:
            done = Reply(request.id, DONE, f"{role} is already running", role)
            mem = replace(mem, wanted=Wanted.UP, kept_down=False)
            return decision.with_role(role, mem).then(done)
        mem = replace(mem, wanted=Wanted.UP, kept_down=False)
        decision = decision.with_role(role, mem)
    return _wait(decision, request)


def fresh_start(mem: RoleMemory, snapshot: Snapshot) -> RoleMemory:
    """A person starts it: what went wrong before is forgotten, the conversation is not."""
    return replace(
        mem,
        process=None,
        mode=Then.RESUME,
        next_attempt=snapshot.mono,
        died_at=0.0,
        restarts=0,
        restart_times=(),
        deaths=0,
        early_deaths=0,
        backoff=BACKOFF_FIRST,
        gave_up=False,
        rung=Rung.NONE,
        healing=None,
        unwell=None,
        exit=None,
    )


def _stop(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    """End the named roles and keep them down; or end everything, until the next start."""
    why = "a person stopped it" if request.roles else "a person stopped the instance"
    ending = Ending(Then.STAY_DOWN, why, request.grace, "operator", checked=False)
    for role in _names(request, snapshot):
        mem = replace(decision.role(role), ending=ending, healing=None, gave_up=False)
        if not request.everything:
            mem = replace(mem, wanted=Wanted.DOWN, kept_down=True)
        decision = decision.with_role(role, mem)
    if request.everything:
        stop_by = snapshot.mono + request.grace + STOP_MARGIN
        memory = replace(decision.memory, stopped=True, stop_by=stop_by)
        decision = replace(decision, memory=memory)
    return _wait(decision, request)


def _restart(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    if decision.memory.stopped:
        return decision.then(Reply(request.id, FAILED, "the instance is being stopped"))
    in_loops = not request.roles or not set(request.roles) <= apart.names(snapshot)
    if in_loops and (rest := passage.rest(decision.memory.course)):
        return decision.then(Reply(request.id, FAILED, f"can't restart: {rest}"))
    then = Then.RENEW if request.fresh else Then.RESUME
    why = "a person restarted it" + (" afresh" if request.fresh else "")
    ending = Ending(then, why, request.grace, "operator", checked=False)
    for role in _names(request, snapshot):
        mem = decision.role(role)
        if mem.wanted is Wanted.DOWN and not request.roles:
            continue
        mem = fresh_start(mem, snapshot) if not _running(snapshot, role) else mem
        mem = replace(mem, wanted=Wanted.UP, kept_down=False, rung=Rung.NONE, gave_up=False)
        decision = decision.with_role(
            role, replace(mem, ending=ending, healing=None, interrupting=None)
        )
    return _wait(decision, request)


def _hold(decision: Decision, request: Request, snapshot: Snapshot) -> Decision:
    held = request.kind == "hold"
    for role in _names(request, snapshot):
        mem = decision.role(role)
        if mem.held == held:
            continue
        healed = mem.ending is not None and mem.ending.checked
        mem = replace(
            mem,
            held=held,
            quiet_from=snapshot.mono,
            rung=Rung.NONE,
            interrupting=None,
            ending=None if healed else mem.ending,
            healing=None,
        )
        decision = decision.with_role(role, mem).record(
            Event(
                Name.SESSION_HELD if held else Name.SESSION_RELEASED,
                "a person asked to leave it alone" if held else "a person gave it back",
                role=role,
                by="operator",
            )
        )
    words = "held: nothing is typed into it, nothing heals it" if held else "released"
    return decision.then(Reply(request.id, DONE, words))


def _nudge_waiting(decision: Decision, snapshot: Snapshot) -> Decision:
    """Hand each waiting nudge to its role when that has no other prompt on its way."""
    left: list[Request] = []
    for request in decision.memory.waiting:
        if request.kind != "nudge":
            left.append(request)
            continue
        role = request.roles[0]
        mem = decision.role(role)
        runs = decision.memory.course.state is PhaseState.RUNNING
        working = snapshot.supervising and (runs or role in apart.names(snapshot))
        refusal = _cannot_nudge(mem, role, snapshot) if working else NOT_NOW
        if request.by is not None and snapshot.mono > request.by:
            refusal = TOO_LATE
        if refusal is not None:
            words = f"can't nudge {role}: {refusal[1]}"
            decision = decision.then(Reply(request.id, refusal[0], words, role))
        elif mem.typing is not None or mem.interrupting is not None or mem.starting:
            left.append(request)
        else:
            typing = typing_in.of_person(request)
            decision = decision.with_role(role, replace(mem, typing=typing))
    return replace(decision, memory=replace(decision.memory, waiting=tuple(left)))


TOO_LATE = (TRY_AGAIN, typing_in.TOO_LATE)
NOT_NOW = (TRY_AGAIN, "nobody supervises, or the phase is ending")


def _cannot_nudge(mem: RoleMemory, role: str, snapshot: Snapshot) -> tuple[int, str] | None:
    view = snapshot.sessions.get(role)
    if snapshot.terminal is Seen.UNKNOWN or (view and view.running is Seen.UNKNOWN):
        return TRY_AGAIN, "tmux doesn't answer"
    if mem.held:
        return FAILED, "it is held"
    if mem.ending is not None or not _running(snapshot, role):
        return FAILED, "it is not running"
    recheck = view is not None and view.account is not None and view.account.recheck
    if mem.liveness in (Liveness.BLOCKED, Liveness.LIMITED) and not recheck:
        return FAILED, f"it is {mem.liveness}: {mem.reason}"
    return None


def answer(decision: Decision, snapshot: Snapshot) -> Decision:
    """Answer what is done by now."""
    left: list[Request] = []
    for request in decision.memory.waiting:
        reply = _answer(decision, request, snapshot)
        if reply is None:
            left.append(request)
        else:
            decision = decision.then(reply)
    return replace(decision, memory=replace(decision.memory, waiting=tuple(left)))


def _answer(decision: Decision, request: Request, snapshot: Snapshot) -> Reply | None:
    names = _names(request, snapshot)
    if request.kind == "start":
        return apart.answer_start(decision, request, snapshot)
    if request.kind == "stop":
        return _answer_stop(decision, request, names)
    if request.kind == "restart":
        names = request.roles or tuple(n for n in names if decision.role(n).wanted is Wanted.UP)
        roles = [decision.role(name) for name in names]
        if any(mem.ending is not None or mem.starting for mem in roles):
            return None
        down = [name for name in names if decision.role(name).process is None]
        if down:
            return Reply(request.id, FAILED, f"{', '.join(down)} did not start again")
        return Reply(request.id, DONE, "restarted " + ", ".join(names))
    return None


def _answer_stop(decision: Decision, request: Request, names: tuple[str, ...]) -> Reply | None:
    if request.everything:
        if not decision.memory.stopped:
            return Reply(request.id, FAILED, "not stopped: somebody started it again meanwhile")
        return Reply(request.id, DONE, "stopped") if decision.finished else None
    roles = [decision.role(name) for name in names]
    if any(mem.ending is not None for mem in roles):
        return None
    if any(mem.wanted is Wanted.UP for mem in roles):
        return Reply(request.id, FAILED, "not stopped: somebody started it again meanwhile")
    return Reply(request.id, DONE, "stopped " + ", ".join(names))
