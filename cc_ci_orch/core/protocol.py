"""STATUS.md and REVIEW.md: bytes -> the lines in them that count.

A heading `## Phase ID` opens a section, up to the next heading of level 1 or 2. In it, a
line counts if it reads: list bullet, key, colon, word, optionally `#` and an attempt.

    - V1: CLAIMED #2 — whatever follows is prose

- Key: a gate id or `phase`, exact case, plain or in `**bold**`, `__bold__` or code marks;
  the colon may stand inside the marks. Word: upper case, one that this file has for this
  key. Bullet: `-`, `*` or `+` and a space, indented or not; `1.` and `>` are no bullets.
- Attempt: 1 to 999999, default 1. A `#` with digits that are no such number (`#0`, `#2f3a`,
  seven digits) makes the line prose: a misread attempt is worse than an unread line.
- The heading reads exactly that: `## Phase 1 notes` opens nothing. Closing `#`s are fine.
  Several sections of one phase are read as one, in order. Only `#` headings are headings.
- Code blocks mean nothing: a `## Phase 1` or a claim that is quoted in one counts, and a
  `# comment` in one ends the section.
- Of each file the first 1 MiB is read, less a line that the limit cuts. Bytes that are not
  UTF-8 are replaced. Any line ending will do. No bytes are an error.

For a key the highest attempt wins, then the last line (`newest`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

READ_LIMIT = 1024 * 1024
"""Bytes of a file that are read. One byte more, where there is one, tells that it was cut."""

LINE_CUT = 400
"""Characters of a line by which it is known again; what follows them may change unnoticed."""

MAX_ATTEMPT = 999_999

ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}"
"""What a phase id and a gate id look like."""

PHASE = "phase"
"""The key that speaks of the whole phase; no gate can have this name."""


class File(StrEnum):
    """The two files with machine-read lines."""

    STATUS = "STATUS.md"
    REVIEW = "REVIEW.md"


class Word(StrEnum):
    """What a line can say."""

    WIP = "WIP"
    CLAIMED = "CLAIMED"
    DONE = "DONE"
    BLOCKED = "BLOCKED"
    PASS = "PASS"
    FAIL = "FAIL"


GATE_WORDS: Mapping[File, frozenset[str]] = {
    File.STATUS: frozenset({Word.WIP, Word.CLAIMED}),
    File.REVIEW: frozenset({Word.PASS, Word.FAIL}),
}
PHASE_WORDS: Mapping[File, frozenset[str]] = {
    File.STATUS: frozenset({Word.DONE, Word.BLOCKED}),
    File.REVIEW: frozenset({Word.PASS, Word.FAIL, Word.BLOCKED}),
}


@dataclass(frozen=True)
class Entry:
    """A line that counts. `line` is its text by which it is known again: runs of white space
    are one space, so that re-indenting or other line endings don't make it a new line."""

    phase: str
    key: str
    word: Word
    attempt: int
    line: str

    def __post_init__(self) -> None:
        if not 1 <= self.attempt <= MAX_ATTEMPT:
            raise ValueError(f"attempt {self.attempt} is out of range")


Sheet = Mapping[str, tuple[Entry, ...]]
"""The entries of a file by `key_of`, each key's in the order of the file."""

_HEADING = re.compile(r" {0,3}(##?)(?=[ \t]|$)")
"""A heading of level 1 or 2; deeper ones are prose within their section."""

_TITLE = re.compile(rf"Phase[ \t]+({ID_PATTERN})")
_LINE = re.compile(
    rf"""\s*[-*+]\s+
    (?P<bold>\*\*|__|)(?P<code>`?)(?P<key>{ID_PATTERN})
    (?: (?P=code)(?P=bold)\s*: | (?P=code):(?P=bold) | :(?P=code)(?P=bold) )
    \s*(?P<word>[A-Z]+)(?!\w|-\w)""",
    re.VERBOSE,
)
_ATTEMPT = re.compile(r"\s*#([0-9]+)(\w?)")


def key_of(phase: str, key: str) -> str:
    """Where a gate's lines (or the phase's, with `PHASE`) stand in a `Sheet`."""
    return f"{phase}/{key}"


def parse(text: bytes | None, file: File) -> Sheet:
    """All lines that count, of all phases and keys; None is a missing file.

    Keys are whatever has the form of a gate id: who knows the plan picks its own gates.
    """
    found: dict[str, list[Entry]] = {}
    phase: str | None = None
    for line in _lines(text or b""):
        heading = _HEADING.match(line)
        if heading:
            phase = _phase_of(line[heading.end() :]) if heading[1] == "##" else None
        elif phase is not None:
            entry = parse_line(line, phase, file)
            if entry:
                found.setdefault(key_of(phase, entry.key), []).append(entry)
    return {key: tuple(entries) for key, entries in found.items()}


def essence(text: bytes, file: File) -> bytes:
    """What `parse` reads of the text, and nothing else: `parse` makes the same of both."""
    kept: list[str] = []
    for line in _lines(text):
        heading = _HEADING.match(line)
        if heading:
            phase = _phase_of(line[heading.end() :]) if heading[1] == "##" else None
            kept.append(f"## Phase {phase}" if phase else "#")
        elif entry := parse_line(line, PHASE, file):
            kept.append(entry.line)
    return "\n".join(kept).encode()


def parse_line(line: str, phase: str, file: File) -> Entry | None:
    """The line as an entry of that phase's section, or None: it is prose."""
    match = _LINE.match(line)
    if not match:
        return None
    key, word = match["key"], match["word"]
    if word not in (PHASE_WORDS if key == PHASE else GATE_WORDS)[file]:
        return None
    attempt = 1
    numbered = _ATTEMPT.match(line, match.end())
    if numbered:
        digits, more = numbered.groups()
        attempt = int(digits) if len(digits) <= len(str(MAX_ATTEMPT)) and not more else 0
    if attempt == 0:
        return None
    return Entry(phase, key, Word(word), attempt, " ".join(line.split())[:LINE_CUT])


def newest(entries: Iterable[Entry]) -> Entry | None:
    """What the entries of one key say: the highest attempt, then the last line."""
    best: Entry | None = None
    for entry in entries:
        if best is None or entry.attempt >= best.attempt:
            best = entry
    return best


def _lines(text: bytes) -> list[str]:
    if len(text) > READ_LIMIT:
        text = text[: READ_LIMIT + 1]
        text = text[: text.rfind(b"\n") + 1]
    decoded = text.decode("utf-8", "replace").removeprefix("\ufeff")
    return decoded.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _phase_of(title: str) -> str | None:
    title = title.strip()
    bare = title.rstrip("#")
    if bare != title and bare.endswith((" ", "\t")):
        title = bare.rstrip()
    match = _TITLE.fullmatch(title)
    return match[1] if match else None
