"""What is new on the branch -> events, hand-offs, turns: through the whole decision."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cc_ci_orch.core.model import Liveness
from cc_ci_orch.core.phases import PhaseSpec
from tests.core.builders import client
from tests.sim.plant import Plant

ONE = PhaseSpec("1", "One", "1.md", ("V1", "V2"))


@pytest.fixture
def plant() -> Plant:
    """A phase with two gates, both agents idle; nothing is recorded yet."""
    it = Plant(ONE, idle_nudge_after=10_000.0)
    it.ask("start", everything=True)
    it.wait(10)
    it.disk["events.jsonl"] = ""
    return it


def test_a_claim_is_an_event_and_a_hand_off_and_passes_the_turn(plant: Plant) -> None:
    assert plant.memory.course.turn == {"builder"}
    plant.branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    plant.tick()
    assert plant.memory.course.turn == {"adversary"}
    assert plant.logged("gate.claimed") == ["gate.claimed 1 V1 1", "gate.claimed 1 V2 1"]
    assert plant.logged("handoff.seen") == ["handoff.seen 1 V1 1 H-1", "handoff.seen 1 V2 1 H-2"]
    plant.wait(5)
    assert plant.heard["adversary"] == ["H-1", "H-2"]
    assert plant.agent("adversary").submissions == 2, "both in one prompt, beside the first one"


def test_verdicts_come_back(plant: Plant) -> None:
    plant.branch.builder("- V1: CLAIMED", "- V2: CLAIMED")
    plant.wait(4)
    plant.branch.adversary("- V1: PASS", "- V2: FAIL")
    plant.wait(4)
    assert plant.logged("gate.passed", "gate.failed") == [
        "gate.passed 1 V1 1",
        "gate.failed 1 V2 1",
    ]
    assert plant.heard["builder"] == ["H-3", "H-4"]


def test_the_same_news_twice_is_new_once(plant: Plant) -> None:
    """A look may have begun before the last one was taken in."""
    plant.branch.builder("- V1: CLAIMED")
    old = plant.news("")
    plant.tick()
    plant.news = lambda known: old  # type: ignore[method-assign]
    for _ in range(3):
        plant.tick()
    assert len(plant.logged("handoff.seen")) == 1


def test_a_commit_is_progress_of_its_author_and_of_nobody_else(plant: Plant) -> None:
    plant.branch.adversary("nothing")
    plant.tick()
    assert plant.mem("adversary").progress_by == "a commit"
    assert plant.mem("builder").progress_by != "a commit"


def test_an_extra_role_s_commit_is_progress_too() -> None:
    plant = Plant(ONE, roles=(client("docs", has_turn=False),))
    plant.ask("start", everything=True)
    plant.wait(4)
    plant.branch.commit("docs")
    plant.tick()
    assert plant.mem("docs").progress_by == "a commit"
    assert plant.mem("docs").liveness is Liveness.IDLE


def test_what_one_author_did_to_a_file_since_the_last_look_is_one_violation(plant: Plant) -> None:
    """Both are told of the newest, a person once; the event counts them."""
    for n in range(30):
        plant.branch.commit("x@y", review=f"text {n}")
    plant.branch.commit("builder", review="cheat")
    plant.branch.commit("adversary", status="cheat")
    plant.wait(4)
    broken = [e for e in plant.log if e["event"] == "protocol.violation"]
    told = [(e["by"], e["evidence"]["file"], e["evidence"]["count"]) for e in broken]
    assert told == [
        ("unknown", "REVIEW.md", 30),
        ("builder", "REVIEW.md", 1),
        ("adversary", "STATUS.md", 1),
    ]
    assert len(broken[0]["evidence"]["commits"]) == 20
    assert "and 29 before" in broken[0]["why"]
    assert plant.notes == ["protocol violation"] * 3
    assert len(plant.heard["builder"]) == len(plant.heard["adversary"]) == 3


def test_a_rewritten_history_is_one_of_nobody(plant: Plant) -> None:
    plant.branch.builder("- V1: CLAIMED")
    first = plant.branch.head
    plant.branch.adversary("- V1: FAIL")
    plant.wait(4)
    plant.branch.head = first
    plant.wait(4)
    (broken,) = [e for e in plant.log if e["event"] == "protocol.violation"]
    assert (broken["by"], broken["evidence"].get("file")) == ("unknown", None)
    assert plant.memory.course.turn == {"builder"}, "the FAIL stays seen"
    assert plant.notes == ["protocol violation"]


@pytest.mark.parametrize(("local", "told"), [("builder", 1), ("adversary", 2)])
def test_the_instance_of_the_owner_tells_a_person(local: str, told: int) -> None:
    """Of two hosts each sees the violation; one of them notifies: the file's own. A rewritten
    history is the builder's."""
    plant = Plant(ONE, roles=(client(local),))
    plant.ask("start", everything=True)
    plant.branch.commit("x@y", review="one")
    plant.wait(2)
    plant.branch.commit("builder", review="two")
    plant.wait(2)
    plant.branch.head = plant.branch.commits[0].version
    plant.wait(4)
    assert len([e for e in plant.log if e["event"] == "protocol.violation"]) == 3
    assert plant.notes.count("protocol violation") == told


def test_a_block_with_an_orchestrator_goes_to_its_session() -> None:
    plant = Plant(
        ONE, roles=(client("builder"), client("adversary"), client("orchestrator", has_turn=False))
    )
    plant.ask("start", everything=True)
    plant.wait(4)
    plant.branch.builder("- phase: BLOCKED")
    plant.wait(6)
    assert plant.heard["orchestrator"] == ["H-1"]
    assert plant.notes == ["the builder is blocked"]
    assert plant.logged("handoff.failed") == []


def test_a_phase_that_the_plan_has_lost_keeps_what_is_new_for_later(plant: Plant) -> None:
    plant.branch.builder("- V1: CLAIMED")
    plant.phases = (replace(ONE, id="9"),)
    plant.wait(10)
    assert plant.logged("handoff.seen") == []
    assert plant.memory.course.turn == {"builder"}
    plant.phases = (ONE,)
    plant.wait(4)
    assert plant.logged("handoff.seen") == ["handoff.seen 1 V1 1 H-1"]


def test_a_block_without_an_orchestrator_is_told_to_a_person_and_lapses(plant: Plant) -> None:
    plant.branch.builder("- phase: BLOCKED")
    plant.wait(6)
    assert len(plant.logged("handoff.seen")) == 1
    assert len(plant.logged("handoff.failed")) == 1
    assert plant.notes == ["the builder is blocked"]
