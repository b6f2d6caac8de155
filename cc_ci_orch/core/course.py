"""The way through the plan: which phase it is, what is new in it, and how one phase ends.

    running ──complete, or a person wants another──► draining ──all sessions down──► running
                                                         └── no phase left ──► complete

- What is new on the work branch goes into the ledger; what changed by it becomes events and
  hand-offs. A hand-off stands in its recipient's inbox, in the memory that is written down
  before anything is typed, until its delivery is proved.
- Draining: agents may end their turn (up to `phase_drain`), then their sessions end; a held
  role is waited for. Only then does the next phase begin, in fresh conversations.
- Every step is a change of the memory, so a supervisor that dies anywhere goes on from there.
- A phase that a person asks for goes the same way. Phases never go backward by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cc_ci_orch.core import inbox
from cc_ci_orch.core import ledger as ledgers
from cc_ci_orch.core.actions import Notify
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.handoff import handoffs
from cc_ci_orch.core.ledger import ORCHESTRATOR, Violation, role_of
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
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec, find, first, next_phase
from cc_ci_orch.core.policy import STOP_GRACE, Policy
from cc_ci_orch.core.protocol import Word
from cc_ci_orch.core.standing import Gate, Standing, standing, turn
from cc_ci_orch.core.step import Decision
from cc_ci_orch.core.text import span

QUIET = frozenset({Liveness.IDLE, Liveness.WAITING, Liveness.EXITED, Liveness.ABSENT})
"""What a role does that has ended its turn."""


def standing_of(course: Course, phases: Sequence[PhaseSpec]) -> Standing:
    """Where the present phase stands by all that is known."""
    spec = find(phases, course.phase)
    return standing(course.ledger, spec.id, spec.gates)


# --------------------------------------------------------------------------- what is new


def follow(decision: Decision, snapshot: Snapshot) -> Decision:
    """Take in what is new on the branch; notice the end of the phase."""
    course = decision.memory.course
    if not snapshot.phases or not course.phase:
        return decision
    if snapshot.news is not None and snapshot.news.since == course.ledger.head:
        decision = _take_news(decision, snapshot, snapshot.news)
    course = decision.memory.course
    if course.state is PhaseState.RUNNING:
        now = standing_of(course, snapshot.phases)
        decision = _with(decision, replace(decision.memory.course, turn=turn(now)))
        if now.complete:
            decision = _complete(decision, snapshot)
    return decision


def _take_news(decision: Decision, snapshot: Snapshot, news: News) -> Decision:
    course = decision.memory.course
    before = standing_of(course, snapshot.phases)
    ledger, violations = ledgers.advance(
        course.ledger, news.commits, news.head, snapshot.identity, news.rewritten
    )
    course = replace(course, ledger=ledger)
    decision = _with(decision, course)
    after = standing_of(course, snapshot.phases)
    decision = _say_gates(decision, before, after)
    for violation in violations:
        decision = _say_violation(decision, violation, course.phase)
    decision = _note_commits(decision, news, snapshot)
    if course.state is PhaseState.RUNNING:
        decision = _hand_off(decision, snapshot, before, after, violations)
    return decision


def _say_gates(decision: Decision, before: Standing, after: Standing) -> Decision:
    """Events for what became of the gates."""
    earlier = {gate.id: gate for gate in before.gates}
    for gate in after.gates:
        old = earlier.get(gate.id, Gate(gate.id))
        if gate.claim and gate.open and (gate.claim, True) != (old.claim, old.open):
            why = f"claimed in {gate.claim.commit[:7]}"
            decision = decision.record(
                _gate_event(Name.GATE_CLAIMED, after.phase, gate.id, gate.claim.attempt, why)
            )
        if gate.verdict and (gate.verdict, gate.answers) != (old.verdict, old.answers):
            passed = gate.verdict.word is Word.PASS
            name = Name.GATE_PASSED if passed else Name.GATE_FAILED
            why = f"judged in {gate.verdict.commit[:7]}"
            decision = decision.record(
                _gate_event(name, after.phase, gate.id, gate.verdict.attempt, why)
            )
    return decision


def _gate_event(name: Name, phase: str, gate: str, attempt: int, why: str) -> Event:
    by = "builder" if name is Name.GATE_CLAIMED else "adversary"
    return Event(name, why, phase=phase, gate=gate, attempt=attempt, by=by)


def _say_violation(decision: Decision, violation: Violation, phase: str) -> Decision:
    who = f"the {violation.by}" if violation.by else "someone else"
    commit = violation.commit[:7]
    if violation.file is None:
        why = f"the history of the work branch was rewritten; its head is now {commit}"
    else:
        why = f"{violation.file} was changed by {who} in {commit}; that does not count"
    evidence = {"commit": violation.commit, "file": violation.file}
    event = Event(
        Name.PROTOCOL_VIOLATION, why, phase=phase, by=violation.by or "unknown", evidence=evidence
    )
    note = Notify(f"violation:{violation.commit}:{violation.file}", "protocol violation", why)
    return decision.record(event).then(note)


def _note_commits(decision: Decision, news: News, snapshot: Snapshot) -> Decision:
    """A role's commit is progress, and ends its row of nudges."""
    authors = {role_of(commit.author, snapshot.identity) for commit in news.commits}
    for name in sorted(authors & {spec.name for spec in snapshot.roles}):
        mem = decision.role(name)
        mem = replace(
            mem,
            progress_at=snapshot.mono,
            progress_by="a commit",
            idle_nudges=0,
            nudged_at=None,
        )
        decision = decision.with_role(name, mem)
    return decision


def _hand_off(
    decision: Decision,
    snapshot: Snapshot,
    before: Standing,
    after: Standing,
    violations: Sequence[Violation],
) -> Decision:
    """Number what changed, and put it into the inboxes."""
    course = decision.memory.course
    found = handoffs(before, after, course.entry, course.next_handoff, violations, course.known)
    local = {spec.name for spec in snapshot.roles}
    for handoff in found:
        course = replace(
            course, known=(*course.known, handoff.key), next_handoff=handoff.number + 1
        )
        decision = _with(decision, course)
        if handoff.to == ORCHESTRATOR:
            title = f"the {handoff.by} is blocked"
            decision = decision.then(Notify(f"blocked:{handoff.name}", title, handoff.text))
        if handoff.to in local or handoff.to == ORCHESTRATOR:
            decision = decision.record(inbox.event(Name.HANDOFF_SEEN, handoff, handoff.text))
        if handoff.to in local:
            mem = decision.role(handoff.to)
            mem = replace(mem, inbox=(*mem.inbox, handoff), inbox_retry_at=0.0, inbox_tries=0)
            decision = decision.with_role(handoff.to, mem)
    return decision


# ---------------------------------------------------------------------- the end of a phase


def _complete(decision: Decision, snapshot: Snapshot) -> Decision:
    """The phase is complete: drain, and go on to the next one."""
    course = decision.memory.course
    after = next_phase(snapshot.phases, course.phase, course.deferred)
    return _begin_draining(
        decision, snapshot, goal=after.id if after else "", completed=True, by="watchdog"
    )


def _begin_draining(
    decision: Decision, snapshot: Snapshot, *, goal: str, completed: bool, by: str
) -> Decision:
    course = replace(
        decision.memory.course,
        state=PhaseState.DRAINING,
        since=snapshot.mono,
        goal=goal,
        completed=completed,
        by=by,
        turn=frozenset(),
    )
    decision = _with(decision, course)
    for spec in snapshot.roles:
        mem = decision.role(spec.name)
        for handoff in mem.inbox:
            lapsed = inbox.event(Name.HANDOFF_FAILED, handoff, "it lapses: the phase is over")
            decision = decision.record(lapsed)
        decision = decision.with_role(spec.name, replace(mem, inbox=()))
    return decision


def drain(decision: Decision, snapshot: Snapshot, policy: Policy) -> Decision:
    """End the sessions of a phase that is over, one by one as they end their turn."""
    course = decision.memory.course
    if course.state is not PhaseState.DRAINING or snapshot.terminal is Seen.UNKNOWN:
        return decision
    waits: list[str] = []
    for spec in snapshot.roles:
        view = snapshot.sessions.get(spec.name)
        mem = decision.role(spec.name)
        if view is None or view.presence is Seen.ABSENT:
            if mem.ending is not None:
                waits.append(f"{spec.name} to end")
            continue
        waits.append(_wait_reason(decision, snapshot, spec.name, mem, policy))
        over = snapshot.mono - course.since >= policy.phase_drain
        if mem.ending is None and not mem.held and (over or mem.liveness in QUIET):
            decision = decision.with_role(spec.name, _end_turn(mem, course))
            decision = decision.wake_by(snapshot.mono)
    waiting_for = ", ".join(waits)
    decision = _with(decision, replace(decision.memory.course, waiting_for=waiting_for))
    decision = decision.wake_by(course.since + policy.phase_drain)
    return decision if waits else _move_on(decision, snapshot)


def _wait_reason(
    decision: Decision, snapshot: Snapshot, role: str, mem: RoleMemory, policy: Policy
) -> str:
    if mem.held:
        return f"{role}, which a person holds"
    if mem.ending is not None:
        return f"{role} to end"
    left = decision.memory.course.since + policy.phase_drain - snapshot.mono
    return f"{role} to end its turn (at most {span(max(0.0, left))})"


def _end_turn(mem: RoleMemory, course: Course) -> RoleMemory:
    why = f"phase {course.phase} is over"
    return replace(
        mem,
        typing=None,
        interrupting=None,
        ending=Ending(Then.STAY_DOWN, why, STOP_GRACE, course.by, checked=False),
    )


def _move_on(decision: Decision, snapshot: Snapshot) -> Decision:
    """Every session is down: record the end, and begin what comes next."""
    course = decision.memory.course
    done = course.phase
    if course.completed:
        commit = course.ledger.head
        why = "done, every gate passed, and the final review passed"
        decision = decision.record(
            Event(Name.PHASE_COMPLETED, why, phase=done, evidence={"commit": commit})
        ).then(Notify(f"completed:{course.entry}", f"phase {done} is complete", why))
    if course.goal:
        return enter(decision, snapshot, course.goal, course.by)
    decision = _with(
        decision,
        replace(course, state=PhaseState.COMPLETE, turn=frozenset(), waiting_for=""),
    )
    text = "no phase is left; the loops have stopped"
    return decision.then(Notify("all complete", "all phases are complete", text))


def enter(decision: Decision, snapshot: Snapshot, phase: str, by: str) -> Decision:
    """Begin a phase: a new entry, fresh conversations, nothing pending."""
    old = decision.memory.course
    spec = find(snapshot.phases, phase)
    course = Course(
        phase=phase,
        entry=old.entry + 1,
        deferred=old.deferred - {phase},
        ledger=ledgers.enter(old.ledger, phase),
        next_handoff=old.next_handoff,
    )
    course = replace(course, turn=turn(standing_of(course, snapshot.phases)))
    decision = _with(decision, course)
    for role in snapshot.roles:
        mem = replace(
            decision.role(role.name),
            conversation=None,
            begun=False,
            inbox=(),
            mode=None,
            next_attempt=None,
            died_at=0.0,
            restart_times=(),
            deaths=0,
            early_deaths=0,
        )
        decision = decision.with_role(role.name, mem)
    if by == "operator" and old.phase:
        why = f"a person changed the phase from {old.phase} to {phase}"
        decision = decision.record(Event(Name.PHASE_CHANGED, why, phase=phase, by=by))
    evidence = {"entry": course.entry, "gates": spec.gates}
    started = Event(Name.PHASE_STARTED, spec.title, phase=phase, by=by, evidence=evidence)
    return decision.record(started).wake_by(snapshot.mono)


# ------------------------------------------------------------------------ what people ask


def begin(decision: Decision, snapshot: Snapshot, wanted: str) -> Decision:
    """A start: the wanted phase, else the one that was saved, else the first."""
    course = decision.memory.course
    if not snapshot.phases:
        return decision
    if wanted and (wanted != course.phase or course.state is PhaseState.COMPLETE):
        return enter(decision, snapshot, wanted, "operator")
    if course.phase:
        return decision
    spec = first(snapshot.phases, course.deferred)
    if spec is None:
        return _with(decision, replace(course, state=PhaseState.COMPLETE))
    return enter(decision, snapshot, spec.id, "operator")


def change(decision: Decision, snapshot: Snapshot, what: str, phase: str) -> tuple[Decision, str]:
    """`set`, `advance` or `defer`, as a person asked; with the words of the answer."""
    course = decision.memory.course
    if what == "defer":
        course = replace(course, deferred=course.deferred | {phase})
        decision = _with(decision, course)
        if phase != course.phase or course.state is not PhaseState.RUNNING:
            why = f"a person deferred phase {phase}"
            event = Event(Name.PHASE_CHANGED, why, phase=phase, by="operator")
            return decision.record(event), f"phase {phase} is deferred"
    goal = phase
    if what in ("defer", "advance"):
        after = next_phase(snapshot.phases, course.phase or snapshot.phases[0].id, course.deferred)
        goal = after.id if after else ""
    if what == "set" and goal == course.phase and course.state is PhaseState.RUNNING:
        return decision, f"phase {goal} is the present one"
    if course.state is PhaseState.COMPLETE or not course.phase:
        if not goal:
            return decision, "no phase is left"
        return enter(decision, snapshot, goal, "operator"), f"phase {goal} begins"
    decision = _begin_draining(decision, snapshot, goal=goal, completed=False, by="operator")
    then = f"then phase {goal} begins" if goal else "then no phase is left"
    return decision, f"phase {course.phase} ends: the agents may finish their turn, {then}"


def _with(decision: Decision, course: Course) -> Decision:
    return replace(decision, memory=replace(decision.memory, course=course))
