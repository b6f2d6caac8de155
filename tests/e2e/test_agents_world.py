"""What an agent is given: its environment, its folder, its words; and what it is not given."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

SECRET = "s3cret-0123456789-value"


def told(it: Instance, role: str = "builder") -> Any:
    """What `tells.py` wrote down."""
    path = it.folder / f"told.{role}"
    eventually(path.exists, LONG)
    return json.loads(path.read_text())


def telling(instance: Make, *words: str, **settings: str) -> Instance:
    it = instance(**settings)
    it.settings["LOOP_COMMAND"] = it.agent("tells.py", str(it.folder / "told"), *words)
    return it


def test_the_environment(instance: Make) -> None:
    """The supervisor's own, without what would confuse an agent, plus what it has to know."""
    it = telling(instance)
    (it.root / ".testenv").write_text(f"API_TOKEN={SECRET}\nEMPTY=\n")
    (it.root / ".testenv").chmod(0o600)
    confusing = {
        "TMUX": "/tmp/x,1,0", "TMUX_PANE": "%7", "CLAUDECODE": "1", "NOTIFY_SOCKET": "/run/x",
        "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "GIT_DIR": "/nowhere", "GIT_AUTHOR_NAME": "me",
        "INVOCATION_ID": "x", "CLAUDE_CODE_ENTRYPOINT": "cli",
    }  # fmt: skip
    harmless = {
        "EDITOR": "ed",
        "PLAIN": "a 'b' \"c\" $d \\ ünï",
        "LINES_OF": "1\n2",
        "EMPTY_TOO": "",
    }
    done = it.run("start", env={**confusing, **harmless})
    assert done.code == 0, done
    env = told(it)["env"]
    for name in (*confusing, *(n for n in it.settings)):
        if name != "GIT_AUTHOR_NAME":
            assert name not in env, name
    assert {name: env[name] for name in harmless} == harmless
    assert (env["API_TOKEN"], env["EMPTY"]) == (SECRET, "")
    assert env["ORCH_ROLE"] == "builder" and env["ORCH_PHASE"] == "1"
    assert env["ORCH_CONVERSATION"] == it.session()["conversation"]
    assert Path(env["ORCH_ACTIVITY_FILE"]).parent == it.state / "activity"
    assert env["GIT_AUTHOR_NAME"] == env["GIT_COMMITTER_NAME"] == "cc-ci builder"
    assert env["GIT_AUTHOR_EMAIL"] == env["GIT_COMMITTER_EMAIL"] == "builder@cc-ci.invalid"
    assert {n for n in env if n.startswith("ORCH_")} == {
        "ORCH_ROLE", "ORCH_PHASE", "ORCH_CONVERSATION", "ORCH_ACTIVITY_FILE",
    }  # fmt: skip
    assert env["TERM"] in ("tmux-256color", "screen-256color")
    assert env["PATH"] == it.env["PATH"] and env["HOME"] == it.env["HOME"]


def test_the_environment_after_a_heal(instance: Make) -> None:
    """A supervisor that came back by itself starts agents as the first one did."""
    it = telling(instance)
    it.settings["PLAIN"] = "as it was"
    it.start()
    first = told(it)["env"]
    supervisor = it.supervisor
    assert supervisor
    os.kill(supervisor, 9)
    eventually(lambda: it.supervisor not in (None, supervisor), LONG)
    (it.folder / "told.builder").unlink()
    os.kill(it.pid(), 9)
    assert told(it)["env"] == first


def test_its_place_and_its_words(instance: Make) -> None:
    """The placeholders, each one argument, whatever is in it; in a clone of the role's own."""
    it = telling(
        instance, "{role}", "{phase}", "{workdir}", "{conversation}", "{prompt_file}", "{prompt}",
        "{model}", "{{x}}", "a b;$(id)", LOOP_MODEL="m-1",
    )  # fmt: skip
    it.start()
    value = told(it)
    role, phase, workdir, conversation, prompt_file, prompt, model, brace, shell = value["argv"][1:]
    assert (role, phase, model) == ("builder", "1", "m-1")
    assert value["cwd"] == workdir == str(it.state / "clones" / "builder")
    assert conversation == it.session()["conversation"]
    assert Path(prompt_file).read_text().strip() == prompt.strip()
    assert "{" not in prompt
    assert (brace, shell) == ("{x}", "a b;$(id)")
    log = subprocess.run(
        ["git", "-C", workdir, "rev-parse", "--abbrev-ref", "HEAD"],
        capture_output=True, env=it.env, check=False,
    )  # fmt: skip
    assert log.stdout.strip() in (b"main", b"HEAD")


def test_no_shell_is_left_in_between(instance: Make) -> None:
    """The pane's own process is the agent, whose pid status shows."""
    it = instance()
    it.start()
    pid = it.pid()
    assert b"works.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    panes = it.tmux("list-panes", "-a", "-F", "#{session_name} #{pane_pid}").out.splitlines()
    assert f"cc-ci-builder {pid}" in panes
    assert int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == it.server()


def test_secrets_stay_off_command_lines(instance: Make) -> None:
    """Nobody who lists the processes while it starts and heals sees a secret; nor does anybody
    who reads our files and messages."""
    it = instance()
    (it.root / ".testenv").write_text(f"API_TOKEN={SECRET}\n")
    (it.root / ".testenv").chmod(0o600)
    seen: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for entry in Path("/proc").iterdir():
                if entry.name.isdigit():
                    try:
                        words = (entry / "cmdline").read_bytes()
                    except OSError:
                        continue
                    if SECRET.encode() in words:
                        seen.add(words.decode("utf-8", "replace"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        said = it.start()
        assert it.run("restart", "builder").code == 0
        said2 = it.run("nudge", "builder", f"use {SECRET} please")
        told = it.run("config"), it.run("events"), it.run("explain", "builder"), said, said2
    finally:
        over.set()
        watcher.join()
    argument = {words for words in seen if "\0nudge\0" in words}  # the person's own
    assert seen == argument
    assert not any(SECRET in done.out + done.err for done in told)
    # The session's log is what the agent printed; the rest is ours.
    ours = [p for p in it.state.rglob("*") if p.is_file() and p.name != "cc-ci-builder.log"]
    assert [p for p in ours if SECRET.encode() in p.read_bytes()] == []
    shown = it.run("logs", "builder")
    assert SECRET not in shown.out
    environment = (
        it.tmux("show-environment", "-g").out
        + it.tmux("show-environment", "-t", "=cc-ci-builder").out
    )
    assert SECRET not in environment


def test_everything_is_private(instance: Make) -> None:
    """Whatever the umask of who starts it: folders 0700, files 0600, the socket's folder too."""
    it = instance()
    old = os.umask(0)
    try:
        it.start()
    finally:
        os.umask(old)
    it.run("nudge", "builder", "hello")
    it.start("--takeover")
    open_ = []
    for path in (it.state, *it.state.rglob("*")):
        relative = path.relative_to(it.state).parts
        if relative[:1] in (("clones",), ("work.git",), ("mirror.git",)):
            continue  # git's own, in a folder that nobody else can enter
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077:
            open_.append((path, oct(mode)))
    assert open_ == []
    assert stat.S_IMODE(it.socket.parent.stat().st_mode) == 0o700
