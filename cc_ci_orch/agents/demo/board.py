"""STATUS.md and REVIEW.md as the demo agents read and write them (docs/protocol.md)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from cc_ci_orch.agents.demo.repository import Repository
from cc_ci_orch.core.protocol import Entry, File, Sheet, Word, key_of, newest, parse

TITLES: Mapping[File, str] = {
    File.STATUS: "# Status\n\nWhat the builder claims.\n",
    File.REVIEW: "# Review\n\nWhat the adversary found.\n",
}


@dataclass(frozen=True)
class Board:
    """What both files say about one phase."""

    phase: str
    status: Sheet
    review: Sheet

    @classmethod
    def read(cls, repository: Repository, phase: str) -> Board:
        def sheet(file: File) -> Sheet:
            return parse(repository.read(file).encode(), file)

        return cls(phase, sheet(File.STATUS), sheet(File.REVIEW))

    def claim(self, key: str) -> Entry | None:
        """The newest claim of a gate, or with `phase` the DONE."""
        entry = newest(self.status.get(key_of(self.phase, key), ()))
        return entry if entry and entry.word in (Word.CLAIMED, Word.DONE) else None

    def verdict(self, key: str) -> Entry | None:
        """The newest PASS or FAIL."""
        entries = self.review.get(key_of(self.phase, key), ())
        return newest(entry for entry in entries if entry.word is not Word.BLOCKED)

    def open(self, key: str) -> Entry | None:
        """The claim that no verdict answers yet."""
        claim, verdict = self.claim(key), self.verdict(key)
        return None if verdict and claim and verdict.attempt >= claim.attempt else claim

    def passed(self, key: str) -> bool:
        verdict = self.verdict(key)
        answered = self.claim(key) is not None and self.open(key) is None
        return answered and verdict is not None and verdict.word is Word.PASS

    def highest(self, key: str) -> int:
        """The highest attempt that stands anywhere; 0 where there is none."""
        place = key_of(self.phase, key)
        entries = (*self.status.get(place, ()), *self.review.get(place, ()))
        return max((entry.attempt for entry in entries), default=0)


def commit_in(claim: Entry) -> str:
    """The commit that a claim names; HEAD where it names none."""
    named = re.search(r"— ([0-9a-f]{7,40})\b", claim.line)
    return named[1] if named else "HEAD"


def with_line(text: str, file: File, phase: str, line: str) -> str:
    """The file with one more line at the end of the phase's section."""
    lines = (text or TITLES[file]).rstrip("\n").split("\n")
    heading = f"## Phase {phase}"
    if heading not in lines:
        return "\n".join([*lines, "", heading, line]) + "\n"
    at = lines.index(heading) + 1
    while at < len(lines) and not re.match("#{1,2} ", lines[at]):
        at += 1
    while not lines[at - 1].strip():
        at -= 1
    return "\n".join([*lines[:at], line, *lines[at:]]) + "\n"
