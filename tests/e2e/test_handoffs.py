"""A whole run of two agents that know only the protocol: claims, verdicts, phases."""

from __future__ import annotations

import statistics

import pytest

from benchmarks import handoff
from tests.e2e.conftest import Make
from tests.e2e.instance import LONG
from tests.e2e.pairs import (
    PAIR,
    PATIENCE,
    check_hand_offs,
    entries,
    notes,
    numbers,
    plan,
    script,
    told,
)
from tests.waiting import eventually

pytestmark = pytest.mark.tmux


def test_three_phases_with_a_failure_a_refusal_and_a_block(instance: Make) -> None:
    """A FAIL, a fix and a new claim; a DONE that is refused; a deferred phase, passed by; a
    BLOCKED, of which a person is told once, and that ends when the reason is gone."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1", "V2"]), ("skip", ["S"]), ("2", []), ("3", ["V1"]), deferred="skip"))
    script(it, bad=["1/V1"], refused=["2"], blocked=["3"])
    it.start()
    eventually(lambda: "the builder is blocked" in notes(it), PATIENCE, 0.1)
    assert it.status()["turn"] == []
    (it.folder / "key").touch()
    assert it.run("nudge", "builder", "the key is there").code == 0
    eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)

    assert entries(it) == [
        *("started 1", "completed 1", "started 2", "completed 2", "started 3", "completed 3")
    ]
    check_hand_offs(it)
    assert notes(it).count("the builder is blocked") == 1
    assert notes(it).count("all phases are complete") == 1
    assert [f"phase {n} is complete" for n in "123"] == [n for n in notes(it) if "phase " in n]
    assert [e["attempt"] for e in it.events("gate.failed")] == [1]
    assert any("failed" in line for line in told(it, "builder"))
    assert it.events("protocol.violation") == []

    state = it.run("status", "--json")
    assert state.code == 0 and state.json["healthy"] and state.json["phase"]["done"]
    assert it.run("status").out.count("all phases are complete") == 2
    restarted = it.run("restart")
    assert restarted.code == 1 and "all phases are complete" in restarted.err
    it.start()
    assert it.status()["phase"]["state"] == "complete"


def test_each_phase_begins_in_fresh_conversations(instance: Make) -> None:
    it = instance(**PAIR)
    it.plan(plan(("1", []), ("2", ["V1"])))
    script(it, idle=["2"])
    it.start()
    eventually(lambda: "started 2" in entries(it), PATIENCE, 0.1)
    eventually(lambda: len(it.events("session.started")) == 4, LONG, 0.1)
    talks = [event["evidence"]["conversation"] for event in it.events("session.started")]
    assert len(set(talks)) == 4
    assert not any(event["evidence"]["resumed"] for event in it.events("session.started"))
    eventually(lambda: told(it, "builder")[-1] == "started in 2", LONG, 0.1)


def test_who_waits_is_left_in_peace(instance: Make) -> None:
    """The adversary has nothing to verify, for thirty times the time of an idle nudge: nothing
    is typed to it. When there is something, it is told once."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"])))
    script(it, blocked=["1"])
    it.start()
    eventually(lambda: it.session("adversary")["liveness"] == "waiting", LONG, 0.1)
    began = it.session("adversary")["log_age_s"]
    eventually(lambda: it.session("adversary")["log_age_s"] > began + 15, LONG, 0.5)
    assert told(it, "adversary") == ["started in 1"]
    assert it.events("session.nudged") == []
    (it.folder / "key").touch()
    it.run("nudge", "builder", "the key is there")
    eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)
    assert len(numbers(it, "adversary")) == 2  # the claim, and DONE
    assert it.events("session.nudged", "adversary") == []


def test_a_role_that_is_down_or_held_gets_its_hand_off_when_it_can(instance: Make) -> None:
    """Kept down: with its first prompt; held: at its release; once, with one number."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"]), ("2", ["V1"])))
    script(it, bad=["1/V1"])
    it.start("builder")
    claimed = it.wait_for_event("handoff.seen", "adversary")
    assert it.status()["pending_handoffs"] == 1
    it.run("hold", "builder")
    it.start("adversary")
    it.wait_for_event("handoff.delivered", "adversary")
    assert told(it, "adversary")[1].startswith(f"{claimed['handoff']}: gate V1 of phase 1")
    failed = it.wait_for_event("handoff.seen", "builder")
    eventually(lambda: it.session("adversary")["liveness"] == "waiting", LONG, 0.1)
    assert numbers(it, "builder") == []
    assert it.status()["pending_handoffs"] == 1
    it.run("release", "builder")
    it.wait_for_event("handoff.delivered", "builder")
    assert told(it, "builder")[1].startswith(failed["handoff"])
    eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)
    check_hand_offs(it)


def test_a_claim_arrives_in_time() -> None:
    """As the benchmark measures it: within a look at the repository and a second."""
    assert statistics.median(handoff.run(5, 1.0)) < 2.0
