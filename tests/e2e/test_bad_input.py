"""What is wrong is said in one line, with a hint and the right exit code; nothing is started,
nothing is lost, and nobody sees a traceback."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Done, Instance, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

FORM = re.compile(r"cc-ci-orch: [^\n]+\n(hint: [^\n]+\n)?")


def refused(done: Done, code: int, *words: str) -> None:
    """One line and perhaps a hint, the code, and the words in it."""
    assert done.code == code, done
    assert FORM.fullmatch(done.err), done.err
    assert "Traceback" not in done.err + done.out
    for word in words:
        assert word in done.err, done.err


def nothing_runs(it: Instance) -> None:
    assert it.processes() == {}


@pytest.mark.parametrize(
    ("setting", "value", "accepted"),
    [
        ("LOOP_BACKEND", "emacs", "claude"),
        ("BUILDER_BACKEND", "", ""),
        ("ORCH_POLL", "soon", "15m"),
        ("ORCH_POLL", "0", "more than 0"),
        ("ORCH_STALL_AFTER", "-1s", "15m"),
        ("ORCH_NAME", "../evil", "lower-case"),
        ("ORCH_NAME", "a:b", "lower-case"),
        ("ORCH_ROLES", "builder,emacs", "adversary"),
        ("LOOP_COMMAND", "sh {nonsense}", "{prompt_file}"),
        ("LOOP_COMMAND", "sh -c 'unbalanced", ""),
        ("LOOP_COMMAND", "/no/such/program", "not installed"),
        ("ORCH_TMUX_SOCKET", "/tmp/" + "x" * 100, "100 bytes"),
        ("WORK_BRANCH", "--upload-pack=evil", ""),
        ("ORCH_LOG_MAX", "12cubits", "16MiB"),
        ("ORCH_ROOT", "/no/such/folder", "ORCH_ROOT"),
        ("RESUME_PHASE", "perhaps", ""),
    ],
)
def test_a_bad_setting(instance: Make, setting: str, value: str, accepted: str) -> None:
    """78 with the setting and what it takes, for every command that reads settings."""
    it = instance(**{setting: value})
    if setting == "BUILDER_BACKEND":  # set but empty counts as unset
        assert it.run("config").code == 0
        return
    refused(it.run("start"), 78, accepted)
    assert not it.state.exists() or not (it.state / "events.jsonl").exists()
    nothing_runs(it)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense = 1\n", ["nonsense"]),
        ("[watchdog]\npol = 1\n", ["pol", "poll"]),
        ("[watchdog]\npoll = 'soon'\n", ["poll", "soon"]),
        ("[watchdog]\npoll = true\n", ["poll"]),
        ("this is no toml", ["TOML"]),
        ("[[role]]\nname = 'builder'\nprompt = 'x.md'\n", ["builder", "twice"]),
        ("[[role]]\nname = 'watchdog'\nprompt = 'x.md'\n", ["reserved"]),
        ("[[role]]\nname = '../../etc'\nprompt = 'x.md'\n", ["name"]),
        ("[[role]]\nname = 'a:b'\nprompt = 'x.md'\n", ["name"]),
        ('[[role]]\nname = "a\\nb"\nprompt = "x.md"\n', ["name"]),
        ("[[role]]\nname = '-x'\nprompt = 'x.md'\n", ["name"]),
        ("[[role]]\nname = 'third'\nprompt = '../../etc/passwd'\n", ["prompt"]),
        ("[[role]]\nname = 'third'\n", ["prompt", "missing"]),
        ("[[role]]\nname = 'third'\nprompt = 'missing.md'\n", ["missing.md"]),
    ],
)
def test_a_bad_orch_toml(instance: Make, text: str, words: list[str]) -> None:
    """78 with the file and the key; nothing is started."""
    it = instance()
    (it.root / "orch.toml").write_text(text)
    refused(it.run("start"), 78, *words)
    nothing_runs(it)


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["emacs"],
        ["nudge"],
        ["nudge", "nobody", "hello"],
        ["start", "../../etc"],
        ["start", "a:b"],
        ["start", "a\nb"],
        ["stop", "nobody"],
        ["stop", "--", "-x"],
        ["stop", "-x"],
        ["stop", "--grace", "soon"],
        ["restart", "nobody"],
        ["hold", "nobody"],
        ["hold"],
        ["release", "watchdog"],
        ["logs", "nobody"],
        ["logs", "../state"],
        ["logs", "builder", "-n", "many"],
        ["logs", "builder", "-n", "-1"],
        ["events", "--role", "nobody"],
        ["attach", "nobody"],
        ["explain", "nobody"],
        ["status", "--watch", "often"],
        ["status", "--yaml"],
    ],
)
def test_a_bad_command_line(instance: Make, argv: list[str]) -> None:
    """Usage is 2, in the same form as everything else."""
    it = instance()
    refused(it.run(*argv), 2)
    nothing_runs(it)


def test_a_missing_tmux_or_git(instance: Make) -> None:
    """Said by its name, with what installs it; for `start` 78, and doctor shows it."""
    it = instance()
    for program in ("tmux", "git"):
        bin = it.folder / f"without-{program}"
        bin.mkdir()
        for name in ("env", "sh", "dirname", "readlink", "python3", "tmux", "git", "tail", "cat"):
            where = next((Path(p) / name for p in it.env["PATH"].split(":")
                          if (Path(p) / name).exists()), None)  # fmt: skip
            if where and name != program:
                (bin / name).symlink_to(where)
        refused(it.run("start", env={"PATH": str(bin)}), 78, program, "apt-get install")
        ill = it.run("doctor", env={"PATH": str(bin)})
        assert ill.code == 1 and "Traceback" not in ill.err
        assert re.search(rf"MISSING {program}", ill.out), ill.out
    nothing_runs(it)


def test_looking_on_without_tmux(instance: Make) -> None:
    """Where there is no tmux (any more), status still says what there is to say."""
    it = instance()
    bin = it.folder / "bin"
    bin.mkdir()
    for name in ("sh", "dirname", "readlink", "python3"):
        where = next(Path(p) / name for p in it.env["PATH"].split(":") if (Path(p) / name).exists())
        (bin / name).symlink_to(where)
    done = it.run("status", "--json", env={"PATH": str(bin)})
    assert done.code in (1, 3) and "Traceback" not in done.err
    assert any("tmux" in trouble for trouble in done.json["troubles"]), done.json


def test_a_testenv_that_others_can_read(instance: Make) -> None:
    """78, and no value of it is shown; closed, it is fine."""
    it = instance()
    secret = it.root / ".testenv"
    secret.write_text("TOKEN=abcdefgh-very-secret\n")
    secret.chmod(0o644)
    done = it.run("start")
    refused(done, 78, ".testenv", "chmod 600")
    assert "abcdefgh" not in done.err
    secret.chmod(0o600)
    secret.write_text("TOKEN=abcdefgh-very-secret\nthis is no assignment of abcdefgh\n")
    done = it.run("start")
    refused(done, 78, ".testenv", "line 2")
    assert "abcdefgh" not in done.err
    nothing_runs(it)


def test_a_state_folder_that_is_a_file(instance: Make) -> None:
    """Said for a start; looking on and stopping find nothing and say so."""
    it = instance()
    it.state.write_text("not a folder\n")
    refused(it.run("start"), 78, "ORCH_STATE")
    refused(it.run("stop", "builder"), 78)
    for command in ("status", "events", "explain"):
        done = it.run(command, *(["builder"] if command == "explain" else []))
        assert "Traceback" not in done.err and "internal" not in done.err, done
    assert it.run("status").code == 3
    assert it.state.read_text() == "not a folder\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_somebody_else(instance: Make) -> None:
    """It is not used, and nothing in it is changed."""
    it = instance()
    it.state.mkdir()
    os.chown(it.state, 65534, 65534)
    refused(it.run("start"), 78, "another user", "ORCH_STATE")
    assert list(it.state.iterdir()) == []
    it.state.chmod(0o755)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_state_folder_that_cannot_be_written(instance: Make) -> None:
    """78 before anything is started."""
    it = instance()
    it.state.mkdir(mode=0o500)
    refused(it.run("start"), 78, "not writable")
    it.state.chmod(0o700)


def _deep(levels: int) -> str:
    return '{"schema": 1, "memory": ' + '{"roles": ' * levels + "1" + "}" * levels + "}"


HOSTILE = {
    "half": '{"schema": 1, "memory": {"boot_id": "x", "roles": {"buil',
    "wrong schema": '{"schema": 99, "memory": {}}',
    "wrong types": '{"schema": 1, "memory": {"roles": {"builder": {"restarts": "many"}}}}',
    "not a number": '{"schema": 1, "memory": {"last_tick": NaN, "roles": {}}}',
    "overflowing": '{"schema": 1, "memory": {"roles": {"builder": {"since_wall": 1e999}}}}',
    "in no calendar": '{"schema": 1, "memory": {"roles": {"builder": {"since_wall": 1e300}}}}',
    "huge": '{"schema": 1, "memory": {"last_tick": ' + "9" * 400 + "}}",
    "deep": _deep(100_000),
    "bytes": "\udcff\udcfe\x00",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_damaged_memory(instance: Make, kind: str) -> None:
    """It is set aside with its date, said in status, and everything works on, with the agents
    that were running."""
    it = instance()
    it.start()
    pids = sorted(s["pid"] for s in it.status()["sessions"])
    supervisor, guardian = it.supervisor, it.guardian
    kill(guardian, supervisor)
    (it.state / "memory.json.previous").unlink(missing_ok=True)
    damage = HOSTILE[kind].encode("utf-8", "surrogateescape")
    (it.state / "memory.json").write_bytes(damage)

    offline = it.run("status", "--json")
    assert offline.code == 1 and "Traceback" not in offline.err
    assert offline.json["schema"] == 1

    it.start()
    state = it.status()
    assert sorted(s["pid"] for s in state["sessions"]) == pids
    assert any("memory.json" in trouble for trouble in state["troubles"]), state["troubles"]
    aside = list(it.state.glob("memory.json.corrupt-*"))
    assert [path.read_bytes() for path in aside] == [damage]
    assert any("memory.json" in event["why"] for event in it.events("trouble"))


def test_damaged_files_while_it_runs(instance: Make) -> None:
    """Nothing that is done to its files from outside ends the supervision."""
    it = instance()
    it.start()
    pid = it.pid()
    for name in ("memory.json", "supervisor.json", "socket", "events.jsonl"):
        (it.state / name).write_text("rubbish")
    kill(pid)
    eventually(lambda: it.session()["pid"] not in (None, pid), LONG)
    for line in (it.state / "events.jsonl").read_text().splitlines()[1:]:
        json.loads(line)
    assert it.run("events").code == 0
    it.stop()


def test_a_closed_pipe(instance: Make) -> None:
    """`… | head -1` is no failure and makes no noise."""
    it = instance()
    for command in ("config", "status", "doctor", "version", "--help", "start --help"):
        script = f'"$0" {command} | true'
        done = subprocess.run(
            ["bash", "-c", script, str(it.launch)],
            env=it.env, cwd="/", capture_output=True, timeout=LONG, check=False,
        )  # fmt: skip
        assert done.stderr == b"", (command, done.stderr)


def test_no_standard_output_and_an_odd_locale(instance: Make) -> None:
    """A closed stream, or one that can't write what we print, is no mistake of ours."""
    it = instance()
    done = subprocess.run(
        ["sh", "-c", '"$0" status >&- 2>&-', str(it.launch)],
        env=it.env, cwd="/", timeout=LONG, check=False,
    )  # fmt: skip
    assert done.returncode == 3
    it.plan('[[phase]]\nid = "1"\ntitle = "é"\nplan = "phase-1.md"\ngates = []\n')
    assert it.run("status", env={"PYTHONIOENCODING": "ascii"}).code == 3
    assert it.run("phase", "list", env={"PYTHONIOENCODING": "ascii"}).code == 0


def test_a_plan_that_is_broken_keeps_nobody_from_looking_and_stopping(instance: Make) -> None:
    """Nothing is started with it; what runs can still be seen and ended."""
    it = instance()
    it.start()
    (it.root / "plan" / "phases.toml").write_text("[[phase]]\nid = 5\n")
    assert it.run("status").code == 0
    refused(it.run("phase"), 78, "phases.toml")
    assert it.run("stop").code == 0
    assert it.run("status").code == 3
    refused(it.run("start"), 78, "phases.toml")
