"""start, stop, restart, hold, takeover: what a person asks for, and what then runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, alive, gone
from tests.waiting import eventually

pytestmark = pytest.mark.tmux


def test_start_status_logs_stop(instance: Make) -> None:
    """The whole of an evening: both agents run and print, then nothing of it is left."""
    it = instance()
    started = it.start()
    assert "builder" in started.out and "adversary" in started.out

    state = it.status()
    assert state["healthy"] is True
    assert [s["wanted"] for s in state["sessions"]] == ["up", "up"]
    assert all(alive(s["pid"]) for s in state["sessions"])
    eventually(lambda: "working" in it.run("logs", "builder").out, LONG)

    it.stop()
    assert it.run("status").code == 3
    assert not it.socket.exists()


@pytest.mark.parametrize(
    "name", ["a place with spaces", "ünï—cödé ☃", "hash#1 %d 'quote' \"two\" $HOME `id`"]
)
def test_odd_folders(instance: Make, name: str) -> None:
    """Any folder will do for the root and the state, and is never taken for something else."""
    it = instance("tells.py", place=name)
    it.settings["LOOP_COMMAND"] = it.agent("tells.py", str(it.root / "told"))
    it.start()
    eventually(lambda: (it.root / "told.builder").exists(), LONG)
    eventually(lambda: "working" in it.run("logs", "builder").out, LONG)
    it.stop()


def test_a_symlink_to_the_launcher(instance: Make) -> None:
    """A link to launch.sh on PATH, called by its name from anywhere, is the same program."""
    it = instance()
    (it.folder / "bin").mkdir()
    (it.folder / "bin" / "loops").symlink_to(it.launch)
    env = {**it.env, "PATH": f"{it.folder / 'bin'}:{it.env['PATH']}"}
    done = subprocess.run(["loops", "version"], cwd="/", env=env, capture_output=True, check=True)
    assert done.stdout == it.run("version").out.encode()


def test_as_a_module(instance: Make) -> None:
    """`python -m cc_ci_orch`, and Python on the package's folder, are the same program."""
    it = instance()
    program = it.launch.parent
    for words in (["-m", "cc_ci_orch"], [str(program / "cc_ci_orch")]):
        argv = [sys.executable, *words, "status", "--json"]
        done = subprocess.run(argv, cwd=program, env=it.env, capture_output=True, check=False)
        assert done.returncode == 3, done
        assert json.loads(done.stdout)["instance"] == "cc-ci"


def test_relative_places(instance: Make) -> None:
    """Relative paths in the environment count from where the person is, now and later."""
    it = instance(ORCH_ROOT="here", ORCH_STATE="./here-state")
    assert it.run("start", cwd=it.folder).code == 0
    assert it.run("status", cwd=it.folder).code == 0
    assert (it.state / "memory.json").exists()
    assert it.run("stop", "--grace", "1s", cwd=it.folder).code == 0
    it.settings.update(ORCH_ROOT=str(it.root), ORCH_STATE=str(it.state))


def test_two_instances_side_by_side(instance: Make) -> None:
    """Two names and two states: stopping the one leaves the other as it was."""
    one, two = instance(), instance(ORCH_NAME="other")
    one.start()
    two.start()
    pids = [s["pid"] for s in two.status()["sessions"]]
    one.stop()
    state = two.status()
    assert state["instance"] == "other" and state["healthy"] is True
    assert [s["pid"] for s in state["sessions"]] == pids
    assert all(map(alive, pids))


def test_start_twice(instance: Make) -> None:
    """A second start finds everything running, says so, changes nothing and succeeds."""
    it = instance()
    it.start()
    before = it.status()
    again = it.start()
    assert "already running" in again.err
    after = it.status()
    assert after["supervisor"]["pid"] == before["supervisor"]["pid"]
    assert [s["pid"] for s in after["sessions"]] == [s["pid"] for s in before["sessions"]]


def test_start_from_many_terminals_at_once(instance: Make) -> None:
    """However many start it at the same time: one supervisor, one session a role."""
    it = instance()
    starting = [it.background("start") for _ in range(4)]
    done = [(process.communicate(timeout=LONG), process.returncode) for process in starting]
    assert [code for _, code in done] == [0, 0, 0, 0], done
    assert len(it.events("supervisor.started")) == 1
    assert len(it.events("session.started")) == 2
    agents = [p for p, words in it.processes().items() if "works.py" in words]
    assert sorted(agents) == sorted(s["pid"] for s in it.status()["sessions"])


def test_start_one_role(instance: Make) -> None:
    """`start builder` starts the builder alone; a plain start then adds the other."""
    it = instance()
    it.start("builder")
    adversary = it.session("adversary")
    assert (adversary["pid"], adversary["wanted"]) == (None, "down")
    assert it.run("status").code == 0  # a role that is not wanted is not missed
    builder = it.pid("builder")
    it.start()
    assert it.pid("builder") == builder
    assert alive(it.pid("adversary"))


def test_stop_one_role_keeps_it_down(instance: Make) -> None:
    """`stop ROLE` outlasts the supervisor, a stop and a start; `start ROLE` ends it."""
    it = instance()
    it.start()
    stopped = it.run("stop", "adversary", "--grace", "1s")
    assert stopped.code == 0 and "adversary" in stopped.err
    assert it.session("adversary")["wanted"] == "down"
    again = it.start()
    assert "adversary" in again.err  # it says what it leaves down
    it.stop()
    it.start()
    assert it.session("adversary")["pid"] is None
    it.start("adversary")
    assert alive(it.pid("adversary"))


def test_stop_twice_and_stop_nothing(instance: Make) -> None:
    """Nothing to stop is no failure, be it before the first start or after a stop."""
    it = instance()
    assert it.run("stop").code == 0
    assert not it.state.exists()
    it.start()
    it.stop()
    assert it.run("stop").code == 0


def test_stop_ends_what_hides(instance: Make) -> None:
    """Children that left the session, lost their parent, have no environment and are deaf to
    TERM: `stop` leaves none of them."""
    it = instance("scatters.py")
    it.start()
    eventually(lambda: "scattered" in it.log("builder") and "scattered" in it.log("adversary"))
    assert len([w for w in it.processes().values() if "signal.signal" in w]) == 8
    it.stop()


def test_stop_of_the_deaf_takes_its_grace_and_no_more(instance: Make) -> None:
    """An agent that hears nothing is killed when its grace is over."""
    it = instance("deaf.py")
    it.start()
    eventually(lambda: "deaf" in it.log())
    it.stop("--grace", "0.5s")


def test_restart_keeps_the_conversation(instance: Make) -> None:
    """The same conversation in a new process; and with --fresh, another one."""
    it = instance()
    it.start()
    first = it.session()
    assert it.run("restart", "builder").code == 0
    second = it.session()
    assert second["conversation"] == first["conversation"]
    assert second["pid"] != first["pid"] and not alive(first["pid"])
    assert second["restarts"] == 1
    assert it.run("restart", "--fresh").code == 0
    third = it.session()
    assert third["conversation"] != first["conversation"]
    assert third["pid"] != second["pid"] and not alive(second["pid"])


def test_takeover(instance: Make) -> None:
    """A new supervisor, the same agents."""
    it = instance()
    it.start()
    before = it.status()
    it.start("--takeover")
    after = it.status()
    assert after["supervisor"]["pid"] != before["supervisor"]["pid"]
    assert [s["pid"] for s in after["sessions"]] == [s["pid"] for s in before["sessions"]]
    assert not alive(before["supervisor"]["pid"])
    it.stop()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_only_the_supervisor(instance: Make, number: signal.Signals) -> None:
    """The agents live on without their supervisor, and the next one takes them over."""
    it = instance()
    it.start()
    pids = [s["pid"] for s in it.status()["sessions"]]
    supervisor, guardian = it.supervisor, it.guardian
    assert supervisor and guardian
    os.kill(supervisor, number)
    gone([supervisor, guardian])
    assert all(map(alive, pids))
    assert it.run("status").code == 1  # somebody runs, and nobody watches
    assert it.status()["supervisor"]["running"] is False

    it.start()
    assert [s["pid"] for s in it.status()["sessions"]] == pids
    assert it.run("status").code == 0


def test_in_the_foreground(instance: Make) -> None:
    """`start --foreground` is the supervisor itself, without a guardian: systemd is that."""
    it = instance()
    process = it.background("start", "--foreground")
    eventually(lambda: it.run("status").code == 0, LONG)
    state = it.status()
    assert state["supervisor"]["pid"] == process.pid
    assert it.guardian is None
    process.terminate()
    process.communicate(timeout=LONG)
    assert process.returncode == 0
    assert all(alive(s["pid"]) for s in state["sessions"])


def test_hold_and_release(instance: Make) -> None:
    """Nothing heals a held role, over restarts of the supervisor too; released, it is healed."""
    it = instance()
    it.start()
    assert it.run("hold", "builder").code == 0
    pid = it.pid()
    os.kill(pid, signal.SIGKILL)
    it.wait_for_event("session.exited", "builder")
    it.start("--takeover")
    session = it.session()
    assert (session["held"], session["pid"]) == (True, None)
    assert it.run("status").code == 0
    assert it.run("release", "builder").code == 0
    assert it.pid() != pid


def test_hold_without_a_supervisor(instance: Make) -> None:
    """A wish is written down where no supervisor runs, and counts for the next one."""
    it = instance()
    it.start()
    it.stop()
    assert it.run("hold", "builder").code == 0
    assert it.session()["held"] is True
    it.start()
    assert it.session()["pid"] is None
    assert it.run("release", "builder").code == 0
    assert alive(it.pid())


def test_stop_without_a_supervisor(instance: Make) -> None:
    """Where the supervisor has been ended, `stop` ends the agents by itself."""
    it = instance("scatters.py")
    it.start()
    supervisor, guardian = it.supervisor, it.guardian
    assert supervisor and guardian
    os.kill(supervisor, signal.SIGTERM)
    gone([supervisor, guardian])
    it.stop()
