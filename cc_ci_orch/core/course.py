"""What is new on the work branch, and what follows from it: events, hand-offs, whose turn it is.

- What came goes into the ledger. What changed by it becomes events and hand-offs. A hand-off
  stands in its recipient's inbox, in the memory that is written down before anything is typed,
  until its delivery is proved.
- The ledger's head is written down with all that followed from it, so whatever is read twice
  is new only once.
- An instance tells its own roles. What concerns a role that runs elsewhere is seen to there.
- What one look finds of one author in one file is one violation: a person who imports an old
  repository is told of it once, not once for each of its commits.

How one phase ends and the next one begins is in `passage.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from cc_ci_orch.core import fold, inbox
from cc_ci_orch.core.actions import Notify
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.handoff import Handoff, handoffs
from cc_ci_orch.core.ledger import BUILDER, ORCHESTRATOR, OWNERS, Violation
from cc_ci_orch.core.model import Course, PhaseState, Snapshot, Wanted
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.protocol import Word
from cc_ci_orch.core.standing import Gate, Standing, standing, turn
from cc_ci_orch.core.step import Decision

COMMITS_SHOWN = 20
"""Commits of a violation that its event names."""


def planned(course: Course, phases: Sequence[PhaseSpec]) -> PhaseSpec | None:
    """The present phase; None before the first one, and where the plan no longer has it."""
    return next((phase for phase in phases if phase.id == course.phase), None)


def standing_of(course: Course, spec: PhaseSpec) -> Standing:
    """Where the present phase stands by all that is known."""
    return standing(course.ledger, spec.id, spec.gates)


def with_course(decision: Decision, course: Course) -> Decision:
    return replace(decision, memory=replace(decision.memory, course=course))


def follow(decision: Decision, snapshot: Snapshot) -> Decision:
    """Take in what is new on the branch. Where the plan doesn't have the phase any more, it
    stays new until it has."""
    course = decision.memory.course
    spec = planned(course, snapshot.phases)
    if spec is None:
        return decision
    if snapshot.news is not None and snapshot.news.since == course.ledger.head:
        decision = _take_news(decision, snapshot, spec, snapshot.news)
    course = decision.memory.course
    if course.state is PhaseState.RUNNING:
        now_on = turn(standing_of(course, spec))
        decision = with_course(decision, replace(course, turn=now_on))
    return decision


def _take_news(decision: Decision, snapshot: Snapshot, spec: PhaseSpec, news: News) -> Decision:
    course = decision.memory.course
    before = standing_of(course, spec)
    ledger, violations = fold.advance(
        course.ledger, news.commits, news.head, snapshot.identity, news.rewritten
    )
    course = replace(course, ledger=ledger)
    decision = with_course(decision, course)
    decision = _note_commits(decision, news, snapshot)
    newest: list[Violation] = []
    for alike in _alike(violations):
        decision = _say_violation(decision, snapshot, alike)
        newest.append(alike[-1])
    return say_changes(decision, snapshot, before, standing_of(course, spec), newest)


def _note_commits(decision: Decision, news: News, snapshot: Snapshot) -> Decision:
    """A role's commit is progress, and ends its row of nudges."""
    authors = {commit.author for commit in news.commits}
    for spec in snapshot.roles:
        if f"{spec.name}@{snapshot.identity}.invalid" in authors:
            mem = replace(
                decision.role(spec.name),
                progress_at=snapshot.mono,
                progress_by="a commit",
                quiet_from=snapshot.mono,
                idle_nudges=0,
                nudged_at=None,
            )
            decision = decision.with_role(spec.name, mem)
    return decision


# ----------------------------------------------------------------------------- what changed


def say_changes(
    decision: Decision,
    snapshot: Snapshot,
    before: Standing,
    after: Standing,
    violations: Sequence[Violation] = (),
) -> Decision:
    """Events for what became of the gates; and, while the phase runs, the hand-offs."""
    decision = _say_gates(decision, before, after)
    course = decision.memory.course
    if course.state is not PhaseState.RUNNING:
        return decision
    found = handoffs(before, after, course.entry, course.next_handoff, violations, course.known)
    for handoff in found:
        course = decision.memory.course
        known = (*course.known, handoff.key)
        course = replace(course, known=known, next_handoff=handoff.number + 1)
        decision = _hand_out(with_course(decision, course), snapshot, handoff)
    return decision


def _say_gates(decision: Decision, before: Standing, after: Standing) -> Decision:
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


def _hand_out(decision: Decision, snapshot: Snapshot, handoff: Handoff) -> Decision:
    """Put it into its recipient's inbox, where that is here."""
    local = {
        spec.name
        for spec in snapshot.roles
        if not spec.apart or decision.role(spec.name).wanted is Wanted.UP
    }
    if handoff.to == ORCHESTRATOR and handoff.by in local:
        title = f"the {handoff.by} is blocked"
        decision = decision.then(Notify(f"blocked:{handoff.name}", title, handoff.text))
        decision = decision.record(inbox.event(Name.HANDOFF_SEEN, handoff, handoff.text))
        if ORCHESTRATOR not in local:
            why = "it lapses: the orchestrator has no session here; a person is told"
            return decision.record(inbox.event(Name.HANDOFF_FAILED, handoff, why))
    elif handoff.to in local:
        decision = decision.record(inbox.event(Name.HANDOFF_SEEN, handoff, handoff.text))
    if handoff.to not in local:
        return decision
    mem = decision.role(handoff.to)
    mem = replace(mem, inbox=(*mem.inbox, handoff), inbox_retry_at=0.0, inbox_tries=0)
    return decision.with_role(handoff.to, mem)


# -------------------------------------------------------------------------------- violations


def _alike(violations: Iterable[Violation]) -> list[list[Violation]]:
    """Those of the same author in the same file together, in their order."""
    found: dict[object, list[Violation]] = {}
    for violation in violations:
        found.setdefault((violation.file, violation.by), []).append(violation)
    return list(found.values())


def _say_violation(decision: Decision, snapshot: Snapshot, alike: list[Violation]) -> Decision:
    """An event; and a notification by the instance that runs the owner of the file."""
    newest = alike[-1]
    who = f"the {newest.by}" if newest.by else "someone else"
    commit = newest.commit[:7]
    if newest.file is None:
        why = f"the history of the work branch was rewritten; its head is now {commit}"
    else:
        more = f" and {len(alike) - 1} before" if len(alike) > 1 else ""
        why = f"{newest.file} was changed by {who} in {commit}{more}; that does not count"
    evidence = {
        "file": newest.file,
        "commits": [violation.commit for violation in alike[-COMMITS_SHOWN:]],
        "count": len(alike),
    }
    event = Event(
        Name.PROTOCOL_VIOLATION,
        why,
        phase=decision.memory.course.phase,
        by=newest.by or "unknown",
        evidence=evidence,
    )
    decision = decision.record(event)
    owners = OWNERS[newest.file] if newest.file else {BUILDER}
    if owners.isdisjoint(spec.name for spec in snapshot.roles):
        return decision
    cause = f"violation:{newest.commit}:{newest.file}"
    return decision.then(Notify(cause, "protocol violation", why))
