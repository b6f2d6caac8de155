"""The two roles as state machines: look at the repository, take the next step, until none is left.

What a role does next follows from STATUS.md and REVIEW.md alone. So one that was killed goes
on where it was, and one that is told twice does nothing twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cc_ci_orch.agents.demo.board import Board, commit_in, with_line
from cc_ci_orch.agents.demo.desk import Desk
from cc_ci_orch.agents.demo.jobs import Check, job
from cc_ci_orch.agents.demo.repository import Repository
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.protocol import PHASE, Entry, File, Word
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import run

CHECK_TIMEOUT = 60.0
"""Seconds for one command of a check."""

FLOORS = "floors"
"""The note on a phase that is entered again: attempts up to which nothing counts any more."""


class Worker(Protocol):
    def step(self) -> bool:
        """The next step, to its end; False where there is nothing to do."""


class Bystander:
    """A role that owns no file: it only listens."""

    def step(self) -> bool:
        return False


class Builder:
    """Builds what has not passed, claims it, and says DONE."""

    def __init__(self, phase: PhaseSpec, repository: Repository, desk: Desk) -> None:
        self._phase = phase
        self._repository = repository
        self._desk = desk

    def begin_anew(self) -> None:
        """The phase is entered, maybe again: what stands in the files by now counts no more."""
        board = Board.read(self._repository, self._phase.id)
        floors = {key: board.highest(key) for key in (*self._phase.gates, PHASE)}
        self._desk.note(FLOORS, {"phase": self._phase.id, "floors": floors})

    def step(self) -> bool:
        self._repository.pull()
        board = Board.read(self._repository, self._phase.id)
        floors = self._floors()
        for gate in self._phase.gates:
            attempt = _next_attempt(board, gate, floors.get(gate, 0))
            if attempt:
                self._build(gate, attempt, board.verdict(gate))
                return True
        attempt = _next_attempt(board, PHASE, floors.get(PHASE, 0))
        if attempt and all(board.passed(gate) for gate in self._phase.gates):
            self._desk.work("all gates have passed: the phase is done")
            self._write(f"- phase: DONE #{attempt} — at {self._repository.head()}")
            return True
        return False

    def _floors(self) -> Mapping[str, int]:
        note = self._desk.noted(FLOORS)
        floors = note.get("floors")
        if note.get("phase") != self._phase.id or not isinstance(floors, dict):
            return {}
        return {str(key): int(floor) for key, floor in floors.items()}

    def _build(self, gate: str, attempt: int, verdict: Entry | None) -> None:
        if verdict and verdict.word is Word.FAIL and verdict.attempt == attempt - 1:
            self._desk.work(f"{gate} #{attempt}: REVIEW.md says {verdict.line}")
        done = self._repository.messages()
        changes = job(self._phase.id, gate).changes(attempt)
        for number, change in enumerate(changes, 1):
            if change.message in done:
                continue
            self._desk.work(f"{gate} #{attempt}: change {number} of {len(changes)}: {change.path}")
            self._repository.commit({change.path: change.text}, change.message)
            self._repository.push()
        head = self._repository.head()
        self._desk.work(f"{gate} #{attempt}: claimed at {head}")
        self._write(f"- {gate}: CLAIMED #{attempt} — {head}; to be checked from a fresh clone")

    def _write(self, line: str) -> None:
        text = with_line(self._repository.read(File.STATUS), File.STATUS, self._phase.id, line)
        self._repository.commit({File.STATUS: text}, line.removeprefix("- ").split(" — ")[0])
        self._repository.push()


def _next_attempt(board: Board, key: str, floor: int) -> int:
    """The attempt to claim now; 0: there is nothing to claim."""
    claim, verdict = board.claim(key), board.verdict(key)
    if claim is None or claim.attempt <= floor:
        return max(board.highest(key), floor) + 1
    failed = verdict and verdict.word is Word.FAIL and verdict.attempt >= claim.attempt
    return verdict.attempt + 1 if verdict and failed else 0


class Adversary:
    """Checks every open claim in a fresh clone, and in the end all gates at once."""

    def __init__(self, phase: PhaseSpec, repository: Repository, desk: Desk, clone: Path) -> None:
        self._phase = phase
        self._repository = repository
        self._desk = desk
        self._clone = clone

    def step(self) -> bool:
        self._repository.pull()
        board = Board.read(self._repository, self._phase.id)
        for gate in self._phase.gates:
            claim = board.open(gate)
            if claim:
                self._judge(gate, claim, [gate])
                return True
        done = board.open(PHASE)
        if done is None:
            return False
        missing = [gate for gate in self._phase.gates if not board.passed(gate)]
        if missing:
            self._write(PHASE, done, Word.FAIL, f"not passed: {', '.join(missing)}", "")
        else:
            self._judge(PHASE, done, self._phase.gates)
        return True

    def _judge(self, key: str, claim: Entry, gates: Sequence[str]) -> None:
        commit = commit_in(claim) if key != PHASE else self._repository.head()
        self._desk.work(f"{key} #{claim.attempt}: a fresh clone at {commit}")
        self._repository.fresh_clone(commit, self._clone)
        checks = [check for gate in gates for check in job(self._phase.id, gate).checks]
        evidence, wrong = [f"commit {commit}"], []
        for number, check in enumerate(checks, 1):
            found = self._try(check)
            where = f"{key} #{claim.attempt}: check {number} of {len(checks)}: {check.what}"
            self._desk.work(f"{where}: {found or 'ok'}")
            evidence.append(f"{check.what}: {found or 'ok'}")
            if found:
                wrong.append(f"{check.what}: {found}")
        word = Word.FAIL if wrong else Word.PASS
        said = "; ".join(wrong) or f"{len(checks)} of {len(checks)} checks in a fresh clone"
        self._write(key, claim, word, f"{commit}: {said}", "\n".join(evidence) + "\n")

    def _try(self, check: Check) -> str:
        """What is wrong with it; empty where nothing is."""
        stdin = check.stdin.encode()
        try:
            done = run(check.argv, timeout=CHECK_TIMEOUT, stdin=stdin, cwd=self._clone)
        except CannotTell as error:
            return str(error)
        if done.returncode != check.code:
            return f"expected exit status {check.code}, got {done.returncode}"
        if done.out != check.out:
            return f"expected {check.out.strip()!r}, got {done.out.strip()!r}"
        return ""

    def _write(self, key: str, claim: Entry, word: Word, text: str, evidence: str) -> None:
        line = f"- {key}: {word} #{claim.attempt} — {' '.join(text.split())}"
        self._desk.work(f"{key} #{claim.attempt}: {word}")
        review = with_line(self._repository.read(File.REVIEW), File.REVIEW, self._phase.id, line)
        files = {str(File.REVIEW): review}
        if evidence:
            files[f"evidence/{self._phase.id}-{key}-{claim.attempt}.txt"] = evidence
        self._repository.commit(files, line.removeprefix("- ").split(" — ")[0])
        self._repository.push()
