"""One key's lines in one file, from commit to commit: which of them count.

A line that stands in a file is *clean* if its owner wrote it, else it doesn't count. What
makes a line new is its text: the owner writes one anew by changing the text, or by deleting
the line in one commit and adding it in a later one. White space alone is no change.

From one version to the next, lines are matched from both ends. Between them a line that
isn't clean is known by its text wherever it went; clean lines are the old ones only if they
kept their order, so that moving or copying an old PASS below a FAIL brings nothing back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cc_ci_orch.core.protocol import Entry, newest


@dataclass(frozen=True)
class Line:
    """A line that stands in the file. Not `clean`: it doesn't count until written anew."""

    entry: Entry
    clean: bool


@dataclass(frozen=True)
class Record:
    """One key in one file: the lines that stand there, and what was last rightfully said."""

    lines: tuple[Line, ...] = ()
    said: tuple[Entry, ...] = ()
    held: int = 0
    """Order of the last rightful commit of the file that holds all of `said`."""
    changed: int = 0
    """Order of the rightful commit that last changed `said`."""
    since: str = ""
    """The commit since which the newest of `said` has its word and attempt."""
    past: frozenset[str] = frozenset()
    """Lines that were said once and no longer are."""

    @property
    def newest(self) -> Entry | None:
        return newest(self.said)


NOTHING = Record()


def entries_of(lines: Iterable[Line]) -> tuple[Entry, ...]:
    return tuple(line.entry for line in lines)


def chosen(records: Sequence[Record], entries: tuple[Entry, ...] | None) -> Record:
    """Of the parents' records the one with these lines (an owner chooses), else the newest."""
    return max(
        records,
        key=lambda record: (entries_of(record.lines) == entries, record.changed, record.held),
    )


def say(record: Record, said: tuple[Entry, ...], order: int, commit: str) -> Record:
    """The owner now says this, and no longer what the record has; `past` is left as it was."""
    old, new = record.newest, newest(said)
    same = old and new and (old.word, old.attempt) == (new.word, new.attempt)
    return replace(
        record,
        said=said,
        held=order,
        changed=order,
        since=record.since if same else commit,
    )


def carry(
    base: Record, records: Sequence[Record], entries: tuple[Entry, ...], fresh: bool
) -> Record:
    """`base` with the lines that now stand in the file: clean are those that were clean before,
    not clean those that were not; a line that wasn't there is as `fresh` says. If all that was
    said stands there again, it is clean, whatever had been done to it in between."""
    sources = [_origins(record.lines, entries) for record in records]
    if _in_order(base.said, entries):
        sources.append(_origins([Line(entry, True) for entry in base.said], entries))
    lines = []
    for i, entry in enumerate(entries):
        origins = [source[i] for source in sources]
        lines.append(Line(entry, True in origins or (fresh and False not in origins)))
    return replace(base, lines=tuple(lines))


def _origins(old: Sequence[Line], new: Sequence[Entry]) -> list[bool | None]:
    """For each new line whether it was clean before, or None: it wasn't there."""
    least = min(len(old), len(new))
    head = 0
    while head < least and old[head].entry == new[head]:
        head += 1
    tail = 0
    while tail < least - head and old[-1 - tail].entry == new[-1 - tail]:
        tail += 1
    middle = new[head : len(new) - tail]
    between = old[head : len(old) - tail]
    origin: dict[Entry, bool] = {line.entry: True for line in between}
    origin.update({line.entry: False for line in between if not line.clean})
    if not _in_order([entry for entry in middle if origin.get(entry)], entries_of(between)):
        origin = {entry: clean for entry, clean in origin.items() if not clean}
    return [
        *(line.clean for line in old[:head]),
        *(origin.get(entry) for entry in middle),
        *(line.clean for line in old[len(old) - tail :]),
    ]


def _in_order(some: Iterable[Entry], all_: Iterable[Entry]) -> bool:
    """Whether those are among these, in the same order."""
    remaining = iter(all_)
    return all(entry in remaining for entry in some)
