"""The commits since the last look -> the ledger after them, and the violations among them.

The rules are in `ledger.py`. There may be many thousand commits, made to be many: what is
done for one of them doesn't depend on how many came before it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cc_ci_orch.core.ledger import (
    OWNERS,
    Book,
    Breach,
    Claim,
    Commit,
    Ledger,
    Version,
    Violation,
    role_of,
)
from cc_ci_orch.core.lines import NOTHING, Line, Record, carry, chosen, entries_of, say
from cc_ci_orch.core.protocol import Entry, File, Sheet, Word, parse

JUDGED_KEPT = 1000
"""Commits remembered that changed a file, so that one which comes again, when a rewritten
history is put back, neither says nor breaks anything a second time."""


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
    books = fold.add_all(new, head)
    if again:
        books = {file: _keep_seen(ledger.book(file), book) for file, book in books.items()}
    rewrite = (Violation(Breach.REWRITTEN, head.id),) if rewritten else ()
    after = replace(
        ledger,
        head=head.id,
        order=fold.order,
        status=books[File.STATUS],
        review=books[File.REVIEW],
        claims=fold.all_claims(),
        judged=tuple(fold.judged)[-JUDGED_KEPT:],
    )
    return after, (*rewrite, *fold.violations)


class _Fold:
    """The books at each commit of one `advance`, as long as a coming one needs them."""

    def __init__(self, ledger: Ledger, identity: str, again: bool) -> None:
        self.ledger = ledger
        self.identity = identity
        self.again = again  # some of it may have been seen before
        self.order = ledger.order
        self.known: dict[str, Mapping[File, Book]] = {
            ledger.head: {file: ledger.book(file) for file in File}
        }
        self.claims: dict[str, dict[int, Claim]] = {}
        self.past = _Past()
        self.judged = dict.fromkeys(ledger.judged)
        self.seen = frozenset(ledger.judged)
        self.violations: list[Violation] = []
        self._parsed: dict[File, tuple[bytes | None, Sheet]] = {}

    def add_all(self, commits: Sequence[Commit], head: Version) -> Mapping[File, Book]:
        """The books at the head, once all the commits have come."""
        uses = Counter(parent.id for commit in commits for parent in commit.parents)
        uses[head.id] += 1
        for commit in commits:
            self.add(commit)
            uses.subtract(parent.id for parent in commit.parents)
            for parent in commit.parents:
                if not uses[parent.id]:
                    self.known.pop(parent.id, None)
        return {file: self.past.settle(file, b) for file, b in self.books_at(head).items()}

    def all_claims(self) -> Mapping[str, tuple[Claim, ...]]:
        made = {key: tuple(claims.values()) for key, claims in self.claims.items()}
        return {**self.ledger.claims, **made}

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
        if judged and not owner and commit.version.id not in self.seen:
            self.violations.append(Violation(Breach.AUTHOR, commit.version.id, file, role))
        if judged:
            self.judged[commit.version.id] = None
        before = self._sheet(olds[0][0], file)
        sheet = self._sheet(content, file)
        book: dict[str, Record] = dict(olds[0][1])
        for key in _touched(olds, before, sheet if content is not None else None):
            records = [old.get(key, NOTHING) for _, old in olds]
            entries = sheet.get(key, ())
            base = chosen(records, entries if owner else None)
            book[key] = carry(base, records, entries, fresh=owner)
            if owner and judged:
                kept = content is not None and entries in [entries_of(r.lines) for r in records]
                book[key] = self._write(book[key], kept, commit.version.id, file, key)
                if file is File.STATUS:
                    self._note_claim(key, book[key])
        return book

    def _sheet(self, content: bytes | None, file: File) -> Sheet:
        """The lines of the file; the last one that was read is likely to be asked for again."""
        if file not in self._parsed or self._parsed[file][0] != content:
            self._parsed[file] = content, parse(content, file)
        return self._parsed[file][1]

    def _write(self, record: Record, kept: bool, commit: str, file: File, key: str) -> Record:
        """One key in a commit by which the owner changed the file. `kept`: not these lines."""
        said = entries_of(line for line in record.lines if line.clean)
        if said == record.said:
            return replace(record, held=self.order)
        if kept:
            return record
        self.past.note(file, key, record, said, self.order)
        return say(record, said, self.order, commit)

    def _note_claim(self, key: str, record: Record) -> None:
        entry = record.newest
        if entry is None or entry.word not in (Word.CLAIMED, Word.DONE):
            return
        if self.again and entry.line in self.ledger.status.get(key, NOTHING).past:
            return
        if key not in self.claims:
            self.claims[key] = {c.attempt: c for c in self.ledger.claims.get(key, ())}
        self.claims[key].setdefault(entry.attempt, Claim(entry.attempt, self.order))


class _Past:
    """What was said and replaced within one fold: the records in it keep the `past` of its
    beginning, and only those at its end get theirs. A set for each commit would grow with each.
    """

    def __init__(self) -> None:
        self._steps: dict[tuple[File, str, int], _Step] = {}

    def note(self, file: File, key: str, old: Record, said: Sequence[Entry], order: int) -> None:
        """In the commit of that order the owner says this instead of what `old` has."""
        now, before = {e.line for e in said}, {e.line for e in old.said}
        known = (file, key, old.changed) in self._steps
        self._steps[file, key, order] = (old.changed, now - before if known else now, before - now)

    def settle(self, file: File, book: Book) -> Book:
        return {key: self._settled(file, key, record) for key, record in book.items()}

    def _settled(self, file: File, key: str, record: Record) -> Record:
        steps = []
        order = record.changed
        while step := self._steps.get((file, key, order)):
            steps.append(step)
            order = step[0]
        if not steps:
            return record
        past = set(record.past)
        for _, came, went in reversed(steps):
            past -= came
            past |= went
        return replace(record, past=frozenset(past))


_Step = tuple[int, set[str], set[str]]
"""The order of the change before, what came to be said, and what no longer was."""


def _touched(
    olds: Sequence[tuple[bytes | None, Book]], before: Sheet, sheet: Sheet | None
) -> Iterable[str]:
    """The keys about which a version of the file may say something else than its parents: of
    all the keys that ever were, only those that stand in one of them. None: it is deleted."""
    if sheet is not None and len(olds) == 1:
        return dict.fromkeys([*before, *sheet])
    return dict.fromkeys([*(key for _, old in olds for key in old), *(sheet or ())])


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
    record = old
    if fresh:
        past = frozenset(seen - {e.line for e in old.said + fresh})
        record = replace(say(old, old.said + fresh, new.changed, new.since), past=past)
    own = replace(record, lines=tuple(Line(entry, True) for entry in record.said))
    return carry(record, [own], entries_of(new.lines), fresh=False)
