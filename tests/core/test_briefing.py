"""What a prompt can tell of where the phase stands."""

from __future__ import annotations

from cc_ci_orch.core.briefing import values
from cc_ci_orch.core.model import Course
from cc_ci_orch.core.phases import PhaseSpec
from tests.histories import Branch

PLAN = (PhaseSpec("1", "One", "1.md", ("V1", "V2")), PhaseSpec("2", "Two", "2.md"))


def test_claims_and_verdicts_are_told_with_their_commits() -> None:
    branch = Branch()
    one = branch.builder("- V1: CLAIMED", "- V2: WIP")
    two = branch.adversary("- V1: FAIL")
    three = branch.builder("- V1: CLAIMED #2", "- V2: WIP", "- phase: DONE")
    branch.poll()
    told = values(Course("1", ledger=branch.ledger), PLAN)
    assert told == {
        "phase": "1",
        "phase_title": "One",
        "plan_file": "1.md",
        "gates": "V1, V2",
        "claims": f"V1 CLAIMED #2 ({three.id[:7]}, open), phase DONE #1 ({three.id[:7]}, open)",
        "verdicts": f"V1 FAIL #1 ({two.id[:7]})",
    }
    assert one.id not in told["claims"]


def test_where_nothing_was_said_that_is_told() -> None:
    told = values(Course("2"), PLAN)
    assert (told["gates"], told["claims"], told["verdicts"]) == ("none", "none", "none")


def test_without_a_phase_or_with_one_that_the_plan_has_lost_there_is_little_to_tell() -> None:
    assert values(Course(), PLAN) == {}
    assert values(Course("9"), PLAN) == {"phase": "9"}
