"""Whatever is killed, and in whatever company: all is back, each role once, each with its
conversation."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, gone, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

BACK = 5.0
"""Seconds in which a supervisor has to be back."""


def _agents(it: Instance) -> dict[str, tuple[Any, Any]]:
    return {s["role"]: (s["pid"], s["conversation"]) for s in it.status()["sessions"]}


def _is_well(it: Instance) -> bool:
    """Healthy, and each role has one process."""
    state = it.status()
    pids = sorted(s["pid"] or 0 for s in state["sessions"])
    running = sorted(pid for pid, words in it.processes().items() if "works.py" in words)
    return bool(state["healthy"]) and pids == running


def _server(it: Instance) -> list[int]:
    return [it.server()]


def _supervisor(it: Instance) -> list[int]:
    return [it.supervisor or 0]


def _both(it: Instance) -> list[int]:
    return [it.supervisor or 0, it.server()]


def _all_three(it: Instance) -> list[int]:
    return [it.supervisor or 0, it.server(), it.pid()]


@pytest.mark.parametrize("victims", [_server, _supervisor, _both, _all_three])
def test_all_is_back(instance: Make, victims: Callable[[Instance], list[int]]) -> None:
    """kill -9, of several at the same moment too; then all runs again, each role once and with
    the conversation that it had."""
    it = instance()
    it.start()
    before = _agents(it)
    doomed = victims(it)
    supervisor = it.supervisor
    kill(*doomed)
    gone(doomed)
    eventually(lambda: it.supervisor and alive(it.supervisor) and _is_well(it), LONG, 0.1)
    after = _agents(it)
    assert {r: talk for r, (_, talk) in after.items()} == {
        r: talk for r, (_, talk) in before.items()
    }
    if supervisor in doomed and len(doomed) == 1:
        assert after == before, "the agents are untouched by the supervisor's death"
    assert (it.supervisor == supervisor) == (supervisor not in doomed)
    it.stop()


def test_the_supervisor_is_back_in_time(instance: Make) -> None:
    """Killed again and again, it supervises again within 5 s, and stays one."""
    it = instance()
    it.start()
    for _ in range(2):
        supervisor = it.supervisor
        kill(supervisor)
        killed = time.monotonic()
        eventually(lambda: it.supervisor not in (None, supervisor), LONG)  # noqa: B023
        eventually(lambda: it.status()["supervisor"]["running"], LONG)
        assert time.monotonic() - killed < BACK
    assert len(it.events("supervisor.recovered")) == 2
    running = [words for words in it.processes().values() if "supervise" in words]
    assert len(running) == 1, running


def test_killed_as_soon_as_it_runs(instance: Make) -> None:
    """There is no moment after `start` in which nobody would bring the supervisor back."""
    it = instance()
    it.start()
    supervisor = it.supervisor
    kill(supervisor)
    eventually(lambda: it.supervisor not in (None, supervisor), BACK)
    eventually(lambda: it.run("status").code == 0, LONG)


def test_the_guardian_is_guarded(instance: Make) -> None:
    """Kill the guardian, and there is another; then kill the supervisor, and it is back."""
    it = instance()
    it.start()
    guardian = it.guardian
    kill(guardian)
    eventually(lambda: it.guardian not in (None, guardian), LONG)
    supervisor = it.supervisor
    kill(supervisor)
    eventually(lambda: it.supervisor not in (None, supervisor), LONG)
    eventually(lambda: it.run("status").code == 0, LONG)
    it.stop()


def test_guardian_and_supervisor_at_once(instance: Make) -> None:
    """With both gone nobody is left to bring them back; `start` takes the agents over."""
    it = instance()
    it.start()
    before = _agents(it)
    kill(it.guardian, it.supervisor)
    assert it.run("status").code == 1
    it.start()
    assert _agents(it) == before
    assert _is_well(it)


def test_stop_beside_a_killed_supervisor(instance: Make) -> None:
    """`stop` in the moment in which the supervisor is dead and its guardian acts: nothing of
    it comes back."""
    it = instance()
    it.start()
    kill(it.supervisor)
    it.stop()
    assert not (it.state / "supervisor.json").exists()


def test_a_stopped_supervisor_does_not_keep_the_agents(instance: Make) -> None:
    """A supervisor that hangs (SIGSTOP): status says so, `stop` ends it and the agents."""
    it = instance()
    it.start()
    assert it.supervisor
    os.kill(it.supervisor, signal.SIGSTOP)
    state = it.run("status", "--json")
    assert state.code == 1
    assert any("no answer" in trouble for trouble in state.json["troubles"])
    assert state.json["supervisor"]["running"] is True
    assert all(s["pid"] for s in state.json["sessions"])
    nudged = it.run("nudge", "builder", "hello")
    assert nudged.code == 75, nudged
    assert "MISSING supervisor" in it.run("doctor").out
    it.stop()


def test_a_hung_supervisor_is_taken_over(instance: Make) -> None:
    """`start --takeover` replaces one that does not even take a signal."""
    it = instance()
    it.start()
    before = _agents(it)
    hung = it.supervisor
    assert hung
    os.kill(hung, signal.SIGSTOP)
    it.start("--takeover")
    assert it.supervisor != hung and not alive(hung)
    assert _agents(it) == before


@pytest.mark.slow
def test_a_hung_tmux_is_no_death(instance: Make) -> None:
    """While tmux gives no answer nothing is concluded and nothing killed; when it is back, all
    goes on as before."""
    it = instance()
    it.start()
    before = _agents(it)
    server = it.server()
    os.kill(server, signal.SIGSTOP)
    eventually(lambda: {s["liveness"] for s in it.status()["sessions"]} == {"unknown"}, LONG)
    state = it.run("status", "--json")
    assert state.code == 0, state.json  # unknown is not sick
    assert any("tmux" in trouble for trouble in state.json["troubles"])
    assert it.run("nudge", "builder", "hello").code == 75
    os.kill(server, signal.SIGCONT)
    eventually(lambda: "unknown" not in {s["liveness"] for s in it.status()["sessions"]}, LONG)
    assert _agents(it) == before
    assert Counter(e["event"] for e in it.events())["session.exited"] == 0


@pytest.mark.slow
def test_stop_with_a_hung_tmux(instance: Make) -> None:
    """A server that gives no answer is ended all the same, with all that runs in it."""
    it = instance("scatters.py")
    it.start()
    os.kill(it.server(), signal.SIGSTOP)
    it.stop()
