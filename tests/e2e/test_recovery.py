"""What dies or hangs is replaced, at the set times; what works is left alone."""

from __future__ import annotations

import time
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, gone, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

SOON = {
    "ORCH_STALL_AFTER": "1.5s",
    "ORCH_INTERRUPT_AFTER": "1s",
    "ORCH_HEAL_AFTER": "1s",
    "ORCH_IDLE_NUDGE_AFTER": "1s",
    "ORCH_STABLE_AFTER": "1h",
}
"""A stall and its escalation within seconds."""


def moment(event: Any) -> float:
    return datetime.fromisoformat(event["t"]).timestamp()


def names(it: Instance, role: str = "builder") -> list[str]:
    """What happened to the role, without its start."""
    return [event["event"].removeprefix("session.") for event in it.events(role=role)][1:]


def test_a_killed_agent_is_back_at_once(instance: Make) -> None:
    """kill -9 of an agent that ran well: a new process with the same conversation, at once."""
    it = instance(ORCH_STABLE_AFTER="0.1s", ORCH_MAX_RESTARTS="9999")
    it.start()
    first = it.session()
    for _ in range(10):
        pid, healed = it.pid(), len(it.events("session.healed", "builder"))
        time.sleep(0.15)  # it has lived long enough to count as stable
        kill(pid)
        event = it.wait_for_event("session.healed", "builder", healed + 1)
        assert event["evidence"]["down_s"] < 2
    last = it.session()
    assert last["conversation"] == first["conversation"]
    assert last["restarts"] == 10
    exited = it.events("session.exited", "builder")
    assert {e["evidence"]["status"] for e in exited} <= {"signal 9", None}
    assert it.events("session.gave_up") == []


@pytest.mark.slow
def test_a_hundred_kills(instance: Make) -> None:
    """100 of 100 are detected and healed."""
    it = instance(ORCH_STABLE_AFTER="0.05s", ORCH_MAX_RESTARTS="9999")
    it.start()
    pid = it.pid()
    for n in range(1, 101):
        time.sleep(0.07)
        kill(pid)
        it.wait_for_event("session.healed", "builder", n)
        pid = it.pid()
    assert it.session()["restarts"] == 100
    assert len(it.events("session.exited", "builder")) == 100


def test_one_that_leaves_is_replaced_too(instance: Make) -> None:
    """Exit status 0 is no reason to stay away."""
    it = instance("dies.py", "0.3", "0", ORCH_STABLE_AFTER="0.1s")
    it.start()
    it.wait_for_event("session.healed", "builder", 2)
    assert it.events("session.exited", "builder")[0]["evidence"]["status"] == "status 0"


def test_a_crash_loop(instance: Make) -> None:
    """The first restart at once, the next ones at growing delays, then a pause that is said;
    and after it, on with it."""
    it = instance(
        "dies.py", "0", "3",
        ORCH_STABLE_AFTER="1h", ORCH_MAX_RESTARTS="3", ORCH_COOLDOWN="3s",
    )  # fmt: skip
    it.start()
    gave_up = it.wait_for_event("session.gave_up", "builder")
    state = it.status()
    session = next(s for s in state["sessions"] if s["role"] == "builder")
    assert state["healthy"] is False and session["next_attempt"] is not None
    assert "given up" in session["reason"]
    assert it.run("status").code == 1
    healed = [moment(e) for e in it.events("session.healed", "builder")]
    died = [moment(e) for e in it.events("session.exited", "builder")]
    assert len(healed) == 3 and len(died) == 4
    delays = [back - dead for dead, back in zip(died, healed, strict=False)]
    assert delays[0] < 0.9 < delays[1] < delays[2], delays
    again = it.wait_for_event("session.healed", "builder", 4)
    assert moment(again) - moment(gave_up) >= 2.9


def test_the_resume_ladder(instance: Make) -> None:
    """A conversation whose processes die at once, twice, is recorded as lost; a fresh one
    begins."""
    it = instance("dies.py", "0", "3", ORCH_MAX_RESTARTS="9999", ORCH_STABLE_AFTER="1h")
    it.settings["LOOP_COMMAND_RESUME"] = it.settings["LOOP_COMMAND"]
    it.start("builder")
    third = it.wait_for_event("session.healed", "builder", 3)["evidence"]
    started = it.events("session.started", "builder")[0]["evidence"]
    healed = [event["evidence"] for event in it.events("session.healed", "builder")]
    assert [e["resumed"] for e in healed[:3]] == [True, True, False]
    assert [e["conversation"] for e in healed[:2]] == [started["conversation"]] * 2
    assert third["lost_conversation"] == started["conversation"] != third["conversation"]


def test_one_template_for_all_loses_no_conversation(instance: Make) -> None:
    """The same command line begins and resumes it: its id stays, however often it dies."""
    it = instance("dies.py", "0", "3", ORCH_MAX_RESTARTS="9999", ORCH_STABLE_AFTER="1h")
    it.start("builder")
    it.wait_for_event("session.healed", "builder", 4)
    healed = [event["evidence"] for event in it.events("session.healed", "builder")]
    started = it.events("session.started", "builder")[0]["evidence"]
    assert {e["conversation"] for e in healed} == {started["conversation"]}
    assert not any(e.get("lost_conversation") for e in healed)


@pytest.mark.parametrize("agent", ["silent.py", "deaf.py"])
def test_the_ladder(instance: Make, agent: str) -> None:
    """Silent on its turn: nudged, interrupted, replaced with its conversation, then with a
    fresh one, then given up for a while; each at its time, with its evidence. The processes that
    were replaced are gone, also those that are deaf."""
    it = instance(agent, ORCH_COOLDOWN="1h", **SOON)
    it.start()
    first = it.session()
    gave_up = it.wait_for_event("session.gave_up", "builder")
    happened = [n for n in names(it) if n != "nudged"]
    assert happened[:3] == ["stalled", "interrupted", "healed"], names(it)
    assert [n for n in names(it) if n == "healed"] == ["healed", "healed"]
    stalled = it.events("session.stalled", "builder")[0]
    nudged = it.events("session.nudged", "builder")
    interrupted = it.events("session.interrupted", "builder")[0]
    healed = it.events("session.healed", "builder")
    assert nudged and not nudged[0]["proved"]
    assert 0.9 <= moment(interrupted) - moment(stalled) < 5
    assert 0.9 <= moment(healed[0]) - moment(interrupted) < 8
    assert all(e["evidence"]["signals"] for e in (stalled, interrupted, gave_up))
    assert healed[0]["evidence"]["conversation"] == first["conversation"]
    assert healed[1]["evidence"]["conversation"] != first["conversation"]
    assert healed[1]["evidence"]["lost_conversation"] == first["conversation"]
    gone([first["pid"]])
    builders = [p for p, w in it.processes().items() if agent in w]
    assert len(builders) == 2  # one a role
    assert it.run("status").code == 1
    assert it.session()["next_attempt"] is not None


@pytest.mark.parametrize("agent", ["works.py", "burns.py", "touches.py", "floods.py"])
def test_who_works_is_left_alone(instance: Make, agent: str) -> None:
    """Output, a child that computes in silence, an activity file that is touched: each of them
    is work, however long it goes on."""
    it = instance(agent, **SOON)
    it.start()
    pid = it.pid()
    started = time.monotonic()
    eventually(lambda: time.monotonic() - started > 5, LONG, 0.5)
    # A machine that is too busy for the child to compute may show a stall; it must end in work.
    assert it.pid() == pid
    assert "interrupted" not in names(it) and "healed" not in names(it), it.events(role="builder")
    assert it.session()["liveness"] in ("working", "starting")


def test_the_silent_one_off_turn_is_left_in_peace(instance: Make) -> None:
    """The adversary waits for the builder; its silence is no stall."""
    it = instance("silent.py", **SOON)
    it.start()
    it.wait_for_event("session.interrupted", "builder")
    assert it.session("adversary")["liveness"] in ("waiting", "starting", "working")
    assert set(names(it, "adversary")) <= {"nudged"}  # its first prompt, which nothing proved


def test_a_frozen_child_is_no_work(instance: Make) -> None:
    """A child that was stopped (SIGSTOP) computes nothing: its agent is stalled."""
    import os
    import signal

    it = instance("burns.py", **SOON)
    it.start()
    pid = it.pid()
    children = [p for p, w in it.processes().items() if "while True: pass" in w and alive(p)]
    for child in children:
        os.kill(child, signal.SIGSTOP)
    it.wait_for_event("session.healed", "builder")
    gone([pid])


def test_one_that_recovers(instance: Make) -> None:
    """A stall that ends by itself is an event too, and the ladder starts from the bottom."""
    it = instance(**SOON)
    it.settings["LOOP_COMMAND"] = it.agent("reads.py", str(it.folder / "typed"), "quiet")
    it.start()
    it.wait_for_event("session.stalled", "builder")
    recovered = it.wait_for_event("session.recovered", "builder")
    assert recovered["evidence"]["signals"]
    it.wait_for_event("session.stalled", "builder", 2)
    assert "interrupted" not in names(it) and "healed" not in names(it)


def test_delays_are_not_made_up(instance: Make) -> None:
    """Events are written in the order in which things happened."""
    it = instance("dies.py", "0.2", "1", ORCH_STABLE_AFTER="0.1s")
    it.start()
    it.wait_for_event("session.healed", "builder", 3)
    times = [moment(event) for event in it.events()]
    assert all(a <= b for a, b in pairwise(times))
