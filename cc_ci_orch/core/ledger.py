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

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

from cc_ci_orch.core.lines import NOTHING, Line, Record, carry, chosen, entries_of, say
from cc_ci_orch.core.protocol import Entry, File, Word, key_of, parse

BUILDER = "builder"
ADVERSARY = "adversary"
ORCHESTRATOR = "orchestrator"

OWNERS: Mapping[File, frozenset[str]] = {
    File.STATUS: frozenset({BUILDER}),
    File.REVIEW: frozenset({ADVERSARY, ORCHESTRATOR}),
}

JUDGED_KEPT = 1000
"""Commits remembered that changed a file, so that one which comes again, when a rewritten
history is put back, neither says nor breaks anything a second time."""


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


def advance(
    ledger: Ledger,
    commits: Iterable[Commit],
    head: Version,
    identity: str,
    rewritten: bool = False,
) -> tuple[Ledger, tuple[Violation, ...]]:
    """The branch has moved to `head`; `commits` are new on it since `ledger.head`.

    `rewritten`: the old head is not an ancestor of the new one; then `commits` are those
    since their merge base (maybe none). A violation is returned once for each commit and file.
    """
    new = tuple(commits)
    again = rewritten or not {c.version.id for c in new}.isdisjoint(ledger.judged)
    fold = _Fold(ledger, identity, again)
    for commit in new:
        fold.add(commit)
    books = fold.books_at(head)
    if again:
        books = {file: _keep_seen(ledger.book(file), book) for file, book in books.items()}
    rewrite = (Violation(Breach.REWRITTEN, head.id),) if rewritten else ()
    after = replace(
        ledger,
        head=head.id,
        order=fold.order,
        status=books[File.STATUS],
        review=books[File.REVIEW],
        claims=fold.claims,
        judged=tuple(fold.judged)[-JUDGED_KEPT:],
    )
    return after, (*rewrite, *fold.violations)


class _Fold:
    """The books at each commit of one `advance`."""

    def __init__(self, ledger: Ledger, identity: str, again: bool) -> None:
        self.ledger = ledger
        self.identity = identity
        self.again = again  # some of it may have been seen before
        self.order = ledger.order
        self.known: dict[str, Mapping[File, Book]] = {
            ledger.head: {file: ledger.book(file) for file in File}
        }
        self.claims = dict(ledger.claims)
        self.judged = dict.fromkeys(ledger.judged)
        self.violations: list[Violation] = []

    def add(self, commit: Commit) -> None:
        self.order += 1
        parents = [(parent, self.books_at(parent)) for parent in commit.parents]
        self.known[commit.version.id] = {
            file: self._book(commit, file, [(v.of(file), books[file]) for v, books in parents])
            for file in File
        }

    def books_at(self, version: Version) -> Mapping[File, Book]:
        """Those at the old head or a commit of this advance; else (an older commit, from
        which a branch was merged) as far as its files and the ledger tell."""
        if version.id not in self.known:
            self.known[version.id] = {
                file: _older(self.ledger.book(file), version.of(file), file) for file in File
            }
        return self.known[version.id]

    def _book(
        self, commit: Commit, file: File, parents: Sequence[tuple[bytes | None, Book]]
    ) -> Book:
        content = commit.version.of(file)
        olds = parents or [(None, {})]
        judged = all(content != old for old, _ in olds)
        if not judged and len(olds) == 1:
            return olds[0][1]
        role = role_of(commit.author, self.identity)
        owner = role in OWNERS[file]
        if judged and not owner and commit.version.id not in self.ledger.judged:
            self.violations.append(Violation(Breach.AUTHOR, commit.version.id, file, role))
        if judged:
            self.judged[commit.version.id] = None
        sheet = parse(content, file)
        book: dict[str, Record] = {}
        for key in dict.fromkeys([*(k for _, old in olds for k in old), *sheet]):
            records = [old.get(key, NOTHING) for _, old in olds]
            entries = sheet.get(key, ())
            base = chosen(records, entries if owner else None)
            book[key] = carry(base, records, entries, fresh=owner)
            if owner and judged:
                kept = content is not None and entries in [entries_of(r.lines) for r in records]
                book[key] = self._write(book[key], kept, commit.version.id)
                if file is File.STATUS:
                    self._note_claim(key, book[key])
        return book

    def _write(self, record: Record, kept: bool, commit: str) -> Record:
        """One key in a commit by which the owner changed the file. `kept`: not these lines."""
        said = entries_of(line for line in record.lines if line.clean)
        if said == record.said:
            return replace(record, held=self.order)
        return record if kept else say(record, said, self.order, commit)

    def _note_claim(self, key: str, record: Record) -> None:
        entry = record.newest
        if entry is None or entry.word not in (Word.CLAIMED, Word.DONE):
            return
        if self.again and entry.line in self.ledger.status.get(key, NOTHING).past:
            return
        made = self.claims.get(key, ())
        if entry.attempt not in [claim.attempt for claim in made]:
            self.claims[key] = (*made, Claim(entry.attempt, self.order))


def _forget(record: Record, order: int) -> Record:
    lines = tuple(replace(line, clean=False) for line in record.lines)
    past = record.past | {entry.line for entry in record.said}
    return Record(lines, changed=order, past=past)


def _older(book: Book, content: bytes | None, file: File) -> Book:
    """The book at a commit before the ledger's head. Lines that were never said don't count."""
    sheet = parse(content, file)
    older: dict[str, Record] = {}
    for key in dict.fromkeys([*book, *sheet]):
        record, entries = book.get(key, NOTHING), sheet.get(key, ())
        if entries_of(record.lines) == entries:
            older[key] = record
            continue
        foreign = {line.entry for line in record.lines if not line.clean}
        lines = tuple(
            replace(line, clean=line.entry.line in record.past and line.entry not in foreign)
            if not line.clean
            else line
            for line in carry(record, [record], entries, fresh=False).lines
        )
        said = entries_of(line for line in lines if line.clean)
        older[key] = Record(lines, said, past=record.past)
    return older


def _keep_seen(before: Book, after: Book) -> Book:
    """After a rewrite: what was said before stays said, what is new comes behind it."""
    return {
        key: _kept(before.get(key, NOTHING), after.get(key, NOTHING))
        for key in dict.fromkeys([*before, *after])
    }


def _kept(old: Record, new: Record) -> Record:
    seen = old.past | {entry.line for entry in old.said}
    fresh: tuple[Entry, ...] = tuple(e for e in new.said if e.line not in seen)
    record = say(old, old.said + fresh, new.changed, new.since) if fresh else old
    own = replace(record, lines=tuple(Line(entry, True) for entry in record.said))
    return carry(record, [own], entries_of(new.lines), fresh=False)
