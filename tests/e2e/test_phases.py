"""phase list, set, advance, defer, in every state; where a start begins; and crashes between."""

from __future__ import annotations

import random
import time
from collections import Counter
from contextlib import suppress

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, kill
from tests.e2e.pairs import PAIR, PATIENCE, check_hand_offs, entries, notes, plan, script, told
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

THREE = plan(("1", ["V1"]), ("2", ["V1"]), ("3", ["V1"]))


def three(instance: Make, **settings: str) -> Instance:
    """An instance with three phases, in which nobody does anything by themselves."""
    it = instance(**(PAIR | settings))
    it.plan(THREE)
    script(it, idle=["1", "2", "3"])
    return it


def phase(it: Instance) -> tuple[str, str]:
    state = it.status()["phase"]
    return state["id"], state["state"]


def reaches(it: Instance, id: str, state: str = "running") -> None:
    eventually(lambda: phase(it) == (id, state), LONG, 0.1)


# ------------------------------------------------------------------------------------ crashes


@pytest.mark.parametrize("seed", [1, 2])
def test_killed_again_and_again_nothing_is_lost_or_done_twice(instance: Make, seed: int) -> None:
    """kill -9, most of them in the moments after something happened: hand-offs keep their one
    number and arrive, each phase is started and completed once, in its order."""
    rng = random.Random(seed)
    it = instance(**PAIR)
    it.plan(THREE)
    script(it, bad=["1/V1", "2/V1"], refused=["3"])
    it.start()
    kills = 0
    seen = 0
    deadline = time.monotonic() + PATIENCE
    while "completed 3" not in entries(it) and time.monotonic() < deadline:
        told = [e for e in it.events() if e["event"].startswith(("phase", "gate", "handoff"))]
        supervisor = it.supervisor
        if len(told) > seen and supervisor and alive(supervisor):
            seen = len(told)
            time.sleep(rng.random() * 0.1)  # any moment will do
            with suppress(ProcessLookupError):
                kill(supervisor)
                kills += 1
            it.run("start", "--takeover")  # a guardian takes its time with one that keeps dying
        time.sleep(rng.random() * 0.02)
    eventually(lambda: phase(it) == ("3", "complete"), PATIENCE, 0.2)
    eventually(lambda: len([w for w in it.processes().values() if "supervise" in w]) == 1, LONG)
    assert kills >= 4, kills  # the fewer, the more happens while one is started
    assert Counter(entries(it)) == Counter(
        f"{what} {n}" for n in (1, 2, 3) for what in ("started", "completed")
    )
    assert entries(it) == sorted(entries(it), key=lambda e: (e[-1], e[0] == "c"))
    check_hand_offs(it)
    assert len({event["n"] for event in it.events() if "n" in event}) == len(
        [event for event in it.events() if "n" in event]
    )
    assert Counter(
        e["gate"] + str(e["attempt"]) + e["phase"] for e in it.events("gate.passed")
    ) == {
        "V121": 1,
        "V122": 1,
        "V113": 1,
    }


# ----------------------------------------------------------------------------- set and advance


def test_a_person_goes_through_the_phases(instance: Make) -> None:
    """Each change is an event by the operator; the sessions end and begin afresh; the list
    marks where one stands; past the last one all is complete, and a set begins it again."""
    it = three(instance)
    it.start()
    assert it.run("phase", "set", "1").err.endswith("phase 1 is the present one\n")
    done = it.run("phase", "set", "3")
    assert done.code == 0 and "phase 1 ends" in done.err and "then phase 3 begins" in done.err
    reaches(it, "3")
    assert "* 3 " in it.run("phase", "list").out
    assert it.run("phase", "advance").code == 0
    reaches(it, "3", "complete")
    eventually(lambda: notes(it)[-1:] == ["all phases are complete"], LONG)
    assert it.run("phase", "advance").err.endswith("no phase is left\n")
    assert it.run("status").code == 0
    assert it.run("phase", "set", "2").err.endswith("phase 2 begins\n")
    reaches(it, "2")
    eventually(lambda: all(s["pid"] for s in it.status()["sessions"]), LONG, 0.1)
    changes = it.events("phase.changed")
    assert {event["by"] for event in changes} == {"operator"}
    assert [e["evidence"] for e in changes] == [
        {"from": "1", "to": "3"},
        {"from": "3", "to": None},
        {"from": "3", "to": "2"},
    ]
    assert entries(it) == ["started 1", "started 3", "started 2"]
    assert it.events("phase.completed") == []


def test_defer(instance: Make) -> None:
    """The present one ends; a later one is passed by; one that is about to begin, too; a set
    of a deferred one brings it back."""
    it = three(instance, ORCH_OPERATOR_GRACE="1s")
    it.start()
    assert it.run("phase", "defer", "2").err.endswith("phase 2 is deferred\n")
    assert "deferred" in it.run("phase", "list").out
    it.run("hold", "adversary")
    assert "then phase 3 begins" in it.run("phase", "defer", "1").err
    reaches(it, "1", "draining")
    eventually(lambda: it.status()["phase"]["waits_for"] == "adversary, which is held", LONG, 0.1)
    assert it.run("status").code == 0
    assert "waiting for adversary, which is held" in it.run("status").out
    assert "adversary, which is held" in it.session("adversary")["reason"]
    assert "no phase is left" in it.run("phase", "defer", "3").err
    assert "then phase 2 begins" in it.run("phase", "set", "2").err
    it.run("release", "adversary")
    reaches(it, "2")
    assert entries(it) == ["started 1", "started 2"]


def test_while_it_is_stopped_the_plan_is_changed_for_the_next_start(instance: Make) -> None:
    """Each change is told to hold from the next start on, and does; also where all is complete,
    and where a phase that is being left is wanted again."""
    it = three(instance)
    it.start()
    it.stop()
    assert "(no supervisor runs; " in it.run("phase", "defer", "2").err
    assert "(no supervisor runs; " in it.run("phase", "advance").err
    it.settings["RESUME_PHASE"] = "1"
    it.run("start")
    reaches(it, "3")
    it.run("hold", "builder")
    assert "no phase is left" in it.run("phase", "advance").err
    reaches(it, "3", "draining")
    assert "then phase 3 begins" in it.run("phase", "set", "3").err
    assert it.events("phase.changed")[-1]["why"] == "a person lets phase 3 begin anew"
    it.run("release", "builder")
    reaches(it, "3", "running")
    it.run("phase", "advance")
    reaches(it, "3", "complete")
    assert it.run("phase", "defer", "1").code == 0
    assert it.status()["phase"]["state"] == "complete"
    it.run("phase", "set", "2")
    reaches(it, "2")


@pytest.mark.parametrize(
    "wrong", [("set",), ("set", "9"), ("advance", "1"), ("defer", "x"), ("go",)]
)
def test_a_wrong_change_is_refused(instance: Make, wrong: tuple[str, ...]) -> None:
    it = three(instance)
    done = it.run("phase", *wrong)
    assert done.code == 2, done
    assert "Traceback" not in done.err


def test_changes_without_a_supervisor(instance: Make) -> None:
    """Before the first start, and after a stop: they count at the next start."""
    it = three(instance)
    assert it.run("phase", "list").code == 0
    assert it.run("phase", "defer", "1").code == 0
    it.start()
    assert phase(it) == ("2", "running")
    it.stop()
    assert phase(it) == ("2", "stopped")
    assert it.run("phase", "set", "3").code == 0
    assert phase(it) == ("3", "stopped")
    assert it.run("start").code == 78
    it.run("start", env={"RESUME_PHASE": "1"})
    assert phase(it) == ("3", "running")
    assert entries(it) == ["started 2", "started 3"]
    assert it.processes()


def test_a_phase_entered_again_counts_anew(instance: Make) -> None:
    """What was claimed and judged in the first round passes nothing in the second."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"]), ("2", [])))
    script(it, idle=["2"])
    it.start()
    reaches(it, "2")
    script(it, idle=["1", "2"])
    it.run("phase", "set", "1")
    reaches(it, "1")
    eventually(lambda: told(it, "builder")[-1] == "started in 1", LONG)
    gate = it.status()["phase"]["gates"][0]
    assert (gate["claim"], gate["verdict"], gate["passed"]) == (None, None, False)
    assert it.status()["turn"] == ["builder"]
    assert entries(it) == ["started 1", "completed 1", "started 2", "started 1"]


def test_hand_offs_of_a_phase_that_ends_lapse(instance: Make) -> None:
    """With an event each; nobody is told of them in the next phase."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"]), ("2", [])))
    script(it, idle=["2"])
    it.start("builder")
    seen = it.wait_for_event("handoff.seen", "adversary")
    it.run("phase", "advance")
    reaches(it, "2")
    (lapsed,) = it.events("handoff.failed")
    assert (lapsed["handoff"], lapsed["role"]) == (seen["handoff"], "adversary")
    assert "lapses" in lapsed["why"]
    it.start("adversary")
    eventually(lambda: told(it, "adversary") == ["started in 2"], LONG)


# ------------------------------------------------------------------------- where a start begins


def test_a_position_is_never_lost_to_a_forgotten_variable(instance: Make) -> None:
    """With neither variable a start past the first phase does nothing and says both ways on;
    each of them works; a takeover goes on, whatever the variables say."""
    it = three(instance)
    it.start()
    it.run("phase", "set", "2")
    reaches(it, "2")
    it.start("--takeover")
    assert it.run("start", "--takeover", env={"START_PHASE": "1"}).code == 0
    assert phase(it) == ("2", "running")
    it.stop()
    refused = it.run("start")
    assert refused.code == 78 and it.processes() == {}
    assert "RESUME_PHASE=1" in refused.err and "START_PHASE=1" in refused.err
    assert it.run("start", "--takeover").code == 0
    assert phase(it) == ("2", "running")
    it.stop()
    assert it.run("start", env={"RESUME_PHASE": "1"}).code == 0
    assert phase(it) == ("2", "running")
    it.stop()
    assert it.run("start", env={"START_PHASE": "3", "RESUME_PHASE": "1"}).code == 78
    assert it.run("start", env={"START_PHASE": "9"}).code == 78
    assert it.run("start", env={"START_PHASE": "3"}).code == 0
    assert phase(it) == ("3", "running")
    assert entries(it) == ["started 1", "started 2", "started 3"]


def test_start_phase_counts_once(instance: Make) -> None:
    """A supervisor that comes back has it in its environment, and resumes all the same."""
    it = three(instance)
    assert it.run("start", env={"START_PHASE": "2"}).code == 0
    it.run("phase", "set", "3")
    reaches(it, "3")
    before = it.supervisor
    kill(before)
    eventually(lambda: it.supervisor not in (None, before), LONG)
    eventually(lambda: it.run("status").code == 0, LONG)
    assert phase(it) == ("3", "running")
    assert entries(it) == ["started 2", "started 3"]


def test_a_start_at_another_phase_ends_the_agents_of_the_last_one(instance: Make) -> None:
    """Supervisor and guardian were killed, the agents live: they don't work on in a phase that
    is no longer theirs."""
    it = three(instance)
    it.start()
    pids = [s["pid"] for s in it.status()["sessions"]]
    kill(it.guardian, it.supervisor)
    assert it.run("start", env={"START_PHASE": "2"}).code == 0
    reaches(it, "2")
    eventually(lambda: told(it, "builder")[-1] == "started in 2", LONG)
    assert not any(map(alive, pids))
    assert entries(it) == ["started 1", "started 2"]


# ---------------------------------------------------------------------------- plans that change


def test_a_phase_that_the_plan_has_lost(instance: Make) -> None:
    """A start refuses; a supervisor that comes back goes on, says it, and takes another."""
    it = three(instance)
    it.start()
    it.run("phase", "set", "2")
    reaches(it, "2")
    it.plan(plan(("1", []), ("3", [])))
    it.start("--takeover")
    state = it.status()
    assert any("phase 2 is no longer in the plan" in t for t in state["troubles"]), state
    assert state["healthy"] and all(s["pid"] for s in state["sessions"])
    refused = it.run("phase", "advance")
    assert refused.code == 1 and "'2' is no phase" in refused.err
    assert it.run("phase", "set", "3").code == 0
    reaches(it, "3")
    assert it.status()["troubles"] == []


def test_every_phase_deferred(instance: Make) -> None:
    """The supervisor stays up with nothing to do, says so, and is healthy."""
    it = instance(**PAIR)
    it.plan(plan(("1", []), deferred="1"))
    script(it)
    it.start()
    state = it.run("status", "--json")
    assert state.code == 0 and state.json["phase"]["state"] == "complete"
    assert "every phase is deferred" in it.run("status").out
    assert it.run("phase", "set", "1").code == 0
    eventually(lambda: "completed 1" in entries(it), PATIENCE, 0.1)


def test_a_plan_that_grew_after_its_end_goes_on_at_the_next_start(instance: Make) -> None:
    it = instance(**PAIR)
    it.plan(plan(("1", [])))
    script(it, idle=["2"])
    it.start()
    reaches(it, "1", "complete")
    it.stop()
    it.start()
    assert phase(it) == ("1", "complete")
    it.stop()
    it.plan(plan(("1", []), ("2", [])))
    it.start()
    reaches(it, "2")
    assert entries(it) == ["started 1", "completed 1", "started 2"]
