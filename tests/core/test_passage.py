"""The end of a phase and the beginning of the next, as a person and as the plan want it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cc_ci_orch.core.actions import Reply, StartSession
from cc_ci_orch.core.model import Account, Doing, Liveness, PhaseState
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.policy import STOP_GRACE
from tests.core.builders import BUSY, IDLE
from tests.sim.plant import Plant

PLAN = tuple(PhaseSpec(id, f"Phase {id}", f"{id}.md") for id in ("1", "2", "3"))
PHASES = ("phase.started", "phase.completed", "phase.changed")


def started(*phases: PhaseSpec, busy: bool = False, **policy: float) -> Plant:
    plant = Plant(*(phases or PLAN), **policy)
    for agent in plant.agents.values():
        agent.account = BUSY if busy else IDLE
        agent.works = busy
    plant.ask("start", everything=True)
    plant.wait(5)
    return plant


def complete(plant: Plant) -> None:
    """Both say so, in the present phase."""
    plant.branch.phase = plant.memory.course.phase
    plant.branch.builder("- phase: DONE")
    plant.branch.adversary("- phase: PASS")


def change(plant: Plant, what: str, phase: str = "") -> str:
    """What a person is answered."""
    number = plant.ask("phase", text=what, phase=phase)
    reply = plant.replies[number]
    assert reply.code == 0, reply
    return reply.text


def place(plant: Plant) -> tuple[str, PhaseState]:
    return plant.memory.course.phase, plant.memory.course.state


# ----------------------------------------------------------------------------------- the end


def test_agents_may_end_their_turn_before_their_sessions_end() -> None:
    """Who is idle goes at once; who is busy has until `phase_drain`."""
    plant = started(busy=True)
    plant.agent("adversary").account = IDLE
    complete(plant)
    plant.wait(60)
    assert place(plant) == ("1", PhaseState.DRAINING)
    assert plant.agent("adversary").process is None
    assert "builder to end its turn" in plant.memory.course.waiting_for
    assert "waiting for builder" in plant.mem("builder").reason
    assert plant.memory.course.turn == frozenset()
    plant.agent("builder").account = IDLE
    plant.wait(20)
    assert place(plant) == ("2", PhaseState.RUNNING)


def test_who_does_not_end_its_turn_is_ended() -> None:
    plant = started(busy=True)
    plant.agent("builder").deaf = True
    complete(plant)
    plant.wait(plant.policy.phase_drain - 10)
    assert place(plant) == ("1", PhaseState.DRAINING)
    plant.wait(20 + 2 * STOP_GRACE)
    assert place(plant) == ("2", PhaseState.RUNNING)


def test_a_held_role_is_waited_for_without_end_and_without_a_spin() -> None:
    plant = started()
    plant.ask("hold", "builder")
    complete(plant)
    plant.wait(20)
    ticks = plant.ticks
    plant.wait(10_000)
    assert plant.ticks - ticks < 10_000
    assert place(plant) == ("1", PhaseState.DRAINING)
    assert plant.memory.course.waiting_for == "builder, which is held"
    plant.ask("release", "builder")
    plant.wait(20)
    assert place(plant) == ("2", PhaseState.RUNNING)


def test_nothing_ends_while_the_terminal_gives_no_answer() -> None:
    plant = started()
    plant.tmux = False
    complete(plant)
    plant.wait(3 * plant.policy.phase_drain)
    assert place(plant) == ("1", PhaseState.DRAINING)
    plant.tmux = True
    plant.wait(20)
    assert place(plant) == ("2", PhaseState.RUNNING)


def test_a_reboot_while_it_ends_begins_the_next_phase() -> None:
    plant = started()
    plant.ask("hold", "builder")
    complete(plant)
    plant.wait(10)
    plant.boot_id = "boot-2"
    plant._end_server()
    plant.now = 5.0
    plant._looked_at = 5.0
    plant.wait(20)
    assert place(plant) == ("2", PhaseState.RUNNING)
    assert plant.logged(*PHASES)[-2:] == ["phase.completed 1", "phase.started 2"]


def test_it_is_recorded_with_the_commit_at_which_it_was_complete() -> None:
    """Not with what was pushed while it ended."""
    plant = started()
    plant.ask("hold", "builder")
    complete(plant)
    head = plant.branch.head
    plant.wait(4)
    plant.branch.builder("- phase: DONE — and a last word")
    plant.wait(4)
    plant.ask("release", "builder")
    plant.wait(20)
    (event,) = [e for e in plant.log if e["event"] == "phase.completed"]
    assert event["evidence"] == {"commit": head.id, "entry": 1}


def test_a_restart_that_is_under_way_when_the_phase_ends_is_no_restart_any_more() -> None:
    plant = started()
    plant.agent().deaf = True
    number = plant.ask("restart", "builder")
    complete(plant)
    plant.wait(30)
    assert place(plant) == ("2", PhaseState.RUNNING)
    assert plant.replies[number].code == 1
    assert [a.prompt.kind for a in plant.actions(StartSession, role="builder")] == ["kickoff"] * 2


@pytest.mark.parametrize("state", [PhaseState.DRAINING, PhaseState.COMPLETE])
def test_nothing_is_restarted_or_nudged_at_the_end(state: PhaseState) -> None:
    plant = started(*PLAN[:1])
    if state is PhaseState.DRAINING:
        plant.ask("hold", "adversary")
    complete(plant)
    plant.wait(30)
    assert place(plant) == ("1", state)
    for kind in ("restart", "nudge"):
        number = plant.ask(kind, "builder", text="hello")
        plant.wait(2)
        assert plant.replies[number].code != 0
    plant.wait(60)
    assert plant.agent("builder").process is None


# ---------------------------------------------------------------------------- the beginning


def test_the_next_phase_begins_with_nothing_of_the_last_one() -> None:
    """Fresh conversations and kickoffs, no memory of deaths, the row of numbers goes on."""
    plant = started(replace(PLAN[0], gates=("V1",)), PLAN[1])
    for _ in range(3):
        plant.die()
        plant.wait(20)
    plant.branch.builder("- V1: CLAIMED")
    plant.wait(4)
    before = {name: mem.conversation for name, mem in plant.memory.roles.items()}
    change(plant, "advance")
    plant.wait(20)
    for name, mem in plant.memory.roles.items():
        assert mem.conversation not in (None, before[name])
        assert (mem.deaths, mem.restart_times, mem.inbox, mem.backoff) == (0, (), (), 1.0)
    assert [a.prompt.kind for a in plant.actions(StartSession)][-2:] == ["kickoff", "kickoff"]
    plant.branch.phase = "2"
    plant.branch.builder("- phase: DONE")
    plant.wait(4)
    assert plant.logged("handoff.seen")[-1].endswith("H-2")


def test_a_role_that_a_person_keeps_down_stays_down() -> None:
    plant = started()
    plant.ask("stop", "builder")
    plant.wait(20)
    complete(plant)
    plant.wait(40)
    assert place(plant) == ("2", PhaseState.RUNNING)
    assert plant.mem("builder").liveness is Liveness.ABSENT
    assert plant.mem("adversary").process is not None


def test_what_was_said_of_a_phase_before_it_began_is_handed_off_at_its_beginning() -> None:
    """With the first prompt; another host may be ahead."""
    plant = started(PLAN[0], replace(PLAN[1], gates=("V1",)))
    plant.branch.commit("builder", status="## Phase 2\n- V1: CLAIMED\n## Phase 1\n- phase: DONE\n")
    plant.wait(4)
    assert plant.logged("gate.claimed") == []
    plant.branch.adversary("- phase: PASS")
    plant.wait(40)
    assert plant.logged("gate.claimed") == ["gate.claimed 2 V1 1"]
    assert plant.heard["adversary"][-1] == "H-2"
    assert plant.memory.course.turn == {"adversary"}


# ------------------------------------------------------------------------- what people ask for


def test_set_advance_defer_in_a_running_phase() -> None:
    plant = started()
    assert change(plant, "set", "1") == "phase 1 is the present one"
    assert change(plant, "defer", "2") == "phase 2 is deferred"
    assert change(plant, "advance").endswith("then phase 3 begins")
    plant.wait(20)
    assert change(plant, "defer", "3").endswith("then no phase is left")
    plant.wait(20)
    assert place(plant) == ("3", PhaseState.COMPLETE)
    assert change(plant, "advance") == "no phase is left"
    assert change(plant, "defer", "1") == "phase 1 is deferred"
    assert change(plant, "set", "2") == "phase 2 begins"
    plant.wait(10)
    assert place(plant) == ("2", PhaseState.RUNNING)
    assert plant.memory.course.deferred == {"1", "3"}
    assert plant.logged(*PHASES) == [
        *("phase.started 1", "phase.changed 2", "phase.changed 3", "phase.started 3"),
        *("phase.changed 3", "phase.changed 1", "phase.changed 2", "phase.started 2"),
    ]
    assert {e["by"] for e in plant.log if e["event"] == "phase.changed"} == {"operator"}


def test_changes_while_a_complete_phase_ends_keep_that_it_was_complete() -> None:
    plant = started()
    plant.ask("hold", "builder")
    complete(plant)
    plant.wait(4)
    since = plant.memory.course.since
    assert change(plant, "defer", "2") == "phase 2 is deferred; then phase 3 begins"
    assert change(plant, "set", "1").endswith("then phase 1 begins")
    assert change(plant, "advance").endswith("then phase 3 begins")
    assert plant.memory.course.since == since
    plant.ask("release", "builder")
    plant.wait(20)
    assert [p for p in plant.logged(*PHASES) if "changed" not in p] == [
        *("phase.started 1", "phase.completed 1", "phase.started 3")
    ]


def test_the_same_phase_anew_counts_only_what_comes_then() -> None:
    plant = started(*PLAN[:1])
    complete(plant)
    plant.wait(20)
    assert change(plant, "set", "1") == "phase 1 begins"
    plant.wait(20)
    assert place(plant) == ("1", PhaseState.RUNNING)
    plant.branch.builder("- phase: DONE — anew")
    plant.branch.adversary("- phase: PASS — anew")
    plant.wait(20)
    assert place(plant) == ("1", PhaseState.COMPLETE)
    assert plant.logged("phase.started", "phase.completed") == [
        *("phase.started 1", "phase.completed 1", "phase.started 1", "phase.completed 1")
    ]
    assert [e["evidence"]["entry"] for e in plant.log if e["event"] == "phase.completed"] == [1, 2]


def test_before_the_first_start() -> None:
    plant = Plant(*PLAN)
    assert change(plant, "defer", "1") == "phase 1 is deferred"
    assert change(plant, "advance") == "phase 3 begins"
    assert place(plant) == ("3", PhaseState.RUNNING)
    alone = Plant(*PLAN[:1])
    assert change(alone, "advance") == "no phase is left"
    deferred = Plant(replace(PLAN[0], deferred=True))
    assert change(deferred, "advance") == "no phase is left"
    assert change(deferred, "set", "1") == "phase 1 begins"


def test_where_a_start_begins() -> None:
    plant = started()
    plant.ask("start", phase="1")
    assert plant.logged(*PHASES) == ["phase.started 1"]
    plant.ask("start", phase="3")
    plant.wait(20)
    assert place(plant) == ("3", PhaseState.RUNNING)
    complete(plant)
    plant.wait(20)
    plant.ask("start")
    assert place(plant) == ("3", PhaseState.COMPLETE)
    plant.phases = (PLAN[0],)
    plant.ask("start")
    assert place(plant) == ("3", PhaseState.COMPLETE)
    plant.phases = (*PLAN, PhaseSpec("4", "Four", "4.md"))
    plant.ask("start")
    assert place(plant) == ("4", PhaseState.RUNNING)


def test_every_phase_deferred_is_the_end_and_said_once() -> None:
    plant = started(replace(PLAN[0], deferred=True))
    plant.wait(20)
    assert place(plant) == ("", PhaseState.COMPLETE)
    assert plant.notes == ["all phases are complete"]
    assert plant.mem().reason == "every phase is deferred"


def test_a_plan_without_the_present_phase() -> None:
    """Nothing comes after it; a set finds the way, a goal that is gone waits for one."""
    plant = started()
    plant.phases = PLAN[1:]
    number = plant.ask("phase", text="advance")
    assert plant.replies[number] == Reply(
        number, 1, "can't change the phase: '1' is no phase of the plan; accepted: 2, 3"
    )
    assert change(plant, "defer", "2") == "phase 2 is deferred"
    change(plant, "set", "2")
    plant.phases = PLAN[2:]
    plant.wait(60)
    assert plant.memory.course.waiting_for == "a person: the plan has no phase 2 any more"
    change(plant, "set", "3")
    plant.wait(20)
    assert place(plant) == ("3", PhaseState.RUNNING)


def test_without_a_plan_nothing_begins() -> None:
    plant = Plant()
    plant.phases = ()
    plant.ask("start", everything=True)
    plant.wait(5)
    assert place(plant) == ("", PhaseState.RUNNING)


def test_a_limited_agent_is_given_its_time() -> None:
    plant = started(busy=True)
    plant.agent("builder").account = Account(Doing.LIMITED, "until tomorrow")
    plant.agent("adversary").account = IDLE
    complete(plant)
    plant.wait(plant.policy.phase_drain / 2)
    assert place(plant) == ("1", PhaseState.DRAINING)
    plant.wait(plant.policy.phase_drain)
    assert place(plant) == ("2", PhaseState.RUNNING)


def test_what_waits_in_an_inbox_lapses_with_its_phase() -> None:
    """A hand-off of a phase that is over would only mislead; the log says what became of it."""
    plant = started(replace(PLAN[0], gates=("V1",)), PLAN[1])
    plant.ask("hold", "adversary")
    plant.branch.builder("- V1: CLAIMED")
    plant.wait(6)
    assert plant.pending() == ["H-1"]
    change(plant, "advance")
    plant.wait(6)
    assert plant.pending() == []
    assert len(plant.logged("handoff.failed")) == 1


def test_a_start_where_all_is_complete_begins_nothing() -> None:
    """A position of days is not lost to another start."""
    plant = started(PLAN[0])
    complete(plant)
    plant.wait(60)
    assert place(plant) == ("1", PhaseState.COMPLETE)
    plant.ask("start")
    plant.wait(6)
    assert place(plant) == ("1", PhaseState.COMPLETE)
    assert plant.logged("phase.started") == ["phase.started 1"]


def test_a_start_in_the_middle_of_a_phase_goes_on_with_it() -> None:
    plant = started()
    plant.ask("start")
    plant.wait(6)
    assert place(plant) == ("1", PhaseState.RUNNING)
    assert plant.logged("phase.started") == ["phase.started 1"]
