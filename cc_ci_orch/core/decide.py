"""What to do is decided here, and nowhere else: snapshot + memory + policy -> decision.

`decide` is pure: the same inputs always give the same decision. What an action led to is a
fact of the next snapshot. A tick goes: the clock (a new boot, a gap), what became of the last
actions, what people asked for, then each role by itself (`session.step`), then the answers.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import (
    apart,
    course,
    healing,
    liveness,
    passage,
    requests,
    session,
    starting,
    times,
    unwritten,
)
from cc_ci_orch.core.actions import EndServer, HideLog, Notify, ShowLog
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    Ending,
    Memory,
    Outcome,
    PhaseState,
    RoleMemory,
    RoleSpec,
    Rung,
    Seen,
    SessionView,
    Snapshot,
    Then,
)
from cc_ci_orch.core.policy import (
    DRAWN,
    START_SETTLE,
    STOP_GRACE,
    STOP_MARGIN,
    VIEWER_RETRY,
    Policy,
)
from cc_ci_orch.core.step import Decision, Moment, Step


def decide(snapshot: Snapshot, memory: Memory, policy: Policy) -> Decision:
    """Decide everything about this tick."""
    decision = _note_boot(Decision(times.through(snapshot, memory, policy)), memory)
    decision = apart.settle(decision, snapshot)
    at = Moment(snapshot.mono, snapshot.wall, policy, snapshot.entropy)
    decision = _take_outcomes(decision, snapshot, at)
    decision = _take_troubles(decision, snapshot)
    decision = requests.take(decision, snapshot)
    decision = unwritten.believe(decision, snapshot)
    decision = course.follow(decision, snapshot)
    decision = passage.end_if_complete(decision, snapshot)
    decision = _step_roles(decision, snapshot, at)
    decision = passage.drain(decision, snapshot, policy)
    decision = _show_log(decision, snapshot)
    decision = _finish_stop(decision, snapshot)
    decision = requests.answer(decision, snapshot)
    if snapshot.terminal is Seen.UNKNOWN:  # nothing was seen
        return decision
    return replace(decision, memory=replace(decision.memory, last_tick=snapshot.mono))


# ------------------------------------------------------------------------------------- time


def _note_boot(decision: Decision, before: Memory) -> Decision:
    """The host was rebooted, if another boot was known before."""
    boot = decision.memory.boot_id
    if before.boot_id in ("", boot):
        return decision
    evidence = {"boot_id": boot, "previous": before.boot_id}
    event = Event(Name.HOST_REBOOTED, "the boot id is another one now", evidence=evidence)
    note = Notify(f"rebooted:{boot}", "the host was rebooted", "the loops go on where they were")
    return decision.record(event).then(note)


# -------------------------------------------------------------------------------- outcomes


def _take_outcomes(decision: Decision, snapshot: Snapshot, at: Moment) -> Decision:
    specs = {spec.name: spec for spec in snapshot.roles}
    for outcome in snapshot.outcomes:
        if (spec := specs.get(outcome.role)) is None:
            continue
        result = _take_outcome(decision.role(spec.name), outcome, spec, at)
        decision = (
            decision.with_role(spec.name, result.mem).then(*result.actions).record(*result.events)
        )
    return decision


def _take_outcome(mem: RoleMemory, outcome: Outcome, spec: RoleSpec, at: Moment) -> Step:
    match outcome.action:
        case "StartSession" if outcome.ok:
            process = outcome.process or starting.UNSEEN
            return Step(starting.begin_process(mem, process, at.now, outcome.log))
        case "StartSession":
            return starting.start_failed(mem, spec, at, outcome.detail)
        case "AskExit" if outcome.skipped and mem.ending is not None and mem.ending.checked:
            return Step(healing.call_off(mem, at.now))
        case "Type" | "Press":
            return Step(_typed(mem, outcome, at))
        case _:
            return Step(mem)


def _typed(mem: RoleMemory, outcome: Outcome, at: Moment) -> RoleMemory:
    """What the terminal echoes of our typing is not the program's doing.

    Nor does what a stalled client draws of it end the stall: it goes on drawing in a hang.
    """
    mem = replace(mem, typed=False)
    if not outcome.ok:
        if mem.typing is None:
            return mem
        return replace(mem, typing=replace(mem.typing, trouble=outcome.detail or "not typed"))
    left = mem.echo if at.now < mem.echo_until else 0
    if mem.typing is not None:
        mem = replace(mem, typing=replace(mem.typing, echo=mem.typing.echo + outcome.echo))
    until = at.now + 2 * at.policy.submit_wait
    echo = DRAWN if outcome.draws and mem.rung is not Rung.NONE else outcome.echo
    return replace(mem, echo=left + echo, echo_until=until)


def _take_troubles(decision: Decision, snapshot: Snapshot) -> Decision:
    """Say each trouble once, when it begins."""
    known = {trouble.key for trouble in decision.memory.troubles}
    for trouble in snapshot.troubles:
        if trouble.key not in known:
            decision = decision.record(Event(Name.TROUBLE, trouble.text)).then(
                Notify(f"trouble:{trouble.key}", "trouble", trouble.text)
            )
    memory = replace(decision.memory, troubles=snapshot.troubles)
    return replace(decision, memory=memory)


# ----------------------------------------------------------------------------------- roles


def _step_roles(decision: Decision, snapshot: Snapshot, at: Moment) -> Decision:
    """Each role by itself; only the number of simultaneous starts is shared."""
    free = at.policy.start_burst - _starting(decision, snapshot)
    working = decision.memory.course.state is PhaseState.RUNNING
    turn = decision.memory.course.turn if snapshot.phases else snapshot.turn
    rest = passage.rest(decision.memory.course)
    for spec in snapshot.roles:
        view = _view(snapshot, spec)
        if spec.apart:
            mem = decision.role(spec.name)
            result = apart.heal_orchestrator(
                view, mem, spec, at, decision.memory,
                supervising=snapshot.supervising, may_start=free > 0,
            )  # fmt: skip
            free -= result.mem.starting and not mem.starting
            decision = _with_step(decision, spec.name, result)
            continue
        on_turn = spec.name in turn or (not spec.has_turn and working)
        mem = _note_turn(decision.role(spec.name), on_turn, at.now)
        if mem.ending is None and decision.memory.stopped:
            mem = _at_rest(mem, view, snapshot)
        idle = decision.memory.stopped or not working or not snapshot.supervising
        if mem.ending is None and idle:
            decision = decision.with_role(spec.name, _only_judge(mem, view, spec, at, rest))
            continue
        result = session.step(view, mem, spec, at, may_start=free > 0)
        free -= result.mem.starting and not mem.starting
        decision = _with_step(decision, spec.name, result)
    return decision


def _with_step(decision: Decision, role: str, result: Step) -> Decision:
    decision = decision.with_role(role, result.mem).then(*result.actions).record(*result.events)
    return decision if result.wake is None else decision.wake_by(result.wake)


def _at_rest(mem: RoleMemory, view: SessionView, snapshot: Snapshot) -> RoleMemory:
    """A role of a stopped instance: what still runs (a stop that was cut short) is ended."""
    if view.presence is not Seen.PRESENT or not snapshot.supervising:
        return mem
    why = "a person stopped the instance"
    return replace(mem, ending=Ending(Then.STAY_DOWN, why, STOP_GRACE, "operator", checked=False))


def _only_judge(
    mem: RoleMemory, view: SessionView, spec: RoleSpec, at: Moment, why: str
) -> RoleMemory:
    """What is seen of a role for which nothing is to be done, `why` ever that is."""
    mem = liveness.take_in(view, mem, spec, at.now)
    found = liveness.judge(view, mem, spec, at.policy, at.now)
    if found.liveness is not mem.liveness:
        mem = replace(mem, liveness=found.liveness, since=at.now, since_wall=at.wall)
    reason = why or found.reason
    return replace(mem, reason=reason, evidence=found.evidence, next_step="", next_at=None)


def _view(snapshot: Snapshot, spec: RoleSpec) -> SessionView:
    known = Seen.UNKNOWN if snapshot.terminal is Seen.UNKNOWN else Seen.ABSENT
    view = snapshot.sessions.get(spec.name) or SessionView(spec.name, known)
    if view.running is Seen.PRESENT and view.process is None:
        return replace(view, running=Seen.UNKNOWN)
    return view


def _starting(decision: Decision, snapshot: Snapshot) -> int:
    """Sessions that are being started, or whose new process has not drawn anything yet."""
    return sum(
        mem.starting
        or (
            mem.process is not None
            and mem.log_at <= mem.started_at
            and snapshot.mono - mem.started_at < START_SETTLE
        )
        for mem in decision.memory.roles.values()
    )


def _note_turn(mem: RoleMemory, on_turn: bool, now: float) -> RoleMemory:
    """A turn that begins starts the clock of silence anew, and a new episode."""
    if mem.on_turn == on_turn:
        return mem
    rung = Rung.NONE if mem.rung in (Rung.NUDGED, Rung.INTERRUPTED) else mem.rung
    return replace(mem, on_turn=on_turn, quiet_from=now, rung=rung, idle_nudges=0, nudged_at=None)


def _show_log(decision: Decision, snapshot: Snapshot) -> Decision:
    """Keep the session that shows the watchdog's log, beside the others."""
    due = snapshot.mono >= decision.memory.viewer_retry_at
    if not (snapshot.supervising and snapshot.terminal is Seen.PRESENT and due):
        return decision
    if decision.memory.stopped or snapshot.viewer is not Seen.ABSENT:
        return decision
    memory = replace(decision.memory, viewer_retry_at=snapshot.mono + VIEWER_RETRY)
    return replace(decision, memory=memory).then(ShowLog())


# -------------------------------------------------------------------------------- stopping


def _finish_stop(decision: Decision, snapshot: Snapshot) -> Decision:
    """Once every session of a stopped instance is down, the terminal server goes too.

    A session outside the loops that lives on keeps the server; then only what we show beside
    it goes.
    """
    memory = decision.memory
    stops = snapshot.supervising or any(request.everything for request in memory.waiting)
    if not (memory.stopped and stops):
        return decision
    if memory.stop_by is None:
        memory = replace(memory, stop_by=snapshot.mono + STOP_GRACE + STOP_MARGIN)
        decision = replace(decision, memory=memory)
    if snapshot.terminal is Seen.UNKNOWN:
        wait = snapshot.keep_terminal or snapshot.mono < (memory.stop_by or 0.0)
    else:
        wait = any(mem.ending or mem.starting for mem in memory.roles.values())
    if wait:
        return decision
    if snapshot.terminal is not Seen.ABSENT and not snapshot.keep_terminal:
        return decision.then(EndServer()).wake_by(snapshot.mono + 0.5)
    # A server without any session looks like none.
    decision = decision.then(HideLog() if snapshot.keep_terminal else EndServer())
    return replace(decision, finished=True)
