"""How one phase ends and the next one begins.

    running ──complete, or a person wants another──► draining ──all sessions down──► running
                                                         └── no phase left ──► complete

- Draining: agents may end their turn (up to `phase_drain`), then their sessions end; a held
  role is waited for. Only then does the next phase begin, in fresh conversations. What still
  waited in an inbox lapses.
- What was already said about a phase when it is entered (another host may be ahead of this
  one) is handed off then, like anything new.
- A phase that a person asks for goes the same way. One that was complete stays so, whatever
  they ask for while it ends. Phases never go backward by themselves.
- Every step is a change of the memory, which holds its events too, so a supervisor that dies
  anywhere goes on from there, and each entry of a phase is started and completed once.
"""

from __future__ import annotations

from dataclasses import replace

from cc_ci_orch.core import inbox, replacing
from cc_ci_orch.core import ledger as ledgers
from cc_ci_orch.core.actions import Notify
from cc_ci_orch.core.course import planned, say_changes, standing_of, with_course
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    Course,
    Ending,
    Liveness,
    PhaseState,
    RoleMemory,
    Seen,
    Snapshot,
    Then,
)
from cc_ci_orch.core.phases import find, first, next_phase
from cc_ci_orch.core.policy import BACKOFF_FIRST, STOP_GRACE, Policy
from cc_ci_orch.core.protocol import PHASE
from cc_ci_orch.core.standing import Gate, Standing, turn
from cc_ci_orch.core.step import Decision
from cc_ci_orch.core.text import span

QUIET = frozenset({Liveness.IDLE, Liveness.WAITING, Liveness.EXITED, Liveness.ABSENT})
"""What a role does that has ended its turn."""

OPERATOR = "operator"


def end_if_complete(decision: Decision, snapshot: Snapshot) -> Decision:
    """Notice the end of the phase: drain, and go on to the next one."""
    course = decision.memory.course
    spec = planned(course, snapshot.phases)
    if spec is None or course.state is not PhaseState.RUNNING:
        return decision
    if not standing_of(course, spec).complete:
        return decision
    course = replace(course, completed=True, commit=course.ledger.head)
    after = next_phase(snapshot.phases, course.phase, course.deferred)
    goal = after.id if after else ""
    return _begin_draining(with_course(decision, course), snapshot, goal, by="watchdog")


def _begin_draining(decision: Decision, snapshot: Snapshot, goal: str, *, by: str) -> Decision:
    """Let the phase end, for `goal`. One that ends already only gets another goal."""
    course = decision.memory.course
    if course.state is PhaseState.DRAINING:
        return with_course(decision, replace(course, goal=goal, by=by))
    course = replace(
        course,
        state=PhaseState.DRAINING,
        since=snapshot.mono,
        goal=goal,
        by=by,
        turn=frozenset(),
    )
    decision = with_course(decision, course)
    for spec in snapshot.loops:
        mem = decision.role(spec.name)
        for handoff in mem.inbox:
            lapsed = inbox.event(Name.HANDOFF_FAILED, handoff, "it lapses: the phase is over")
            decision = decision.record(lapsed)
        ending = replace(mem.ending, then=Then.STAY_DOWN) if mem.ending else None
        decision = decision.with_role(spec.name, replace(mem, inbox=(), ending=ending))
    return decision


def drain(decision: Decision, snapshot: Snapshot, policy: Policy) -> Decision:
    """End the sessions of a phase that is over, one by one as they end their turn."""
    course = decision.memory.course
    if course.state is not PhaseState.DRAINING or snapshot.terminal is Seen.UNKNOWN:
        return decision
    waits: list[str] = []
    for spec in snapshot.loops:
        view = snapshot.sessions.get(spec.name)
        mem = decision.role(spec.name)
        if view is None or view.presence is Seen.ABSENT:
            continue
        waits.append(_wait_reason(course, mem, spec.name, snapshot.mono, policy))
        over = snapshot.mono - course.since >= policy.phase_drain
        if mem.ending is None and not mem.held and (over or mem.liveness in QUIET):
            decision = decision.with_role(spec.name, _end_turn(mem, course))
            decision = decision.wake_by(snapshot.mono)
    if not waits and course.goal and course.goal not in {p.id for p in snapshot.phases}:
        waits.append(f"a person: the plan has no phase {course.goal} any more")
    decision = with_course(decision, replace(course, waiting_for=", ".join(waits)))
    limit = course.since + policy.phase_drain
    if limit > snapshot.mono:
        decision = decision.wake_by(limit)
    return decision if waits else _move_on(decision, snapshot)


def _wait_reason(course: Course, mem: RoleMemory, role: str, now: float, policy: Policy) -> str:
    if mem.held:
        return f"{role}, which is held"
    if mem.ending is not None:
        return f"{role} to end"
    left = course.since + policy.phase_drain - now
    return f"{role} to end its turn (at most {span(max(0.0, left))})"


def _end_turn(mem: RoleMemory, course: Course) -> RoleMemory:
    """Its session is to end. A prompt on its way is dropped with it, and answered for."""
    why = f"phase {course.phase} is over"
    ending = Ending(Then.STAY_DOWN, why, STOP_GRACE, course.by, checked=False)
    return replace(mem, interrupting=None, ending=ending)


def _move_on(decision: Decision, snapshot: Snapshot) -> Decision:
    """Every session is down: record the end, and begin what comes next."""
    course = decision.memory.course
    if course.completed:
        why = "done, every gate passed, and the final review passed"
        evidence = {"commit": course.commit, "entry": course.entry}
        title = f"phase {course.phase} is complete"
        decision = decision.record(
            Event(Name.PHASE_COMPLETED, why, phase=course.phase, evidence=evidence)
        ).then(Notify(f"completed:{course.entry}", title, why))
    if course.goal:
        return enter(decision, snapshot, course.goal, course.by)
    return _finish(decision, "no phase is left; the loops have stopped")


def _finish(decision: Decision, why: str) -> Decision:
    """There is nothing more to do, until a person says so."""
    course = decision.memory.course
    course = replace(
        course, state=PhaseState.COMPLETE, turn=frozenset(), waiting_for="", completed=False
    )
    note = Notify("all complete", "all phases are complete", why)
    return with_course(decision, course).then(note)


def enter(decision: Decision, snapshot: Snapshot, phase: str, by: str) -> Decision:
    """Begin a phase: a new entry, fresh conversations, and what was said about it before."""
    old = decision.memory.course
    spec = find(snapshot.phases, phase)
    course = Course(
        phase=phase,
        entry=old.entry + 1,
        deferred=old.deferred - {phase},
        ledger=ledgers.enter(old.ledger, phase),
        next_handoff=old.next_handoff,
    )
    state = standing_of(course, spec)
    decision = with_course(decision, replace(course, turn=turn(state)))
    for role in snapshot.loops:
        decision = decision.with_role(role.name, _afresh(decision.role(role.name)))
    evidence = {"entry": course.entry, "gates": spec.gates}
    started = Event(Name.PHASE_STARTED, spec.title, phase=phase, by=by, evidence=evidence)
    decision = decision.record(started).wake_by(snapshot.mono)
    return say_changes(decision, snapshot, Standing(phase, (), Gate(PHASE)), state)


def _afresh(mem: RoleMemory) -> RoleMemory:
    """A role at the beginning of a phase: what was amiss before is forgotten."""
    return replace(
        replacing.at_rest(mem),
        conversation=None,
        begun=False,
        inbox=(),
        inbox_tries=0,
        inbox_retry_at=0.0,
        restart_times=(),
        deaths=0,
        early_deaths=0,
        backoff=BACKOFF_FIRST,
    )


def rest(course: Course) -> str:
    """Why nothing is done for any role now; "" while the phase runs or its agents end."""
    if course.state is PhaseState.COMPLETE:
        return "all phases are complete" if course.phase else "every phase is deferred"
    if course.state is PhaseState.DRAINING:
        return f"phase {course.phase} is over; waiting for {course.waiting_for or 'its end'}"
    return ""


# ------------------------------------------------------------------------ what people ask for


def begin(decision: Decision, snapshot: Snapshot, wanted: str) -> Decision:
    """A start: the wanted phase, else the one that was saved, else the first. After the last
    one: whatever the plan has got since."""
    course = decision.memory.course
    if not snapshot.phases:
        return decision
    if wanted:
        same = wanted == course.phase and course.state is PhaseState.RUNNING
        return decision if same else _go_to(decision, snapshot, wanted)
    if course.phase and course.state is not PhaseState.COMPLETE:
        return decision
    if course.phase and planned(course, snapshot.phases) is None:
        return decision
    after = (
        next_phase(snapshot.phases, course.phase, course.deferred)
        if course.phase
        else first(snapshot.phases, course.deferred)
    )
    if after is not None:
        return enter(decision, snapshot, after.id, OPERATOR)
    return decision if course.phase else _finish(decision, "every phase of the plan is deferred")


def change(decision: Decision, snapshot: Snapshot, what: str, phase: str) -> tuple[Decision, str]:
    """`set`, `advance` or `defer`, as a person asked; with the words of the answer. PhaseError
    where the plan doesn't have the present phase, so that nothing comes after it."""
    course = decision.memory.course
    present = course.phase
    if what == "defer":
        return _defer(decision, snapshot, phase)
    if what == "set" and phase == present and course.state is PhaseState.RUNNING:
        return decision, f"phase {phase} is the present one"
    if what == "advance":
        begins = first(snapshot.phases, course.deferred)
        at = present or (begins.id if begins else snapshot.phases[-1].id)
        after = next_phase(snapshot.phases, at, course.deferred)
        if after is None and course.state is PhaseState.COMPLETE:
            return decision, "no phase is left"
        phase = after.id if after else ""
    decision = _go_to(decision, snapshot, phase)
    return decision, _answer(decision, present)


def _defer(decision: Decision, snapshot: Snapshot, phase: str) -> tuple[Decision, str]:
    course = decision.memory.course
    deferred = course.deferred | {phase}
    after = (
        next_phase(snapshot.phases, course.phase, deferred)
        if planned(course, snapshot.phases)
        else None
    )
    goal = after.id if after else ""
    decision = with_course(decision, replace(course, deferred=deferred))
    event = Event(Name.PHASE_CHANGED, f"a person deferred phase {phase}", phase=phase, by=OPERATOR)
    decision = decision.record(event)
    if course.state is PhaseState.RUNNING and course.phase == phase:
        decision = _begin_draining(decision, snapshot, goal, by=OPERATOR)
        return decision, _answer(decision, phase)
    if course.state is PhaseState.DRAINING and course.goal == phase:
        decision = _begin_draining(decision, snapshot, goal, by=OPERATOR)
        return decision, f"phase {phase} is deferred; {_then(goal)}"
    return decision, f"phase {phase} is deferred"


def _go_to(decision: Decision, snapshot: Snapshot, goal: str) -> Decision:
    """Leave the present phase, if there is one, for another; "" is none at all."""
    course = decision.memory.course
    if course.phase:
        to = f"to {goal}" if goal else "to none: no phase is left"
        why = f"a person changed the phase from {course.phase} {to}"
        if goal == course.phase:
            why = f"a person lets phase {goal} begin anew"
        evidence = {"from": course.phase, "to": goal or None}
        event = Event(
            Name.PHASE_CHANGED, why, phase=goal or course.phase, by=OPERATOR, evidence=evidence
        )
        decision = decision.record(event)
    if course.phase and course.state is not PhaseState.COMPLETE:
        return _begin_draining(decision, snapshot, goal, by=OPERATOR)
    if goal:
        return enter(decision, snapshot, goal, OPERATOR)
    return _finish(decision, "a person went past the last phase")


def _answer(decision: Decision, old: str) -> str:
    course = decision.memory.course
    if course.state is PhaseState.DRAINING:
        return f"phase {old} ends: the agents may finish their turn, {_then(course.goal)}"
    return f"phase {course.phase} begins" if course.phase else "no phase is left"


def _then(goal: str) -> str:
    return f"then phase {goal} begins" if goal else "then no phase is left"
