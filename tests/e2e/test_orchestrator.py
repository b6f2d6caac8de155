"""The orchestrator: an agent beside the loops, started, healed and stopped by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, gone, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

NAME = "orchestrator"


def made(instance: Make, **settings: str) -> Instance:
    """An instance whose orchestrator notes each of its starts; the pair just works."""
    it = instance(**settings)
    words = f"{it.agent('notes.py')} '{it.folder}/notes' {{prompt_file}}"
    it.settings |= {"LOOP_COMMAND": words, "ORCHESTRATOR_BACKEND": "command"}
    return it


def notes(it: Instance) -> list[Any]:
    """What the orchestrator noted at each start, in order."""
    path = it.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [n for n in map(json.loads, lines) if n["env"]["ORCH_ROLE"] == NAME]


def pid(it: Instance) -> int:
    session = it.orchestrator("status", "--json").json
    return int(session["pid"] or 0) if session else 0


def begin(it: Instance) -> int:
    done = it.orchestrator()
    assert done.code == 0, done
    return pid(it)


def end(it: Instance) -> None:
    assert it.orchestrator("stop", "--grace", "1s").code == 0
    it.stop()


def test_alone_it_is_started_twice_and_stopped(instance: Make) -> None:
    """No supervisor runs, then or later; the second start changes nothing; nothing is left."""
    it = made(instance)
    first = begin(it)
    again = it.orchestrator("start")
    assert (again.code, pid(it)) == (0, first)
    assert "already running" in again.err
    assert it.orchestrator("status").code == 0
    assert it.run("status").code == 3
    assert it.orchestrator("stop", "--grace", "1s").code == 0
    assert it.orchestrator("status").code == 3
    assert it.orchestrator("stop").code == 0
    assert it.processes() == {}
    assert len(notes(it)) == 1


def test_it_works_in_the_instances_folder_with_its_settings(instance: Make) -> None:
    """It shells out to launch.sh: for that it has the settings, an identity, and no marks."""
    it = made(instance, ORCH_NAME="try-7", WORK_IDENTITY="ours", CLAUDECODE="1")
    begin(it)
    (note,) = notes(it)
    assert note["cwd"] == str(it.root)
    env = note["env"]
    assert {env["ORCH_ROOT"], env["ORCH_STATE"], env["ORCH_NAME"]} == {
        str(it.root), str(it.state), "try-7",
    }  # fmt: skip
    assert env["GIT_AUTHOR_NAME"] == env["GIT_COMMITTER_NAME"] == "ours orchestrator"
    assert env["GIT_AUTHOR_EMAIL"] == "orchestrator@ours.invalid"
    assert not {"TMUX", "TMUX_PANE", "CLAUDECODE"} & env.keys()
    assert "JOURNAL.md" in note["prompt"] and "REBOOTS.md" in note["prompt"]
    assert str(it.launch.parent) in note["prompt"]
    assert it.tmux("has-session", "-t", "=try-7-orchestrator").code == 0
    end(it)


def test_killed_it_is_healed_with_its_first_prompt(instance: Make) -> None:
    """As a role: at once, the same conversation, with its evidence in the events."""
    it = made(instance)
    it.start()
    before = begin(it)
    kill(before)
    after = eventually(lambda: pid(it) not in (0, before) and pid(it), LONG)
    assert alive(after)
    eventually(lambda: len(notes(it)) == 2, LONG)
    first, second = notes(it)
    assert first["prompt"] == second["prompt"]
    assert first["env"]["ORCH_CONVERSATION"] == second["env"]["ORCH_CONVERSATION"]
    assert [e["role"] for e in it.events("session.healed")] == [NAME]
    assert "signal 9" in it.wait_for_event("session.exited", NAME)["why"]
    row = it.session(NAME)
    assert (row["wanted"], row["restarts"]) == ("up", 1)
    end(it)


def test_started_alone_the_next_supervisor_heals_it(instance: Make) -> None:
    """Dead while nobody supervised: it comes back with the supervisor, once."""
    it = made(instance)
    before = begin(it)
    kill(before)
    gone([before])
    assert it.orchestrator("status").code == 1
    it.start()
    after = eventually(lambda: pid(it), LONG)
    assert after != before
    end(it)


def test_a_stop_of_the_instance_leaves_it_alone(instance: Make) -> None:
    """It just lives on, and can still be looked at; the pair and the supervisor are gone."""
    it = made(instance)
    it.start()
    mine = begin(it)
    done = it.run("stop", "--grace", "1s")
    assert done.code == 0, done
    assert alive(mine) and pid(it) == mine
    assert it.run("status").code == 3
    sessions = it.tmux("list-sessions", "-F", "#{session_name}").out.split()
    assert sessions == ["cc-ci-orchestrator"]
    it.start()
    assert pid(it) == mine
    assert len(notes(it)) == 1
    end(it)


def test_stopped_by_a_person_it_stays_stopped(instance: Make) -> None:
    """Over the death of the supervisor, and a stop and start of the instance."""
    it = made(instance)
    it.start()
    begin(it)
    assert it.orchestrator("stop", "--grace", "1s").code == 0
    kill(it.supervisor)
    it.wait_for_event("supervisor.recovered")
    it.run("stop", "--grace", "1s")
    it.start()
    assert it.run("start", "--takeover").code == 0
    assert it.orchestrator("status").code == 3
    assert len(notes(it)) == 1
    begin(it)
    assert len(notes(it)) == 2
    end(it)


def test_the_death_of_the_terminal_server_heals_it(instance: Make) -> None:
    """Within one boot that is a crash like any other."""
    it = made(instance)
    it.start()
    before = begin(it)
    kill(it.server())
    eventually(lambda: pid(it) not in (0, before), LONG)
    end(it)


def test_a_reboot_takes_it_down_until_it_is_started(instance: Make) -> None:
    """The loops come back, it doesn't; started, it has its conversation and first prompt."""
    it = made(instance)
    boot = it.folder / "boot"
    boot.write_text("one\n")
    it.settings["ORCH_BOOT_ID_FILE"] = str(boot)
    it.start()
    begin(it)
    it.power_cut()
    boot.write_text("two\n")
    it.start()
    it.wait_for_event("host.rebooted")
    assert eventually(lambda: it.session("builder")["pid"], LONG)
    assert it.orchestrator("status").code == 3
    assert it.run("status").code == 0
    begin(it)
    first, second = notes(it)
    assert first["env"]["ORCH_CONVERSATION"] == second["env"]["ORCH_CONVERSATION"]
    assert first["prompt"] == second["prompt"]
    end(it)


def test_it_is_held_nudged_explained_and_restarted_like_a_role(instance: Make) -> None:
    it = made(instance)
    it.start()
    before = begin(it)
    assert it.run("hold", NAME).code == 0
    kill(before)
    it.wait_for_event("session.exited", NAME)
    assert it.run("nudge", NAME, "hello").code == 1
    assert it.session(NAME)["held"] is True
    assert pid(it) == 0
    assert it.run("release", NAME).code == 0
    after = eventually(lambda: pid(it), LONG)
    assert it.run("nudge", NAME, "hello").code == 0
    eventually(lambda: "hello" in it.run("logs", NAME).out, LONG)
    assert "orchestrator:" in it.run("explain", NAME).out
    assert it.run("restart", NAME).code == 0
    assert pid(it) not in (0, after)
    assert it.run("restart").code == 0
    assert len(notes(it)) == 3
    end(it)


def test_its_own_shell_out_starts_a_supervisor_that_outlives_it(instance: Make) -> None:
    """The supervisor that the orchestrator starts is no part of the orchestrator."""
    it = made(instance)
    begin(it)
    (note,) = notes(it)
    env = {k: v for k, v in note["env"].items() if k != "PATH"} | {"PATH": it.env["PATH"]}
    assert it.run("start", env=env).code == 0
    builder = it.pid("builder")
    assert it.orchestrator("stop", "--grace", "0s").code == 0
    assert alive(builder) and alive(it.supervisor or 0)
    assert it.run("status").code == 0
    end(it)


def test_two_starts_at_once_start_one(instance: Make) -> None:
    it = made(instance)
    launcher = str(it.launch.with_name("launch-orchestrator.sh"))
    both = [
        subprocess.Popen([launcher], env=it.env, cwd="/", stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    assert [process.wait(LONG) for process in both] == [0, 0]
    assert len(notes(it)) == 1
    end(it)


def test_one_that_ends_at_once_is_an_error(instance: Make) -> None:
    """Nobody is told that it runs. (tmux may lose the status of a process that is so quick.)"""
    it = made(instance)
    (it.folder / "notes.end").write_text("7")
    done = it.orchestrator()
    assert done.code == 1
    assert re.search("ended with (status 7|unknown status)", done.err), done
    assert "hint: see" in done.err
    assert it.orchestrator("stop").code == 0


@pytest.mark.parametrize(
    ("settings", "words", "code", "told"),
    [
        ({}, ["begin"], 2, "invalid choice"),
        ({}, ["start", "twice"], 2, "unrecognized"),
        ({}, ["stop", "--grace", "soon"], 2, "no duration"),
        ({"LOOP_BACKEND": "", "ORCHESTRATOR_BACKEND": "gpt"}, [], 78, "ORCHESTRATOR_BACKEND"),
        ({"LOOP_BACKEND": "opencode", "OPENCODE_BIN": "/bin/true"}, [], 78, "OPENCODE_URL"),
        ({"LOOP_BACKEND": "claude", "CLAUDE_BIN": "/no/claude"}, [], 78, "not installed"),
        ({"LOOP_COMMAND": "/no/such/program {prompt_file}"}, [], 78, "not installed"),
        ({}, ["attach"], 2, "terminal"),
    ],
)
def test_bad_input(
    instance: Make, settings: dict[str, str], words: list[str], code: int, told: str
) -> None:
    """One line, a hint, an exit code; nothing is started."""
    it = instance(**settings)
    done = it.orchestrator(*words)
    assert done.code == code, done
    assert told in done.err
    assert done.err.startswith("cc-ci-orch: ")
    assert "Traceback" not in done.err
    assert it.processes() == {}


def test_a_missing_prompt_is_an_error_of_its_own(instance: Make) -> None:
    """The loops don't need it; the orchestrator doesn't start without it."""
    it = made(instance)
    program = it.folder / "program"
    shutil.copytree(it.launch.parent, program)
    (program / "prompts" / "orchestrator.md").unlink()
    it.launch = program / "launch.sh"
    done = it.orchestrator()
    assert done.code == 78
    assert "orchestrator.md" in done.err
    it.start()
    it.stop()


def test_a_role_of_the_loops_it_is_not(instance: Make) -> None:
    """`launch.sh start|stop orchestrator` says which command does that."""
    it = instance()
    for words in (["start", NAME], ["stop", NAME]):
        done = it.run(*words)
        assert done.code == 2
        assert "launch-orchestrator.sh" in done.err


def test_a_terminated_wait_leaves_no_lock(instance: Make) -> None:
    """A start that is interrupted leaves an instance that works."""
    it = made(instance)
    launcher = str(it.launch.with_name("launch-orchestrator.sh"))
    process = subprocess.Popen([launcher], env=it.env, cwd="/", stderr=subprocess.DEVNULL)
    eventually(lambda: notes(it), LONG)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert it.orchestrator().code == 0
    assert len(notes(it)) == 1
    end(it)


CLIENT = """\
#!/bin/sh
printf '%s\\n' "$1 $2 $3 $4 $5" >> "$HOME/argv"
[ "$1" = run ] || exec sleep 1000
while [ ! -e "$HOME/go" ]; do sleep 0.1; done
exit "$(cat "$HOME/go")"
"""


def test_under_opencode_the_end_of_a_turn_is_no_death(instance: Make) -> None:
    """A turn on a server; then the session shows its conversation. A failed turn is healed."""
    it = instance(OPENCODE_URL="http://127.0.0.1:9")
    client = it.folder / "opencode"
    client.write_text(CLIENT)
    client.chmod(0o700)
    it.settings |= {"LOOP_BACKEND": "", "BUILDER_BACKEND": "command"}
    it.settings |= {"ADVERSARY_BACKEND": "command", "ORCHESTRATOR_BACKEND": "opencode"}
    it.settings["OPENCODE_BIN"] = str(client)
    home = it.folder / "home"
    it.start()
    first = begin(it)
    told = eventually(lambda: (home / "argv").read_text().splitlines(), LONG)
    run = "run --attach http://127.0.0.1:9 --title autonomous-orchestrator"
    assert told == [run]
    (home / "go").write_text("0")
    eventually(lambda: len((home / "argv").read_text().splitlines()) == 2, LONG)
    assert (home / "argv").read_text().splitlines()[1].startswith("attach http://127.0.0.1:9")
    assert pid(it) == first
    assert it.session(NAME)["restarts"] == 0
    (home / "go").write_text("3")
    kill(first)
    eventually(lambda: (home / "argv").read_text().count(run) >= 2, LONG)
    assert "status 3" in it.wait_for_event("session.exited", NAME, 2)["why"]
    end(it)
