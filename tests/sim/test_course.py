"""Hand-offs and phases through crashes at every step, and through histories of every kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cc_ci_orch.core.model import PhaseState
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.step import Decision
from tests.core.builders import role
from tests.histories import section
from tests.sim.plant import Plant

ONE = PhaseSpec("1", "One", "1.md", ("V1",))
TWO = PhaseSpec("2", "Two", "2.md", ("V1", "V2"))

PHASES = ("phase.started", "phase.completed")
GATES = ("gate.claimed", "gate.passed", "gate.failed")


def check_hand_offs(plant: Plant, *, once: bool = False) -> None:
    """Each number once and going up, each delivered or lapsed; who it was delivered to has
    heard it. `once`: in this story nothing happens twice, so each change has one number."""
    seen = [e for e in plant.log if e["event"] == "handoff.seen"]
    numbers = [int(e["handoff"][2:]) for e in seen]
    assert numbers == sorted(set(numbers))
    entry = 0
    changes = []
    for event in plant.log:
        entry += event["event"] == "phase.started"
        if event["event"] == "handoff.seen":
            changes.append((entry, event["role"], event["why"].partition(": ")[2]))
    if once:
        assert len(set(changes)) == len(changes)
    delivered = {e["handoff"] for e in plant.log if e["event"] == "handoff.delivered"}
    lapsed = {
        e["handoff"] for e in plant.log if e["event"] == "handoff.failed" and "lapses" in e["why"]
    }
    assert {e["handoff"] for e in seen} == delivered | lapsed | set(plant.pending())
    for event in plant.log:
        if event["event"] == "handoff.delivered":
            assert event["handoff"] in plant.heard[event["role"]]
    assert not any(count > 1 for count in Counter(e["n"] for e in plant.log if "n" in e).values())


# -------------------------------------------------------------------------- a crash at each step


def hand_off(plant: Plant) -> None:
    """A claim, its failure, the next claim, and its pass."""
    branch = plant.branch
    branch.builder("- V1: CLAIMED")
    plant.wait(8)
    branch.adversary("- V1: FAIL")
    plant.wait(8)
    branch.builder("- V1: CLAIMED #2")
    plant.wait(8)
    branch.adversary("- V1: PASS #2")
    plant.wait(8)


def phase_change(plant: Plant) -> None:
    """The phase is completed while hand-offs wait; the next one begins."""
    branch = plant.branch
    plant.ask("hold", "adversary")
    branch.builder("- V1: CLAIMED", "- phase: DONE")
    plant.wait(4)
    branch.adversary("- V1: PASS", "- phase: PASS")
    plant.wait(6)
    plant.ask("release", "adversary")
    plant.wait(30)


def set_by_a_person(plant: Plant) -> None:
    """A person goes on to the next phase, in which something was said already."""
    branch = plant.branch
    branch.commit("builder", status=section("- V1: CLAIMED", phase="2"))
    plant.wait(4)
    plant.ask("phase", text="set", phase="2")
    plant.wait(30)


def end_of_all(plant: Plant) -> None:
    plant.ask("phase", text="defer", phase="2")
    plant.branch.builder("- V1: CLAIMED", "- phase: DONE")
    plant.branch.adversary("- V1: PASS", "- phase: PASS")
    plant.wait(30)


STORIES: dict[Callable[[Plant], None], tuple[list[str], list[str]]] = {
    hand_off: (
        ["phase.started 1"],
        ["gate.claimed 1 V1 1", "gate.failed 1 V1 1", "gate.claimed 1 V1 2", "gate.passed 1 V1 2"],
    ),
    phase_change: (
        ["phase.started 1", "phase.completed 1", "phase.started 2"],
        ["gate.claimed 1 V1 1", "gate.passed 1 V1 1"],
    ),
    set_by_a_person: (["phase.started 1", "phase.started 2"], ["gate.claimed 2 V1 1"]),
    end_of_all: (["phase.started 1", "phase.completed 1"], ["gate.passed 1 V1 1"]),
}


def run(story: Callable[[Plant], None], fatal: int = 0) -> Plant:
    plant = Plant(ONE, TWO)
    plant.ask("start", everything=True)
    plant.wait(5)
    plant.fatal = plant.steps + fatal if fatal else 0
    began = plant.steps
    story(plant)
    if not fatal:
        plant.steps -= began
    return plant


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_crash_at_any_step_changes_nothing(story: Callable[[Plant], None]) -> None:
    """Before and after every write and every action: events once, hand-offs once or again with
    their number, phases in their order."""
    phases, gates = STORIES[story]
    whole = run(story)
    assert whole.steps > 20
    for fatal in range(whole.steps + 1):
        plant = run(story, fatal)
        where = f"killed at step {fatal}"
        assert plant.crashes == (fatal > 0), where
        assert plant.logged(*PHASES) == phases, where
        assert plant.logged(*GATES) == gates, where
        assert plant.memory.course.phase == whole.memory.course.phase, where
        assert plant.memory.course.state is whole.memory.course.state, where
        assert plant.pending() == [], where
        check_hand_offs(plant, once=True)
        seen = [line.split()[-1] for line in plant.logged("handoff.seen")]
        assert seen == [line.split()[-1] for line in whole.logged("handoff.seen")], where


@pytest.mark.parametrize("wanted", ["", "2"])
def test_a_crash_at_any_step_of_the_first_start(wanted: str) -> None:
    """The phase is started once, each role has one process."""
    fatal = crashes = 1
    while crashes:
        plant = Plant(ONE, TWO, fatal=fatal)
        plant.ask("start", phase=wanted, everything=True)
        plant.wait(30)
        assert plant.logged(*PHASES) == [f"phase.started {wanted or 1}"], fatal
        assert all(agent.process for agent in plant.agents.values()), fatal
        fatal, crashes = fatal + 1, plant.crashes
    assert fatal > 15


def test_each_phase_begins_with_its_kickoff_whatever_crashed() -> None:
    """Once for each role, in a conversation of its own."""
    for fatal in range(run(phase_change).steps + 1):
        plant = run(phase_change, fatal)
        kickoffs = [k for k in plant.kickoffs if k.endswith("kickoff 2")]
        assert sorted(kickoffs) == ["adversary kickoff 2", "builder kickoff 2"], fatal


# ------------------------------------------------------------------- whoever waits, and for what


def test_a_waiting_adversary_gets_nothing_in_a_quiet_hour() -> None:
    """It has nothing to verify; the builder, which idles on its turn, is nudged."""
    plant = Plant(ONE)
    plant.ask("start", everything=True)
    plant.wait(10)
    plant.forget()
    plant.wait(3500)
    nudges = Counter(e["role"] for e in plant.log if e["event"] == "session.nudged")
    assert nudges["adversary"] == 0
    assert nudges["builder"] in (5, 6)
    assert plant.agent("adversary").submissions == 1  # its first prompt


def test_commits_end_a_row_of_nudges() -> None:
    plant = Plant(ONE)
    plant.ask("start", everything=True)
    plant.wait(200)
    assert plant.mem().idle_nudges > 0
    plant.branch.builder("- V1: WIP")
    plant.wait(3)
    assert plant.mem().idle_nudges == 0


def test_a_blocked_pair_is_told_once_and_left_in_peace() -> None:
    plant = Plant(ONE)
    plant.ask("start", everything=True)
    plant.wait(5)
    plant.branch.builder("- phase: BLOCKED")
    plant.wait(3000)
    assert plant.memory.course.turn == frozenset()
    assert plant.notes.count("the builder is blocked") == 1
    assert not [e for e in plant.log if e["event"] == "session.nudged"]


def test_a_block_that_stood_there_before_its_phase_is_told_too() -> None:
    """Of the phase before nobody would have been told."""
    plant = Plant(replace(ONE, gates=()), TWO)
    plant.ask("start", everything=True)
    blocked = section("- phase: DONE") + section("- phase: BLOCKED", phase="2")
    plant.branch.commit("builder", status=blocked)
    plant.branch.adversary("- phase: PASS")
    plant.wait(60)
    assert plant.memory.course.phase == "2"
    assert plant.notes.count("the builder is blocked") == 1


# ----------------------------------------------------------------------------- any history at all

LINES = st.lists(
    st.tuples(
        st.sampled_from(["V1", "V2", "phase"]),
        st.sampled_from(["WIP", "CLAIMED", "PASS", "FAIL", "DONE", "BLOCKED"]),
        st.integers(1, 3),
    ).map(lambda line: f"- {line[0]}: {line[1]} #{line[2]}"),
    max_size=5,
)


def write(plant: Plant, who: str, file: str, one: list[str], two: list[str]) -> None:
    text = section(*one) + section(*two, phase="2")
    if file == "status":
        plant.branch.commit(who, status=text)
    else:
        plant.branch.commit(who, review=text)


def moments(plant: Plant, steps: list[tuple[str, list[str], list[str], int]]) -> list[Decision]:
    """Live through a history; what was decided, tick by tick."""
    decided = []
    for what, one, two, ticks in steps:
        match what:
            case "builder":
                write(plant, "builder", "status", one, two)
            case "adversary":
                write(plant, "adversary", "review", one, two)
            case "cheat":
                write(plant, "builder", "review", one, two)
            case "stranger":
                write(plant, "x@y", "status", one, two)
            case "force" if plant.branch.commits:
                plant.branch.head = plant.branch.commits[
                    len(one) % len(plant.branch.commits)
                ].version
            case "die":
                plant.boot()
            case "kill" if plant.agent("adversary").process:
                plant.die("adversary")
        for _ in range(ticks):
            decided.append(plant.tick())
            plant.pass_by(plant.policy.poll)
    return decided


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "builder",
                "adversary",
                "builder",
                "adversary",
                "cheat",
                "stranger",
                "force",
                "die",
                "kill",
            ]
        ),
        LINES,
        LINES,
        st.integers(0, 4),
    ),
    max_size=12,
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(STEPS)
def test_whatever_is_written_somebody_is_on_turn_and_nothing_is_lost(
    steps: list[tuple[str, list[str], list[str], int]],
) -> None:
    """Nobody on turn only where a BLOCKED was told; phases forward only; hand-offs unique."""
    plant = Plant(ONE, TWO, idle_nudge_after=10_000.0)
    plant.ask("start", everything=True)
    plant.wait(3)
    places = []
    for decision in moments(plant, steps):
        course = decision.memory.course
        places.append((course.phase, course.entry))
        if course.state is PhaseState.RUNNING and not course.turn:
            blocked = [
                e for e in plant.log if e["event"] == "handoff.seen" and "BLOCKED" in e["why"]
            ]
            assert any(e["phase"] == course.phase for e in blocked)
            assert any(title.endswith("is blocked") for title in plant.notes)
    assert places == sorted(places)
    plant.wait(200)
    check_hand_offs(plant)
    assert plant.pending() == []
    started = plant.logged("phase.started")
    assert started == sorted(set(started))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(STEPS, st.integers(1, 400))
def test_whatever_is_written_a_crash_loses_nothing(
    steps: list[tuple[str, list[str], list[str], int]], fatal: int
) -> None:
    plant = Plant(ONE, TWO, idle_nudge_after=10_000.0, fatal=fatal)
    plant.ask("start", everything=True)
    plant.wait(3)
    moments(plant, steps)
    plant.wait(200)
    check_hand_offs(plant)
    assert plant.pending() == []
    started = plant.logged("phase.started")
    assert started == sorted(set(started))
    completed = plant.logged("phase.completed")
    assert completed == sorted(set(completed))


def test_an_instance_with_one_role_tells_only_that_one() -> None:
    """The other role's hand-offs are numbered, and seen to elsewhere."""
    plant = Plant(ONE, roles=(role("adversary"),))
    plant.ask("start", everything=True)
    plant.branch.builder("- V1: CLAIMED", "- phase: BLOCKED")
    plant.wait(10)
    plant.branch.adversary("- V1: FAIL")
    plant.wait(10)
    assert [e["role"] for e in plant.log if e["event"] == "handoff.seen"] == ["adversary"]
    assert plant.notes == []
    plant.branch.adversary("- V1: FAIL", "- phase: BLOCKED")
    plant.wait(10)
    assert plant.notes == ["the adversary is blocked"]
