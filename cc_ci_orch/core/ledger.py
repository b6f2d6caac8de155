"""The history of the work branch -> what each role has rightfully said, and who broke in.

Commits come oldest first, parents before children; a commit is judged against its own
parents. A file that equals the one of a parent is no change, also in a merge.

- STATUS.md is the builder's, REVIEW.md the adversary's (and the orchestrator's), by the
  commit's author. A change by anyone else is a violation: nothing in it counts.
- What counts is kept key by key (a gate, or `phase`): the owner's newest lines of that key.
  A commit of the owner that leaves a key's lines as it found them says nothing about that
  key: what a violation brought in is not laundered, what it deleted or moved still counts.
- Where the owner does change a key's lines, they count, less those that a violation brought
  in and that were merely kept (`lines.py`).
- A file that its owner deletes says nothing any more. A merge by another can't drop what an
  owner said: of the parents the newest rightful word stays. The owner's merge can.
- Rewritten history is a violation. What was rightfully seen stays seen, lines that were once
  seen and replaced don't come back, lines never seen before count on. Likewise where commits
  come a second time, because an old history was put back.
- A claim is *made* when it is the newest word of its key in a rightful commit; the order of
  that commit is kept for each attempt, for a verdict counts only from a rightful commit of
  REVIEW.md that comes later and holds it (`standing.py`). Order is that of the list.
- A phase that is entered again starts clean: the lines that are there at that moment don't
  count until they are written anew, attempts may start at 1 again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cc_ci_orch.core.lines import NOTHING, Record
from cc_ci_orch.core.protocol import File, key_of

BUILDER = "builder"
ADVERSARY = "adversary"
ORCHESTRATOR = "orchestrator"

OWNERS: Mapping[File, frozenset[str]] = {
    File.STATUS: frozenset({BUILDER}),
    File.REVIEW: frozenset({ADVERSARY, ORCHESTRATOR}),
}


@dataclass(frozen=True)
class Version:
    """The two files at one commit. None: no such file. Bytes beyond `READ_LIMIT` + 1 are
    never needed and may be left away."""

    id: str
    status: bytes | None = None
    review: bytes | None = None

    def of(self, file: File) -> bytes | None:
        return self.status if file is File.STATUS else self.review


@dataclass(frozen=True)
class Commit:
    """A commit with its files, its author's e-mail, and the files at each parent."""

    version: Version
    author: str
    parents: tuple[Version, ...] = ()


class Breach(StrEnum):
    """How the rules were broken."""

    AUTHOR = "author"
    REWRITTEN = "rewritten"


@dataclass(frozen=True)
class Violation:
    """`by`: builder, adversary, orchestrator, or empty for anyone else and for a rewrite."""

    breach: Breach
    commit: str
    file: File | None = None
    by: str = ""


Book = Mapping[str, Record]
"""One file: a record for each `key_of`."""


@dataclass(frozen=True)
class Claim:
    """An attempt, and the order of the commit that first claimed it."""

    attempt: int
    order: int


@dataclass(frozen=True)
class Ledger:
    """All that is known of the branch up to `head`; made of what `codec.py` can save."""

    head: str = ""
    order: int = 0
    """Commits seen so far; the order of the newest."""
    status: Book = field(default_factory=dict)
    review: Book = field(default_factory=dict)
    claims: Mapping[str, tuple[Claim, ...]] = field(default_factory=dict)
    entered: frozenset[str] = frozenset()
    judged: tuple[str, ...] = ()
    """The newest commits that changed one of the files."""

    def book(self, file: File) -> Book:
        return self.status if file is File.STATUS else self.review

    def record(self, file: File, phase: str, key: str) -> Record:
        return self.book(file).get(key_of(phase, key), NOTHING)


def role_of(email: str, identity: str) -> str:
    """The role whose author identity this e-mail is, or nothing."""
    for role in (BUILDER, ADVERSARY, ORCHESTRATOR):
        if email == f"{role}@{identity}.invalid":
            return role
    return ""


def enter(ledger: Ledger, phase: str) -> Ledger:
    """A phase begins. The first time, what was said before counts too (another host may be
    ahead of this one); each time after that, only what is committed from now on."""
    if phase not in ledger.entered:
        return replace(ledger, entered=ledger.entered | {phase})

    def clean(book: Book) -> Book:
        mine = key_of(phase, "")
        return {k: _forget(r, ledger.order) if k.startswith(mine) else r for k, r in book.items()}

    return replace(
        ledger,
        status=clean(ledger.status),
        review=clean(ledger.review),
        claims={k: c for k, c in ledger.claims.items() if not k.startswith(key_of(phase, ""))},
    )


def _forget(record: Record, order: int) -> Record:
    lines = tuple(replace(line, clean=False) for line in record.lines)
    past = record.past | {entry.line for entry in record.said}
    return Record(lines, changed=order, past=past)
