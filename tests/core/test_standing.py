"""When a phase is complete, whose turn it is, and the rules retold against random histories."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ci_orch.core.ledger import Ledger, enter
from cc_ci_orch.core.protocol import File
from cc_ci_orch.core.standing import Standing, turn
from tests.histories import KEEP, Branch, section

BUILDER, ADVERSARY = "builder", "adversary"
BOTH = {BUILDER, ADVERSARY}


# -------------------------------------------------------------------------- complete, and turn


def test_neither_role_can_finish_a_phase_alone() -> None:
    branch = Branch("V1")
    assert turn(branch.look()) == {BUILDER}
    branch.builder("- V1: CLAIMED", "- phase: DONE")
    assert turn(branch.look()) == {ADVERSARY}
    branch.commit("builder", review=section("- V1: PASS", "- phase: PASS"))
    assert not branch.look().complete
    branch.commit("adversary", review=section("- V1: PASS — a", "- phase: PASS — a"))
    assert branch.look().complete
    assert turn(branch.look()) == set()


def test_a_phase_pass_written_in_advance_completes_nothing() -> None:
    branch = Branch()
    branch.adversary("- phase: PASS")
    assert turn(branch.look()) == {BUILDER}
    branch.builder("- phase: DONE")
    assert turn(branch.look()) == {ADVERSARY}
    branch.adversary("- phase: PASS", "looked")
    assert branch.look().complete


@pytest.mark.parametrize(
    ("status", "review", "expected"),
    [
        ([], [], {BUILDER}),
        (["- V1: WIP"], [], {BUILDER}),
        (["- V1: CLAIMED"], [], BOTH),
        (["- V1: CLAIMED", "- V2: CLAIMED"], [], {ADVERSARY}),
        (["- V1: CLAIMED", "- V2: CLAIMED"], ["- V1: FAIL"], BOTH),
        (["- V1: CLAIMED", "- V2: CLAIMED"], ["- V1: PASS"], {ADVERSARY}),
        (["- V1: CLAIMED", "- V2: CLAIMED"], ["- V1: PASS", "- V2: PASS"], {BUILDER}),
        (["- V1: CLAIMED", "- V2: CLAIMED"], ["- V1: FAIL", "- V2: FAIL"], {BUILDER}),
        (["- phase: DONE"], [], BOTH),
        (["- phase: DONE"], ["- phase: FAIL"], {BUILDER}),
        (["- phase: DONE"], ["- phase: PASS"], {BUILDER}),
        (["- phase: DONE #2"], ["- phase: FAIL"], BOTH),
        (["- V1: CLAIMED", "- V2: CLAIMED", "- phase: DONE"], ["- V1: FAIL"], BOTH),
        (["- phase: BLOCKED"], [], set()),
        (["- V1: CLAIMED", "- phase: BLOCKED"], [], {ADVERSARY}),
        (["- V1: CLAIMED", "- phase: DONE", "- phase: BLOCKED"], [], {ADVERSARY}),
        (["- V1: CLAIMED", "- V2: CLAIMED"], ["- phase: BLOCKED"], set()),
        (["- V1: CLAIMED"], ["- phase: BLOCKED"], {BUILDER}),
        (["- phase: BLOCKED"], ["- phase: BLOCKED"], set()),
        (["- phase: BLOCKED"], ["- V1: FAIL"], {BUILDER}),
        (["- phase: DONE"], ["- phase: FAIL", "- phase: BLOCKED"], {BUILDER}),
    ],
)
def test_every_state_has_someone_on_turn_or_blocked(
    status: list[str], review: list[str], expected: set[str]
) -> None:
    branch = Branch("V1", "V2")
    branch.builder(*status)
    branch.adversary(*review)
    assert turn(branch.look()) == expected


def test_done_over_a_failed_gate_does_not_complete_the_phase() -> None:
    branch = Branch("V1")
    branch.builder("- V1: CLAIMED", "- phase: DONE")
    branch.adversary("- V1: FAIL", "- phase: PASS")
    assert not branch.look().complete
    assert turn(branch.look()) == {BUILDER}


def test_a_pass_and_then_blocked_is_not_complete() -> None:
    branch = Branch()
    branch.builder("- phase: DONE")
    branch.adversary("- phase: PASS", "- phase: BLOCKED")
    state = branch.look()
    assert not state.complete
    assert state.end.verdict is None
    assert turn(state) == {BUILDER}


def test_done_taken_back_is_not_complete() -> None:
    branch = Branch()
    branch.builder("- phase: DONE")
    branch.builder("prose")
    branch.adversary("- phase: PASS")
    assert not branch.look().complete
    assert turn(branch.look()) == {BUILDER}


def test_who_is_blocked_is_off_turn_until_something_changes() -> None:
    branch = Branch("V1")
    branch.builder("- phase: BLOCKED")
    assert turn(branch.look()) == set()
    branch.adversary("prose only")
    assert turn(branch.look()) == set()
    branch.adversary("- phase: BLOCKED too")
    assert branch.look().blocked == BOTH
    branch.adversary("- phase: BLOCKED too", "- V1: FAIL")
    assert turn(branch.look()) == {BUILDER}
    assert set(branch.look().says_blocked) == BOTH
    branch.builder("- phase: BLOCKED — still")
    assert turn(branch.look()) == set()
    branch.builder("- V1: WIP")
    assert turn(branch.look()) == {BUILDER}


def test_a_blocked_adversary_is_back_when_the_builder_says_something() -> None:
    branch = Branch()
    branch.builder("- phase: DONE")
    branch.adversary("- phase: BLOCKED")
    assert turn(branch.look()) == set()
    branch.builder("- phase: DONE #2")
    assert turn(branch.look()) == {ADVERSARY}


# ------------------------------------------------------------------ the rules, told another way

WORDS = {
    File.STATUS: {"V1": ("WIP", "CLAIMED"), "V2": ("CLAIMED",), "phase": ("DONE", "BLOCKED")},
    File.REVIEW: {"V1": ("PASS", "FAIL"), "V2": ("PASS",), "phase": ("PASS", "FAIL", "BLOCKED")},
}
LINES = {
    file: tuple(
        (key, word, attempt) for key, words in keys.items() for attempt in (1, 2) for word in words
    )
    for file, keys in WORDS.items()
}
OWNERS = {File.STATUS: {BUILDER}, File.REVIEW: {ADVERSARY, "orchestrator"}}
Line = tuple[str, str, int]


@dataclass
class Step:
    """A commit: which lines each file now has (None: no such file), and its prose."""

    who: str
    files: dict[File, frozenset[Line] | None]
    prose: dict[File, int]
    enter_after: bool = False

    def text(self, file: File) -> str | None:
        lines = self.files[file]
        if lines is None:
            return None
        shown = [f"- {k}: {w} #{n}" for k, w, n in LINES[file] if (k, w, n) in lines]
        return section(f"prose {self.prose[file]}", *shown)


@dataclass
class Model:
    """The rules by looking back: what counts now is asked of the steps, nothing is carried."""

    steps: list[Step]
    memo: dict[tuple[File, str, int], frozenset[Line]] = field(default_factory=dict)

    def lines(self, file: File, i: int, key: str | None = None) -> frozenset[Line]:
        found = (self.steps[i].files[file] if i >= 0 else None) or frozenset()
        return frozenset(line for line in found if key in (None, line[0]))

    def entered(self) -> int:
        return max((i for i, s in enumerate(self.steps) if s.enter_after), default=-1)

    def changed(self, file: File, i: int) -> bool:
        before = self.steps[i - 1].text(file) if i else None
        return self.steps[i].text(file) != before

    def rightful(self, file: File, i: int) -> bool:
        return self.changed(file, i) and self.steps[i].who in OWNERS[file]

    def clean(self, file: File, line: Line, i: int) -> bool:
        start = i
        while line in self.lines(file, start - 1):
            start -= 1
        if start > self.entered() and self.steps[start].who in OWNERS[file]:
            return True
        return any(
            line in self.said(file, line[0], j)
            and self.said(file, line[0], j) <= self.lines(file, j + 1)
            for j in range(start - 1, i)
        )

    def said(self, file: File, key: str, i: int) -> frozenset[Line]:
        if i <= self.entered():
            return frozenset()
        known = self.memo.get((file, key, i))
        if known is None:
            known = self.memo[file, key, i] = self._said(file, key, i)
        return known

    def _said(self, file: File, key: str, i: int) -> frozenset[Line]:
        if not self.rightful(file, i):
            return self.said(file, key, i - 1)
        if self.steps[i].files[file] is None:
            return frozenset()
        now = self.lines(file, i, key)
        if now == self.lines(file, i - 1, key):
            return self.said(file, key, i - 1)
        return frozenset(line for line in now if self.clean(file, line, i))

    def newest(self, file: File, key: str, i: int) -> tuple[str, int] | None:
        said = self.said(file, key, i)
        order = sorted(said, key=lambda line: (line[2], LINES[file].index(line)))
        return order[-1][1:] if order else None

    def made(self, key: str, attempt: int) -> int | None:
        for i in range(self.entered() + 1, len(self.steps)):
            claim = self.newest(File.STATUS, key, i)
            if self.rightful(File.STATUS, i) and claim in (("CLAIMED", attempt), ("DONE", attempt)):
                return i
        return None

    def holds(self, key: str, after: int) -> bool:
        """Whether a rightful commit of REVIEW.md later than that holds what is said now."""
        now = self.said(File.REVIEW, key, len(self.steps) - 1)
        return any(
            self.rightful(File.REVIEW, i)
            and self.said(File.REVIEW, key, i) == now
            and {x for x in self.lines(File.REVIEW, i, key) if self.clean(File.REVIEW, x, i)} == now
            and all(self.said(File.REVIEW, key, j) == now for j in range(i, len(self.steps)))
            for i in range(after + 1, len(self.steps))
        )

    def answered(self, key: str, attempt: int) -> bool:
        """Whether a verdict of that number or a higher one counts for that claim."""
        made = self.made(key, attempt)
        if made is None or not self.holds(key, made):
            return False
        said = self.said(File.REVIEW, key, len(self.steps) - 1)
        return any(n >= attempt for _, word, n in said if word != "BLOCKED")

    def gate(self, key: str) -> tuple[bool, bool]:
        """Open, passed."""
        last = len(self.steps) - 1
        claim, verdict = self.newest(File.STATUS, key, last), self.newest(File.REVIEW, key, last)
        is_open = bool(claim and claim[0] in ("CLAIMED", "DONE")) and not (
            claim and self.answered(key, claim[1])
        )
        counts = verdict is not None and any(
            self.answered(key, n) for n in range(1, verdict[1] + 1)
        )
        return is_open, bool(counts and verdict and verdict[0] == "PASS" and not is_open)

    def blocked(self, own: File, other: File) -> bool:
        last = len(self.steps) - 1
        newest = self.newest(own, "phase", last)
        if newest is None or newest[0] != "BLOCKED":
            return False
        since = max(i for i in range(last + 1) if self._differs(own, "phase", i))
        theirs = self.newest(other, "phase", last)
        keys = ["V1", "V2"] if theirs and theirs[0] == "BLOCKED" else ["V1", "V2", "phase"]
        return not any(self._differs(other, k, i) for k in keys for i in range(since + 1, last + 1))

    def _differs(self, file: File, key: str, i: int) -> bool:
        return self.said(file, key, i) != self.said(file, key, i - 1)

    def complete(self) -> bool:
        done = self.newest(File.STATUS, "phase", len(self.steps) - 1)
        return bool(done and done[0] == "DONE") and all(
            self.gate(key)[1] for key in ("V1", "V2", "phase")
        )

    def turn(self) -> set[str]:
        gates = [self.gate("V1"), self.gate("V2")]
        if self.complete():
            return set()
        adversary = any(is_open for is_open, _ in gates) or self.gate("phase")[0]
        builder = not adversary or (False, False) in gates
        return {
            role
            for role, due, own, other in (
                (BUILDER, builder, File.STATUS, File.REVIEW),
                (ADVERSARY, adversary, File.REVIEW, File.STATUS),
            )
            if due and not self.blocked(own, other)
        }


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    steps: list[Step] = []
    files: dict[File, frozenset[Line] | None] = dict.fromkeys(File)
    prose = dict.fromkeys(File, 0)
    for _ in range(draw(st.integers(1, 14))):
        who = draw(st.sampled_from([BUILDER, ADVERSARY, BUILDER, ADVERSARY, "orchestrator", "eve"]))
        own = [file for file in File if who in OWNERS[file]]
        usual = draw(st.integers(0, 9)) < 7 and own
        file = own[0] if own and usual else draw(st.sampled_from(File))
        toggled = draw(st.sets(st.sampled_from(LINES[file]), max_size=3))
        files, prose = dict(files), dict(prose)
        if draw(st.integers(0, 15)) == 0:
            files[file] = None
        else:
            files[file] = (files[file] or frozenset()) ^ toggled
            prose[file] += draw(st.integers(0, 1))
        steps.append(Step(who, files, prose, enter_after=draw(st.integers(0, 19)) == 0))
    return steps


def replay(steps: list[Step], each: bool) -> tuple[Branch, set[tuple[str, File | None]]]:
    """The steps on a branch, looked at after each commit or only where it matters."""
    branch = Branch("V1", "V2")
    found = set()
    for step in steps:
        branch.commit(step.who, step.text(File.STATUS), step.text(File.REVIEW))
        if each or step.enter_after:
            found |= {(v.commit, v.file) for v in branch.poll()}
        if step.enter_after:
            branch.ledger = enter(branch.ledger, "1")
    found |= {(v.commit, v.file) for v in branch.poll()}
    return branch, found


@given(histories())
@settings(max_examples=300, deadline=None)
def test_any_history_stands_as_the_rules_say(steps: list[Step]) -> None:
    model = Model(steps)
    branch, violations = replay(steps, each=True)
    for file in File:
        for key in ("V1", "V2", "phase"):
            said = branch.ledger.record(file, "1", key).said
            expected = model.said(file, key, len(steps) - 1)
            assert {(e.key, str(e.word), e.attempt) for e in said} == expected
    state = branch.look()
    expected_gates = [model.gate(key) for key in ("V1", "V2", "phase")]
    assert [(g.open, g.passed) for g in (*state.gates, state.end)] == expected_gates
    assert state.complete == model.complete()
    assert turn(state) == model.turn()
    assert violations == {
        (branch.commits[i].version.id, file)
        for i, step in enumerate(steps)
        for file in File
        if model.changed(file, i) and step.who not in OWNERS[file]
    }
    once, again = replay(steps, each=False)
    assert (once.ledger, again) == (branch.ledger, violations)


def check_someone_can_act(state: Standing) -> None:
    assert state.complete or turn(state) or state.blocked
    assert turn(state) <= BOTH - state.blocked
    assert state.blocked <= set(state.says_blocked)


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_any_branching_history_has_someone_on_turn_and_nothing_from_strangers(
    data: st.DataObject,
) -> None:
    branch = Branch("V1", "V2")
    wrote: dict[File, set[str]] = {file: set() for file in File}
    for step in data.draw(histories()):
        known = [c.version for c in branch.commits]
        on = data.draw(st.sampled_from(known[-4:])) if known else branch.head
        merge = data.draw(st.lists(st.sampled_from(known[-4:]), max_size=2)) if known else []
        texts = {file: data.draw(st.sampled_from([KEEP, step.text(file)])) for file in File}
        if data.draw(st.booleans()):
            on = branch.head
        branch.commit(step.who, texts[File.STATUS], texts[File.REVIEW], on=on, merge=merge)
        commit = branch.commits[-1]
        for file in File:
            if step.who in OWNERS[file]:
                content = (commit.version.of(file) or b"").decode().split("\n")
                inherited = [(p.of(file) or b"").decode().split("\n") for p in commit.parents]
                wrote[file] |= {x for x in content if all(x not in old for old in inherited)}
        if data.draw(st.booleans()):
            check_someone_can_act(branch.look())
    check_someone_can_act(branch.look())
    for file in File:
        for record in branch.ledger.book(file).values():
            assert {entry.line for entry in record.said} <= wrote[file]
    assert branch.poll() == ()


def test_an_empty_ledger_is_the_builders_turn() -> None:
    branch = Branch("V1")
    branch.ledger = Ledger()
    assert turn(branch.look()) == {BUILDER}
