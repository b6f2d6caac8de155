"""Where a phase stands: its gates, its end, who is blocked, whose turn it is.

- A verdict *answers* a claim if its attempt is that of the claim or a higher one, and a
  rightful commit of REVIEW.md that holds it came after the claim was made. One that answers
  no claim counts for nothing: it was written in advance.
- A claim is open if it is the newest word of its gate and nothing answers it. `WIP` with the
  same attempt (further down) or a higher one takes it back.
- A gate has passed if its newest verdict is PASS and no claim is open. `phase: DONE` and its
  verdict likewise; the phase is complete if that and all gates have passed.
- Turn: the adversary's while a claim or DONE is open. The builder's while a gate has neither
  passed nor an open claim, and whenever it is not the adversary's. Both can be true. A
  complete phase is nobody's.
- A role whose newest `phase` line is BLOCKED is off turn, until that line changes or a
  machine-read line of the other role's file does (other than to say BLOCKED too).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cc_ci_orch.core.ledger import ADVERSARY, BUILDER, Claim, Ledger
from cc_ci_orch.core.lines import Record
from cc_ci_orch.core.protocol import PHASE, Entry, File, Word, key_of, newest

OWN_FILE: Mapping[str, File] = {BUILDER: File.STATUS, ADVERSARY: File.REVIEW}


@dataclass(frozen=True)
class Say:
    """What a line says, and the commit since which it is said."""

    word: Word
    attempt: int
    commit: str


@dataclass(frozen=True)
class Gate:
    """A gate; or with the id `phase` the phase itself, DONE being the claim."""

    id: str
    claim: Say | None = None
    open: bool = False
    verdict: Say | None = None
    """The newest verdict that answers a claim."""
    answers: int = 0
    """How many of the claims that were ever made it answers."""
    passed: bool = False


@dataclass(frozen=True)
class Standing:
    """A phase at one moment."""

    phase: str
    gates: tuple[Gate, ...]
    end: Gate
    says_blocked: Mapping[str, Say] = field(default_factory=dict)
    """Role -> its BLOCKED, whether or not it still keeps the role off turn."""
    blocked: frozenset[str] = frozenset()
    """The roles that are off turn because they are blocked."""

    @property
    def complete(self) -> bool:
        done = self.end.claim is not None and self.end.passed
        return done and all(gate.passed for gate in self.gates)


def standing(ledger: Ledger, phase: str, gates: Iterable[str]) -> Standing:
    """Where the phase stands by all that was rightfully said."""
    ids = tuple(gates)
    says = {role: say for role in OWN_FILE if (say := _says_blocked(ledger, role, phase))}
    return Standing(
        phase=phase,
        gates=tuple(_gate(ledger, phase, gate, Word.CLAIMED) for gate in ids),
        end=_gate(ledger, phase, PHASE, Word.DONE),
        says_blocked=says,
        blocked=frozenset(role for role in says if not _stirred(ledger, role, phase, ids)),
    )


def turn(state: Standing) -> frozenset[str]:
    """The roles that are expected to act; none only if complete or for who is blocked."""
    if state.complete:
        return frozenset()
    roles = set()
    if state.end.open or any(gate.open for gate in state.gates):
        roles.add(ADVERSARY)
    if not roles or not all(gate.passed or gate.open for gate in state.gates):
        roles.add(BUILDER)
    return frozenset(roles) - state.blocked


def _gate(ledger: Ledger, phase: str, gate: str, claiming: Word) -> Gate:
    status = ledger.record(File.STATUS, phase, gate)
    review = ledger.record(File.REVIEW, phase, gate)
    made = ledger.claims.get(key_of(phase, gate), ())
    claim = status.newest if status.newest and status.newest.word is claiming else None
    last = newest(entry for entry in review.said if entry.word is not Word.BLOCKED)
    answered = _answered(last, review, made)
    is_open = claim is not None and claim.attempt not in answered
    counts = last if answered and last is review.newest else None
    return Gate(
        id=gate,
        claim=_say(claim, status),
        open=is_open,
        verdict=_say(counts, review),
        answers=len(answered),
        passed=counts is not None and counts.word is Word.PASS and not is_open,
    )


def _answered(verdict: Entry | None, review: Record, made: Iterable[Claim]) -> set[int]:
    """The attempts that the gate's newest verdict answers; no older one answers more."""
    if verdict is None:
        return set()
    return {c.attempt for c in made if c.attempt <= verdict.attempt and c.order < review.held}


def _say(entry: Entry | None, record: Record) -> Say | None:
    return Say(entry.word, entry.attempt, record.since) if entry else None


def _says_blocked(ledger: Ledger, role: str, phase: str) -> Say | None:
    record = ledger.record(OWN_FILE[role], phase, PHASE)
    entry = record.newest
    return _say(entry, record) if entry and entry.word is Word.BLOCKED else None


def _stirred(ledger: Ledger, role: str, phase: str, gates: Iterable[str]) -> bool:
    """Whether the other role has said something since this one said BLOCKED."""
    other = BUILDER if role == ADVERSARY else ADVERSARY
    keys = [*gates] if _says_blocked(ledger, other, phase) else [*gates, PHASE]
    since = ledger.record(OWN_FILE[role], phase, PHASE).changed
    return any(ledger.record(OWN_FILE[other], phase, key).changed > since for key in keys)
