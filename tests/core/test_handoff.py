"""What changed -> numbered messages."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cc_ci_orch.core import codec
from cc_ci_orch.core.handoff import Handoff, Kind, handoffs
from cc_ci_orch.core.ledger import enter
from cc_ci_orch.core.protocol import File, Word
from tests.histories import Branch, section


class Desk:
    """A branch whose hand-offs are taken down as the watchdog would."""

    def __init__(self, *gates: str) -> None:
        self.branch = Branch(*gates)
        self.before = self.branch.look()
        self.entry = 1
        self.taken: list[Handoff] = []

    def look(self) -> list[str]:
        """The new hand-offs, as `to: kind gate word #attempt`."""
        violations = self.branch.poll()
        after = self.branch.look()
        known = [handoff.key for handoff in self.taken]
        number = len(self.taken) + 1
        new = handoffs(self.before, after, self.entry, number, violations, known)
        self.before = after
        self.taken += new
        return [f"{h.to}: {h.kind} {h.gate} {h.word} #{h.attempt}" for h in new]

    def enter(self) -> None:
        self.branch.ledger = enter(self.branch.ledger, "1")
        self.before = self.branch.look()
        self.entry += 1


def test_a_phase_from_the_first_claim_to_its_end() -> None:
    desk = Desk("V1", "V2")
    desk.branch.builder("- V1: WIP")
    assert desk.look() == []
    desk.branch.builder("- V1: CLAIMED")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1"]
    assert desk.look() == []
    desk.branch.adversary("- V1: FAIL")
    assert desk.look() == ["builder: verdict V1 FAIL #1"]
    desk.branch.builder("- V1: CLAIMED #2", "- V2: CLAIMED")
    assert desk.look() == ["adversary: claim V1 CLAIMED #2", "adversary: claim V2 CLAIMED #1"]
    desk.branch.adversary("- V1: PASS #2", "- V2: PASS")
    assert desk.look() == ["builder: verdict V1 PASS #2", "builder: verdict V2 PASS #1"]
    desk.branch.builder("- V1: CLAIMED #2", "- V2: CLAIMED", "- phase: DONE")
    assert desk.look() == ["adversary: done phase DONE #1"]
    desk.branch.adversary("- V1: PASS #2", "- V2: PASS", "- phase: FAIL")
    assert desk.look() == ["builder: review phase FAIL #1"]
    desk.branch.builder("- V1: CLAIMED #2", "- V2: CLAIMED", "- phase: DONE #2")
    assert desk.look() == ["adversary: done phase DONE #2"]
    desk.branch.adversary("- V1: PASS #2", "- V2: PASS", "- phase: PASS #2")
    assert desk.look() == [], "the PASS that completes the phase is no hand-off"
    assert desk.before.complete
    assert [h.name for h in desk.taken] == [f"H-{n}" for n in range(1, 10)]


def test_the_gate_that_completes_the_phase_is_no_hand_off_either() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED", "- phase: DONE")
    desk.branch.adversary("- phase: PASS")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1", "builder: review phase PASS #1"]
    desk.branch.adversary("- phase: PASS", "- V1: PASS")
    assert desk.look() == []


def test_a_fail_and_the_next_claim_seen_at_once_are_both_told() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: FAIL")
    desk.branch.builder("- V1: CLAIMED #2")
    assert desk.look() == ["builder: verdict V1 FAIL #1", "adversary: claim V1 CLAIMED #2"]


def test_a_claim_that_was_answered_before_anyone_looked_is_told_as_its_verdict() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: PASS")
    assert desk.look() == ["builder: verdict V1 PASS #1"]


def test_a_changed_verdict_on_the_same_attempt_is_a_new_change_each_time() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: FAIL")
    desk.look()
    desk.branch.adversary("- V1: PASS")
    assert desk.look() == ["builder: verdict V1 PASS #1"]
    desk.branch.adversary("- V1: FAIL — after all")
    assert desk.look() == ["builder: verdict V1 FAIL #1"]


def test_a_verdict_in_advance_is_told_when_it_counts() -> None:
    desk = Desk("V1")
    desk.branch.adversary("- V1: PASS")
    assert desk.look() == []
    desk.branch.builder("- V1: CLAIMED")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1"]
    desk.branch.adversary("- V1: PASS", "looked")
    assert desk.look() == ["builder: verdict V1 PASS #1"]


def test_a_verdict_ahead_of_its_claim_is_told_again_when_it_answers_that_too() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: PASS #2")
    desk.look()
    desk.branch.builder("- V1: CLAIMED #2")
    assert desk.look() == ["adversary: claim V1 CLAIMED #2"]
    desk.branch.adversary("- V1: PASS #2", "looked")
    assert desk.look() == ["builder: verdict V1 PASS #2"]


def test_a_lower_claim_made_late_is_a_new_claim_and_answered_anew() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED #2")
    desk.branch.adversary("- V1: PASS #2")
    desk.look()
    desk.branch.builder("- V1: CLAIMED #1")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1"]
    desk.branch.adversary("- V1: PASS #2", "looked")
    assert desk.look() == ["builder: verdict V1 PASS #2"]


def test_other_words_about_the_same_thing_are_no_change() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED — a")
    desk.look()
    desk.branch.builder("- V1: CLAIMED — b")
    assert desk.look() == []
    desk.branch.adversary("- V1: FAIL — a")
    desk.look()
    desk.branch.adversary("- V1: FAIL — b")
    assert desk.look() == []


def test_a_claim_taken_back_and_made_again_is_told_again() -> None:
    desk = Desk("V1")
    for line in ("- V1: CLAIMED", "- V1: WIP", "- V1: CLAIMED"):
        desk.branch.builder(line)
        desk.look()
    assert [h.kind for h in desk.taken] == [Kind.CLAIM, Kind.CLAIM]


def test_a_change_whose_number_was_written_down_before_a_crash_gets_no_second_one() -> None:
    desk = Desk("V1")
    ledger, before = desk.branch.ledger, desk.before
    desk.branch.builder("- V1: CLAIMED — a")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1"]
    desk.branch.ledger, desk.before = ledger, before
    desk.branch.builder("- V1: CLAIMED — b")
    desk.branch.commit("eve@example.org", review=section("- V1: PASS"))
    assert desk.look() == ["builder: violation phase None #1", "adversary: violation phase None #1"]


def test_blocked_goes_to_the_orchestrator_once() -> None:
    desk = Desk()
    desk.branch.builder("- phase: BLOCKED")
    assert desk.look() == ["orchestrator: blocked phase BLOCKED #1"]
    desk.branch.builder("- phase: BLOCKED — in other words")
    desk.branch.adversary("- phase: BLOCKED")
    assert desk.look() == ["orchestrator: blocked phase BLOCKED #1"]
    assert [h.by for h in desk.taken] == ["builder", "adversary"]
    desk.branch.builder("prose")
    desk.branch.builder("- phase: BLOCKED")
    assert desk.look() == ["orchestrator: blocked phase BLOCKED #1"]


def test_a_phase_entered_again_numbers_on_but_knows_its_changes_apart() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.look()
    desk.enter()
    assert desk.look() == []
    desk.branch.builder("- V1: CLAIMED — again")
    assert desk.look() == ["adversary: claim V1 CLAIMED #1"]
    assert [h.number for h in desk.taken] == [1, 2]
    assert len({h.key for h in desk.taken}) == 2


def test_history_rewritten_is_told_to_both_and_repeats_no_old_news() -> None:
    desk = Desk("V1")
    base = desk.branch.builder("prose")
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: FAIL")
    desk.look()
    desk.branch.head = base
    desk.branch.builder("- V1: CLAIMED")
    desk.branch.adversary("- V1: FAIL")
    assert desk.look() == ["builder: violation phase None #1", "adversary: violation phase None #1"]


# ----------------------------------------------------------------------------------- messages

COMMIT = "abc1234" + "0" * 33


def message(to: str, kind: Kind, **more: object) -> str:
    given: dict[str, object] = {"gate": "V1", "commit": COMMIT, "attempt": 2, "phase": "1", **more}
    return Handoff(number=12, to=to, kind=kind, entry=1, **given).text  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            message("adversary", Kind.CLAIM, word=Word.CLAIMED),
            "H-12: gate V1 of phase 1 is claimed (attempt 2, commit abc1234). Verify it and write "
            "your verdict into REVIEW.md: V1: PASS #2 or V1: FAIL #2.",
        ),
        (
            message("builder", Kind.VERDICT, word=Word.PASS),
            "H-12: gate V1 of phase 1 passed (attempt 2, commit abc1234). Go on with what is left.",
        ),
        (
            message("builder", Kind.VERDICT, word=Word.FAIL, attempt=1, answers=1),
            "H-12: gate V1 of phase 1 failed (attempt 1, commit abc1234). Read why in REVIEW.md, "
            "fix it and claim the next attempt in STATUS.md: V1: CLAIMED #2 or higher.",
        ),
        (
            message("adversary", Kind.DONE, gate="phase", word=Word.DONE),
            "H-12: phase 1 is said to be DONE (attempt 2, commit abc1234). Do the final review "
            "and write its result into REVIEW.md: phase: PASS #2 or phase: FAIL #2.",
        ),
        (
            message("builder", Kind.REVIEW, gate="phase", word=Word.PASS),
            "H-12: the final review of phase 1 passed (attempt 2, commit abc1234), but the phase "
            "is not complete: every gate must have passed, and phase: DONE must stand in "
            "STATUS.md.",
        ),
        (
            message("builder", Kind.REVIEW, gate="phase", word=Word.FAIL),
            "H-12: the final review of phase 1 failed (attempt 2, commit abc1234). Read why in "
            "REVIEW.md, fix it and say so in STATUS.md: phase: DONE #3 or higher.",
        ),
        (
            message("orchestrator", Kind.BLOCKED, gate="phase", word=Word.BLOCKED, by="adversary"),
            "H-12: the adversary is BLOCKED in phase 1 (attempt 2, commit abc1234). Read why in "
            "REVIEW.md and see to it.",
        ),
        (
            message("adversary", Kind.VIOLATION, by="builder", file=File.REVIEW),
            "H-12: commit abc1234 by the builder changed REVIEW.md, which is yours. That change "
            "does not count. Look at it, and write anew what you stand by.",
        ),
        (
            message("builder", Kind.VIOLATION, file=File.REVIEW),
            "H-12: commit abc1234 by someone else changed REVIEW.md, which is not yours. That "
            "change does not count. Leave the repair to the owner of the file.",
        ),
        (
            message("builder", Kind.VIOLATION),
            "H-12: the history of the work branch was rewritten, its head is now abc1234. What "
            "was seen before still counts. Check that nothing of yours is lost, and never push by "
            "force.",
        ),
    ],
)
def test_the_message_of_each_kind(text: str, says: str) -> None:
    assert text == says


@pytest.mark.parametrize(
    "bad",
    [
        {"phase": "1\n"},
        {"phase": "$(reboot)"},
        {"gate": ""},
        {"commit": "abc; x"},
        {"commit": "HEAD"},
        {"to": "mallory"},
        {"by": "Eve"},
        {"word": Word.PASS},
        {"word": None},
    ],
)
def test_a_message_is_built_only_from_checked_tokens(bad: dict[str, object]) -> None:
    more: dict[str, object] = {"to": "adversary", "kind": Kind.CLAIM, "word": Word.CLAIMED, **bad}
    with pytest.raises(ValueError):
        message(**more)  # type: ignore[arg-type]


def test_a_hand_off_survives_as_json() -> None:
    desk = Desk("V1")
    desk.branch.builder("- V1: CLAIMED")
    desk.look()
    saved = json.loads(json.dumps(codec.encode(desk.taken[0])))
    assert codec.decode(Handoff, saved) == desk.taken[0]


# --------------------------------------------------------------------------------- properties

STATUS = ["- V1: WIP", "- V1: CLAIMED", "- V1: CLAIMED #2", "- phase: DONE", "- phase: BLOCKED"]
REVIEW = ["- V1: PASS", "- V1: FAIL", "- V1: PASS #2", "- phase: PASS", "- phase: FAIL"]


def chosen(lines: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(lines), max_size=3)


WRITES = st.tuples(st.just("builder"), chosen(STATUS)) | st.tuples(
    st.just("adversary"), chosen(REVIEW)
)


def write(desk: Desk, writes: Iterable[tuple[str, list[str]]]) -> None:
    for who, lines in writes:
        desk.branch.builder(*lines) if who == "builder" else desk.branch.adversary(*lines)


@given(st.lists(WRITES, max_size=10), st.sets(st.integers(0, 9)))
@settings(max_examples=200, deadline=None)
def test_every_open_claim_and_every_verdict_was_told_and_no_number_is_used_twice(
    writes: list[tuple[str, list[str]]], looks: set[int]
) -> None:
    desk = Desk("V1")
    for i, change in enumerate(writes):
        write(desk, [change])
        if i in looks:
            desk.look()
            if desk.before.complete:
                break
            told = {(h.to, h.gate, h.attempt, h.word, h.commit) for h in desk.taken}
            for gate in (*desk.before.gates, desk.before.end):
                for to, says in (
                    ("adversary", gate.claim if gate.open else None),
                    ("builder", gate.verdict),
                ):
                    assert not says or (to, gate.id, says.attempt, says.word, says.commit) in told
    assert [h.number for h in desk.taken] == list(range(1, len(desk.taken) + 1))
    assert len({h.key for h in desk.taken}) == len(desk.taken)
    for handoff in desk.taken:
        assert "\n" not in handoff.text


@given(st.lists(WRITES, max_size=6), st.lists(WRITES, max_size=4))
@settings(max_examples=150, deadline=None)
def test_a_history_read_again_after_a_crash_gives_no_change_a_second_number(
    first: list[tuple[str, list[str]]], then: list[tuple[str, list[str]]]
) -> None:
    desk = Desk("V1")
    ledger, before = desk.branch.ledger, desk.before
    write(desk, first)
    desk.look()
    known = list(desk.taken)
    final = desk.branch.ledger, desk.before
    desk.branch.ledger, desk.before = ledger, before
    assert desk.look() == []
    assert (desk.branch.ledger, desk.before) == final
    write(desk, then)
    desk.look()
    assert desk.taken[: len(known)] == known
