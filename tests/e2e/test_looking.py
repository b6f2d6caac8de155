"""status, logs, events, explain, attach, doctor, config, help: what a person gets to see."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

STATUS = {
    "schema": int, "instance": str, "time": str, "healthy": bool, "boot_id": str,
    "supervisor": {"running": bool, "pid": (int, None), "since": (str, None),
                   "last_tick_age_s": (int, float, None)},
    "phase": {"id": str, "title": str, "index": int, "count": int, "state": str, "done": bool,
              "gates": list},
    "turn": list, "sessions": list, "pending_handoffs": int,
    "reboots": {"count": int, "last": (str, None)}, "troubles": list,
}  # fmt: skip
SESSION = {
    "role": str, "backend": str, "model": (str, None), "session": str, "wanted": str,
    "liveness": str, "since": (str, None), "reason": str, "pid": (int, None),
    "conversation": (str, None), "restarts": int, "next_attempt": (str, None), "held": bool,
    "log": str, "log_age_s": (int, float, None), "progress_age_s": (int, float, None),
}  # fmt: skip
GATE = {"id": str, "claim": (int, None), "verdict": (str, None), "attempt": (int, None),
        "passed": bool}  # fmt: skip


def fits(value: Any, schema: dict[str, Any]) -> None:
    """Exactly those names, each of its type; and why a phase change waits, for the table."""
    assert set(value) - {"waits_for"} == set(schema)
    for name, kind in schema.items():
        if isinstance(kind, dict):
            fits(value[name], kind)
            continue
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if value[name] is None:
            assert None in kinds, name
        else:
            assert type(value[name]) in kinds, (name, value[name])


def schema_one(state: Any) -> None:
    fits(state, STATUS)
    assert state["schema"] == 1
    for session in state["sessions"]:
        fits(session, SESSION)
    for gate in state["phase"]["gates"]:
        fits(gate, GATE)


def test_the_schema_of_status(instance: Make) -> None:
    """The names and types that others rely on, before, during and after a run."""
    it = instance()
    never = it.run("status", "--json")
    assert never.code == 3
    schema_one(never.json)
    assert not it.state.exists()  # looking makes nothing
    it.start()
    running = it.run("status", "--json")
    assert running.code == 0
    schema_one(running.json)
    assert running.json["turn"] == ["builder"]
    assert running.json["supervisor"]["pid"] == it.supervisor
    assert running.json["phase"]["state"] == "running"
    it.stop()
    after = it.run("status", "--json")
    assert after.code == 3
    schema_one(after.json)
    assert after.json["phase"]["state"] == "stopped"
    builder = after.json["sessions"][0]
    assert builder["conversation"] == running.json["sessions"][0]["conversation"]


def columns(line: str) -> int:
    wide = (2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)
    return sum(wide)


def test_the_table_fits(instance: Make) -> None:
    """Never wider than 80 columns, with the longest names and wide characters; never a control
    character of somebody else's."""
    long = "r" + "o" * 31
    it = instance(LOOP_MODEL="模型")
    (it.root / "prompts").mkdir()
    (it.root / "prompts" / "x.md").write_text("Work.\n")
    (it.root / "orch.toml").write_text(f'[[role]]\nname = "{long}"\nprompt = "x.md"\n')
    it.plan('[[phase]]\nid = "1"\ntitle = "' + "漢字" * 60 + '"\nplan = "phase-1.md"\ngates = []\n')
    shown = it.start().out + it.run("status").out
    it.stop()
    shown += it.run("status").out
    assert long in shown
    for line in shown.splitlines():
        assert columns(line) <= 80, line
        assert line.isprintable(), line


def test_colour_is_for_terminals(instance: Make) -> None:
    """Colour on a terminal; none in a pipe, none with NO_COLOR."""
    it = instance()
    it.start()
    assert "\x1b" not in it.run("status").out
    assert "\x1b[" in on_a_terminal(it, "status")
    it.settings["NO_COLOR"] = "1"
    assert "\x1b[" not in on_a_terminal(it, "status")


def on_a_terminal(it: Instance, *args: str) -> str:
    process, terminal = in_a_terminal(it, *args)
    out = b""
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other side has been closed
            break
        out += data
    process.wait(LONG)
    os.close(terminal)
    return out.decode()


def in_a_terminal(it: Instance, *args: str) -> tuple[subprocess.Popen[bytes], int]:
    """The command on a terminal of its own; the terminal's other side."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(ours, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    process = it.background(
        *args, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    return process, ours


def test_status_watch(instance: Make) -> None:
    """Again and again, until Ctrl-C, which is no failure of the program."""
    it = instance()
    it.start()
    process = it.background("status", "--watch", "0.2s", "--json")
    assert process.stdout
    states = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert all(state["schema"] == 1 for state in states)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=LONG)
    assert process.returncode == 130 and err == b""


def test_logs(instance: Make) -> None:
    """Readable text by default, the bytes with --raw, the last lines with -n, more with -f."""
    it = instance()
    script = it.folder / "agents" / "paints.py"
    script.write_text(
        "import sys, time\n"
        "sys.stdout.write('\\x1b[31mred\\x1b[0m\\x1b]0;title\\x07 end\\r\\n')\n"
        "sys.stdout.write('10%\\r20%\\r30%\\r\\n')\n"
        "n = 0\n"
        "while True:\n"
        "    n += 1; print('line', n, flush=True); time.sleep(0.2)\n"
    )
    it.settings["LOOP_COMMAND"] = it.agent("paints.py")
    it.start()
    eventually(lambda: "line 2" in it.log(), LONG)
    text = it.run("logs", "builder", "-n", "9999")
    assert "red end\n30%\nline 1\n" in text.out and "\x1b" not in text.out
    raw = it.run("logs", "builder", "-n", "9999", "--raw")
    assert "\x1b[31mred" in raw.out
    last = it.run("logs", "builder", "-n", "1")
    assert last.out.count("\n") <= 1 and "line" in last.out
    follow = it.background("logs", "builder", "-n", "0", "-f")
    assert follow.stdout
    assert follow.stdout.readline().startswith(b"line")
    follow.kill()
    follow.communicate()
    assert "session.started builder" in it.run("logs", "watchdog").out
    assert it.run("logs", "upgrader").code == 1


def test_events(instance: Make) -> None:
    """For people and for programs, of one role, and as they come."""
    it = instance()
    it.start()
    lines = it.run("events", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == it.events()
    for event in it.events():
        assert set(event) >= {"t", "event", "why"} and event["t"].endswith("Z")
    only = it.run("events", "--json", "--role", "builder").out.splitlines()
    assert {json.loads(line)["role"] for line in only} == {"builder"}
    follow = it.background("events", "-f", "--json", "--role", "builder", "-n", "0")
    assert follow.stdout
    time.sleep(0.7)  # nothing tells when it has begun to follow
    it.run("hold", "builder")
    assert json.loads(follow.stdout.readline())["event"] == "session.held"
    follow.kill()
    follow.communicate()
    assert "session.held builder" in it.run("events", "-n", "1").out


def test_explain(instance: Make) -> None:
    """The judgement, the evidence, the rule and the next step with its time."""
    it = instance()
    it.start()
    text = it.run("explain", "builder").out
    for word in ("builder: ", "because", "evidence", "next", f"process {it.pid()} lives"):
        assert word in text, text
    it.stop()
    assert it.run("explain", "builder").code == 75


def test_attach(instance: Make) -> None:
    """The person's terminal shows the session, and the keys reach the agent; detaching leaves
    the agent as it was."""
    it = instance()
    it.settings["LOOP_COMMAND"] = it.agent("reads.py", str(it.folder / "typed"), "echo")
    it.start()
    pid = it.pid()
    eventually(lambda: (it.folder / "typed.builder").exists(), LONG)
    process, terminal = in_a_terminal(it, "attach", "builder")
    seen(terminal, b"detach")
    os.write(terminal, b"by hand\r")
    eventually(lambda: b"by hand" in (it.folder / "typed.builder").read_bytes(), LONG)
    for key in (b"\x02", b"d"):  # tmux takes what comes within a millisecond for a paste
        time.sleep(0.2)
        os.write(terminal, key)
    seen(terminal, b"[detached")
    process.wait(LONG)
    os.close(terminal)
    assert it.pid() == pid and alive(pid)


def seen(terminal: int, what: bytes) -> None:
    """Read until the terminal has shown it."""
    shown = b""
    deadline = time.monotonic() + LONG
    while what not in shown:
        assert time.monotonic() < deadline, shown
        if select.select([terminal], [], [], 0.2)[0]:
            shown += os.read(terminal, 65536)


def test_attach_needs_a_terminal_and_a_session(instance: Make) -> None:
    """2 without a terminal, 1 without a session; one clear line each."""
    it = instance()
    assert it.run("attach", "builder").code == 2
    assert "no session" in on_a_terminal(it, "attach", "builder")


QUIET = {"ORCH_STALL_AFTER": "1.5s", "ORCH_INTERRUPT_AFTER": "0.5s", "ORCH_HEAL_AFTER": "0.5s"}


def test_who_types_is_left_alone(instance: Make) -> None:
    """A stalled session in which a person types is theirs: not nudged, interrupted, replaced."""
    it = instance("silent.py", ORCH_OPERATOR_GRACE="1h", **{**QUIET, "ORCH_STALL_AFTER": "3s"})
    it.start()
    typist, keys = in_a_terminal(it, "attach", "builder")
    seen(keys, b"detach")

    def types() -> bool:
        os.write(keys, b"let me see")
        return "a person types" in it.run("explain", "builder").out

    eventually(types, LONG, 0.2)
    pid = it.pid()
    it.wait_for_event("session.stalled", "builder")
    time.sleep(3)  # long enough for the whole ladder
    assert it.pid() == pid
    assert it.events("session.interrupted", "builder") == []
    typist.kill()
    typist.wait()
    os.close(keys)
    it.wait_for_event("session.interrupted", "builder")


def test_who_looks_on_is_no_typist(instance: Make) -> None:
    """A terminal that is attached, and no key pressed, holds nothing up."""
    it = instance("silent.py", ORCH_OPERATOR_GRACE="1h", **QUIET)
    it.start()
    looker, screen = in_a_terminal(it, "attach", "builder")
    seen(screen, b"detach")
    it.wait_for_event("session.interrupted", "builder")
    assert looker.poll() is None
    looker.kill()
    looker.wait()
    os.close(screen)


COMMANDS = """
start stop restart status logs attach nudge hold release phase explain events watchdog doctor
config version install
"""


def test_help(instance: Make) -> None:
    """Every command explains itself, and the first page names them all."""
    it = instance()
    page = it.run("--help")
    assert page.code == 0 and "exit codes" in page.out
    for command in COMMANDS.split():
        assert f"\n    {command} " in page.out, command
        own = it.run(command, "--help")
        assert own.code == 0 and command in own.out and own.err == ""
    assert "supervise" not in page.out  # it is ours


def test_version_and_config(instance: Make) -> None:
    """The version; every setting with its value and origin, the secrets masked."""
    it = instance(NOTIFY_URL="https://user:pa55word-long@ntfy.example/topic?auth=tk_0123456789")
    assert it.run("version").out.startswith("cc-ci-orch ")
    done = it.run("config")
    assert done.code == 0
    for name in ("ORCH_POLL", "LOOP_COMMAND", "ORCH_LOG_KEEP", "WORK_BRANCH"):
        assert f"\n{name} " in f"\n{done.out}"
    assert "0.2s" in done.out and "(environment)" in done.out and "(default)" in done.out
    assert "pa55word" not in done.out and "tk_0123456789" not in done.out


def test_doctor(instance: Make) -> None:
    """Well on a machine that has everything; with JSON for programs; it changes nothing."""
    it = instance()
    well = it.run("doctor")
    assert well.code == 0, well
    assert all(check["ok"] for check in it.run("doctor", "--json").json)
    assert not it.state.exists()
    it.settings["LOOP_COMMAND"] = "/no/such/agent"
    ill = it.run("doctor")
    assert ill.code == 1 and "fix:" in ill.out


def test_the_watchdog_by_hand(instance: Make) -> None:
    """`--dry-run` says what would be done and does nothing; `--once` does one tick."""
    it = instance()
    dry = it.run("watchdog", "--once", "--dry-run")
    assert dry.code == 0 and "StartSession" in dry.out, dry
    assert it.processes() == {}
    once = it.run("watchdog", "--once")
    assert once.code == 0 and "StartSession" in once.out, once
    assert it.run("status").code == 1  # they run, and nobody watches
    it.start()
    again = it.run("watchdog", "--once")
    assert again.code == 75 and "--takeover" in again.err, again
    it.stop()
