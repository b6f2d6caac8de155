"""The upgrader: one run, to its end, reported whatever becomes of it, and never run again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, gone, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

ROLE = "upgrader"


def made(instance: Make, **settings: str) -> Instance:
    """An instance whose upgrader waits for a word before it ends."""
    it = instance(**settings)
    words = f"{it.agent('once.py')} '{it.folder}' {{prompt_file}}"
    it.settings |= {"LOOP_COMMAND": words, **settings}
    return it


def note(it: Instance) -> Any:
    """What the agent was given, as soon as it has begun."""
    path = it.folder / "noted.upgrader"
    return json.loads(eventually(lambda: path.exists() and path.read_text(), LONG))


def go(it: Instance, status: int = 0) -> None:
    (it.folder / "go").write_text(str(status))


def last(it: Instance) -> Any:
    """The newest run, as soon as it has ended."""

    def ended() -> Any:
        found = it.upgrader("status", "--json").json
        return found if not found["running"] else None

    return eventually(ended, LONG)


def test_it_runs_once_to_its_end(instance: Make) -> None:
    """Without a supervisor: in its own clone, with an identity, status, log and one event."""
    it = made(instance, WORK_IDENTITY="ours")
    assert it.upgrader("status").code == 3
    begun = it.upgrader()
    assert begun.code == 0, begun
    given = note(it)
    assert given["cwd"] == str(it.state / "clones" / ROLE)
    assert given["env"]["GIT_AUTHOR_NAME"] == "ours upgrader"
    assert given["env"]["ORCH_ROLE"] == ROLE
    assert not {"ORCH_STATE", "LOOP_COMMAND", "TMUX"} & given["env"].keys()
    assert "test suite" in given["prompt"]
    assert given["tty"] is True
    assert it.upgrader("status").code == 0
    assert it.tmux("has-session", "-t", "=cc-ci-upgrader").code == 0
    go(it)
    ended = last(it)
    assert (ended["status"], ended["error"]) == (0, None)
    assert it.upgrader("status").code == 0
    printed = it.upgrader("logs").out
    assert "the upgrade begins" in printed and "the upgrade ends" in printed
    assert it.run("logs", ROLE).out == printed
    (event,) = it.events("session.exited", ROLE)
    assert event["evidence"]["status"] == 0
    assert it.events("notified") == []
    gone([given["pid"], given["left"]])
    assert len(it.events("session.started", ROLE)) == 1
    it.stop()


def test_a_second_one_is_refused(instance: Make) -> None:
    """While one runs; also two at the same moment."""
    it = made(instance)
    launcher = str(it.launch.with_name("launch-upgrader.sh"))
    null = subprocess.DEVNULL
    both = [subprocess.Popen([launcher], env=it.env, cwd="/", stderr=null) for _ in range(2)]
    assert sorted(process.wait(LONG) for process in both) == [0, 75]
    third = it.upgrader("run", "--wait")
    assert third.code == 75
    assert "runs already" in third.err
    go(it)
    last(it)
    assert len(it.events("session.started", ROLE)) == 1
    it.stop()


@pytest.mark.parametrize("status", [0, 7])
def test_waiting_returns_its_status(instance: Make, status: int) -> None:
    """A status that is not 0 is a failure, and a person is told."""
    it = made(instance, NOTIFY_COMMAND="true")
    go(it, status)
    assert it.upgrader("run", "--wait").code == status
    assert last(it)["status"] == status
    assert len(it.events("notified")) == (1 if status else 0)
    it.stop()


def test_killed_in_the_middle_it_is_reported_and_not_restarted(instance: Make) -> None:
    """The agent, killed: by its guardian, at once; nothing it started is left."""
    it = made(instance, NOTIFY_COMMAND="true")
    it.start()
    it.upgrader()
    given = note(it)
    kill(given["pid"])
    ended = last(it)
    assert (ended["signal"], ended["status"]) == (9, 137)
    assert "killed in the middle" in ended["error"]
    (event,) = it.events("session.exited", ROLE)
    assert event["evidence"]["signal"] == 9
    assert [e["role"] for e in it.events("notified") if "upgrader" in e["why"]] == [ROLE]
    gone([given["left"]])
    assert it.upgrader("status").code == 1
    assert len(it.events("session.started", ROLE)) == 1
    it.stop()


def test_all_of_it_killed_the_supervisor_reports_it(instance: Make) -> None:
    """The guardian and the agent die at once: within a tick it is known, once."""
    it = made(instance, NOTIFY_COMMAND="true")
    it.start()
    it.upgrader()
    given = note(it)
    kill(it.upgrader("status", "--json").json["pid"])
    event = it.wait_for_event("session.exited", ROLE)
    assert "killed in the middle" in event["why"]
    gone([given["pid"], given["left"]])
    assert it.upgrader("status").code == 1
    assert len(it.events("session.exited", ROLE)) == 1
    it.stop()


def test_all_of_it_killed_the_next_status_reports_it(instance: Make) -> None:
    """Nobody supervises: whoever looks first says it, once; then another one can run."""
    it = made(instance, NOTIFY_COMMAND="true")
    it.upgrader()
    note(it)
    it.power_cut()
    done = it.upgrader("status")
    assert done.code == 1
    assert "killed in the middle" in done.out
    assert it.upgrader("status").code == 1
    assert len(it.events("session.exited", ROLE)) == 1
    assert len(it.events("notified")) == 1
    go(it)
    assert it.upgrader("run", "--wait").code == 0
    it.stop()


def test_a_waiter_that_is_terminated_ends_it_politely(instance: Make) -> None:
    """As systemd does it: the agent gets TERM, the run is reported, the status is that of TERM."""
    it = made(instance)
    launcher = str(it.launch.with_name("launch-upgrader.sh"))
    waiter = subprocess.Popen(
        [launcher, "run", "--wait"], env=it.env, cwd="/", stderr=subprocess.DEVNULL
    )
    given = note(it)
    os.kill(waiter.pid, signal.SIGTERM)
    assert waiter.wait(LONG) == 143
    assert not alive(given["pid"])
    assert "asked to end" in last(it)["error"]
    it.stop()


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stop_of_the_instance_ends_it_too(instance: Make, deaf: bool) -> None:
    """Nothing of ours is left running, and it is said; also where the orchestrator lives on."""
    it = made(instance)
    if deaf:
        (it.folder / "deaf").touch()
    it.upgrader()
    note(it)
    done = it.stop("--grace", "1s")
    assert "upgrader was running" in done.err
    assert "in the middle" in last(it)["error"]


@pytest.mark.parametrize(
    ("claim", "status", "error"),
    [
        ({"type": "result", "subtype": "success", "is_error": False, "result": "done"}, 0, None),
        (
            {"type": "result", "subtype": "success", "is_error": True, "api_error_status": 529,
             "result": "API Error: Overloaded"},
            1, "529: API Error: Overloaded",
        ),
        ({"type": "result", "is_error": True, "terminal_reason": "max_turns"}, 1, "max_turns"),
        ({"type": "error", "error": {"name": "E", "data": {"message": "No model"}}}, 1, "No model"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["claude", "opencode"])
def test_what_the_agent_says_of_itself_counts(
    instance: Make, backend: str, claim: Any, status: int, error: str | None
) -> None:
    """An exit status of 0 can hide an error; the prompt is the last word of the command line."""
    it = instance(LOOP_BACKEND=backend)
    client = it.folder / "client"
    client.write_text(f"#!{sys.executable}\n{(it.folder / 'agents' / 'claims.py').read_text()}")
    client.chmod(0o700)
    it.settings[f"{backend.upper()}_BIN"] = str(client)
    (it.folder / "home" / "claim").write_text(f"0\n{json.dumps(claim)}\n")
    done = it.upgrader("run", "--wait")
    assert done.code == status, done
    found = last(it)
    assert (found["error"], found["status"]) == (error, status)
    assert it.events("session.exited", ROLE)[-1]["evidence"].get("error") == error
    argv = (it.folder / "home" / "argv").read_text()
    assert argv.startswith("-p\n" if backend == "claude" else "run\n")
    assert "You are the upgrader" in argv
    it.stop()


def test_a_result_over_several_lines_is_read(instance: Make) -> None:
    """A client that prints its JSON for people."""
    it = instance(LOOP_BACKEND="claude")
    client = it.folder / "client"
    client.write_text(f"#!{sys.executable}\n{(it.folder / 'agents' / 'claims.py').read_text()}")
    client.chmod(0o700)
    it.settings["CLAUDE_BIN"] = str(client)
    claim = json.dumps({"is_error": True, "result": "no"}, indent=2)
    (it.folder / "home" / "claim").write_text(f"0\n{claim}\n")
    assert it.upgrader("run", "--wait").code == 1
    it.stop()


def test_the_backend_of_all_wins_over_its_own(instance: Make) -> None:
    """LOOP_BACKEND and LOOP_MODEL over UPGRADER_BACKEND and UPGRADER_MODEL, which hold else."""
    it = made(instance)
    go(it)
    own = {"UPGRADER_BACKEND": "claude", "CLAUDE_BIN": "/no/claude", "UPGRADER_MODEL": "small"}
    assert it.upgrader("run", "--wait", env={**own, "LOOP_MODEL": "large"}).code == 0
    assert (last(it)["backend"], last(it)["model"]) == ("command", "large")
    done = it.upgrader("run", "--wait", env={**own, "LOOP_BACKEND": ""})
    assert done.code == 78
    assert "/no/claude" in done.err
    it.stop()


def test_a_program_without_a_prompt_on_its_command_line_reads_it(instance: Make) -> None:
    """There is nobody to type it: it is its input."""
    it = made(instance)
    it.settings["LOOP_COMMAND"] = f"{it.agent('once.py')} '{it.folder}'"
    go(it)
    assert it.upgrader("run", "--wait").code == 0
    assert "You are the upgrader" in note(it)["prompt"]
    it.stop()


@pytest.mark.parametrize(
    ("settings", "words", "code", "told"),
    [
        ({}, ["begin"], 2, "invalid choice"),
        ({}, ["run", "now"], 2, "unrecognized"),
        ({"LOOP_BACKEND": "gpt"}, [], 78, "LOOP_BACKEND"),
        ({"LOOP_BACKEND": "", "UPGRADER_BACKEND": "x"}, [], 78, "UPGRADER_BACKEND"),
        ({"LOOP_COMMAND": "/no/such/program"}, [], 78, "not installed"),
        ({}, ["logs"], 1, "no log"),
    ],
)
def test_bad_input(
    instance: Make, settings: dict[str, str], words: list[str], code: int, told: str
) -> None:
    """One line, a hint, an exit code; nothing is started."""
    it = instance(**settings)
    done = it.upgrader(*words)
    assert done.code == code, done
    assert told in done.err
    assert done.err.startswith("cc-ci-orch: ")
    assert "Traceback" not in done.err
    assert it.processes() == {}


def test_a_missing_prompt_is_an_error(instance: Make) -> None:
    it = made(instance)
    program = it.folder / "program"
    shutil.copytree(it.launch.parent, program)
    (program / "prompts" / "upgrader.md").unlink()
    it.launch = Path(program / "launch.sh")
    done = it.upgrader()
    assert done.code == 78
    assert "upgrader.md" in done.err


def test_a_folder_of_its_own_tmux_server_is_left_clean(instance: Make) -> None:
    """After the run its session is gone, and with it everything but the server."""
    it = made(instance)
    go(it)
    assert it.upgrader("run", "--wait").code == 0
    eventually(lambda: it.tmux("has-session", "-t", "=cc-ci-upgrader").code != 0, LONG)
    it.stop()
