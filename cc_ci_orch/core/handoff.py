"""What changed -> the messages that pass the turn, numbered.

A message is built only from checked tokens: phase, gate, attempt, word, role, short commit;
never from text that an agent wrote. One change has one number: `Handoff.key` tells a change
from every other one, and a change whose key is known gets no second number, however often
and in whatever portions the history is read.

    a claim opened                  to the adversary
    a verdict that answers a claim  to the builder (changed, it is a new one)
    phase: DONE                     to the adversary
    its PASS or FAIL                to the builder; not the PASS that completes the phase
    phase: BLOCKED by either        to the orchestrator
    a violation                     to both roles
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from cc_ci_orch.core.ledger import ADVERSARY, BUILDER, ORCHESTRATOR, Violation
from cc_ci_orch.core.protocol import ID_PATTERN, PHASE, File, Word
from cc_ci_orch.core.standing import OWN_FILE, Gate, Say, Standing

_ID = re.compile(ID_PATTERN)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_ROLES = (BUILDER, ADVERSARY, ORCHESTRATOR)


class Kind(StrEnum):
    """What a hand-off is about."""

    CLAIM = "claim"
    VERDICT = "verdict"
    DONE = "done"
    REVIEW = "review"
    BLOCKED = "blocked"
    VIOLATION = "violation"


TEXTS: Mapping[tuple[Kind, str], str] = {
    (Kind.CLAIM, Word.CLAIMED): (
        "gate {gate} of phase {phase} is claimed {where}. Verify it and write your verdict into "
        "REVIEW.md: {gate}: PASS #{attempt} or {gate}: FAIL #{attempt}."
    ),
    (Kind.VERDICT, Word.PASS): (
        "gate {gate} of phase {phase} passed {where}. Go on with what is left."
    ),
    (Kind.VERDICT, Word.FAIL): (
        "gate {gate} of phase {phase} failed {where}. Read why in REVIEW.md, fix it and claim "
        "the next attempt in STATUS.md: {gate}: CLAIMED #{again} or higher."
    ),
    (Kind.DONE, Word.DONE): (
        "phase {phase} is said to be DONE {where}. Do the final review and write its result "
        "into REVIEW.md: phase: PASS #{attempt} or phase: FAIL #{attempt}."
    ),
    (Kind.REVIEW, Word.PASS): (
        "the final review of phase {phase} passed {where}, but the phase is not complete: "
        "every gate must have passed, and phase: DONE must stand in STATUS.md."
    ),
    (Kind.REVIEW, Word.FAIL): (
        "the final review of phase {phase} failed {where}. Read why in REVIEW.md, fix it and "
        "say so in STATUS.md: phase: DONE #{again} or higher."
    ),
    (Kind.BLOCKED, BUILDER): (
        "the builder is BLOCKED in phase {phase} {where}. Read why in STATUS.md and see to it."
    ),
    (Kind.BLOCKED, ADVERSARY): (
        "the adversary is BLOCKED in phase {phase} {where}. Read why in REVIEW.md and see to it."
    ),
    (Kind.VIOLATION, "owner"): (
        "commit {commit} by {by} changed {file}, which is yours. That change does not count. "
        "Look at it, and write anew what you stand by."
    ),
    (Kind.VIOLATION, "other"): (
        "commit {commit} by {by} changed {file}, which is not yours. That change does not "
        "count. Leave the repair to the owner of the file."
    ),
    (Kind.VIOLATION, "history"): (
        "the history of the work branch was rewritten, its head is now {commit}. What was seen "
        "before still counts. Check that nothing of yours is lost, and never push by force."
    ),
}


@dataclass(frozen=True)
class Handoff:
    """A message on its way. ValueError: one of its tokens is not what it should be."""

    number: int
    to: str
    kind: Kind
    entry: int
    """Which entry of a phase this belongs to; a phase entered again is another entry."""
    phase: str
    gate: str
    """A gate, or `phase`."""
    commit: str
    attempt: int = 1
    word: Word | None = None
    answers: int = 0
    """For a verdict: how many claims it answers; one that answers one more is a new change."""
    by: str = ""
    """Who broke the rules; empty for anyone but the three roles."""
    file: File | None = None
    """The file that a violation changed; None: the history was rewritten."""

    def __post_init__(self) -> None:
        for id in (self.phase, self.gate):
            if not _ID.fullmatch(id):
                raise ValueError(f"{id!r} is no phase or gate id")
        if not _COMMIT.fullmatch(self.commit):
            raise ValueError(f"{self.commit!r} is no commit id")
        if self.to not in _ROLES or self.by not in ("", *_ROLES):
            raise ValueError(f"{self.to!r} or {self.by!r} is no role")
        if (self.kind, self._variant) not in TEXTS:
            raise ValueError(f"a {self.kind} does not say {self._variant}")

    @property
    def name(self) -> str:
        return f"H-{self.number}"

    @property
    def key(self) -> str:
        """The same for the same change and recipient, and for no other."""
        change = replace(self, number=0)
        return " ".join(str(value) for value in vars(change).values())

    @property
    def text(self) -> str:
        """The message as it is typed: one line."""
        text = TEXTS[self.kind, self._variant].format(
            gate=self.gate,
            phase=self.phase,
            attempt=self.attempt,
            again=self.attempt + 1,
            commit=self.commit[:7],
            where=f"(attempt {self.attempt}, commit {self.commit[:7]})",
            by=f"the {self.by}" if self.by else "someone else",
            file=self.file,
        )
        return f"{self.name}: {text}"

    @property
    def _variant(self) -> str:
        if self.kind is Kind.BLOCKED:
            return self.by
        if self.kind is not Kind.VIOLATION:
            return self.word or ""
        if self.file is None:
            return "history"
        return "owner" if OWN_FILE.get(self.to) is self.file else "other"


def handoffs(
    before: Standing,
    after: Standing,
    entry: int,
    next_number: int,
    violations: Iterable[Violation] = (),
    known: Iterable[str] = (),
) -> tuple[Handoff, ...]:
    """The messages for what changed, numbered from `next_number`; `known` are the keys of
    those that already have a number. A phase that is now complete hands nothing off."""
    if after.complete:
        return ()
    keys = frozenset(known)
    changes = (*_broken(violations, after, entry), *_changes(before, after, entry))
    new = [handoff for handoff in changes if handoff.key not in keys]
    return tuple(replace(handoff, number=number) for number, handoff in enumerate(new, next_number))


def _broken(violations: Iterable[Violation], after: Standing, entry: int) -> Iterator[Handoff]:
    for violation in violations:
        for role in (BUILDER, ADVERSARY):
            yield Handoff(
                number=0,
                to=role,
                kind=Kind.VIOLATION,
                entry=entry,
                phase=after.phase,
                gate=PHASE,
                commit=violation.commit,
                by=violation.by,
                file=violation.file,
            )


def _changes(before: Standing, after: Standing, entry: int) -> Iterator[Handoff]:
    def tell(to: str, kind: Kind, gate: str, say: Say, answers: int = 0, by: str = "") -> Handoff:
        return Handoff(
            number=0,
            to=to,
            kind=kind,
            entry=entry,
            phase=after.phase,
            gate=gate,
            commit=say.commit,
            attempt=say.attempt,
            word=say.word,
            answers=answers,
            by=by,
        )

    earlier = {gate.id: gate for gate in (*before.gates, before.end)}
    for gate in (*after.gates, after.end):
        old = earlier.get(gate.id, Gate(gate.id))
        claim, verdict = (
            (Kind.DONE, Kind.REVIEW) if gate.id == PHASE else (Kind.CLAIM, Kind.VERDICT)
        )
        if gate.verdict and (gate.verdict, gate.answers) != (old.verdict, old.answers):
            yield tell(BUILDER, verdict, gate.id, gate.verdict, answers=gate.answers)
        if gate.claim and gate.open and (gate.claim, True) != (old.claim, old.open):
            yield tell(ADVERSARY, claim, gate.id, gate.claim)
    for role, say in after.says_blocked.items():
        if before.says_blocked.get(role) != say:
            yield tell(ORCHESTRATOR, Kind.BLOCKED, PHASE, say, by=role)
