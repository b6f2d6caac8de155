"""Tools that end, tools that don't, and processes that outlive us."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cc_ci_orch.errors import BAD_CONFIG, ConfigError
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.run import run, spawn_daemon
from tests.waiting import eventually


def test_a_tool_answers_and_its_failure_is_an_answer_too() -> None:
    """Any return code is a value; output and complaints come back apart."""
    done = run(["sh", "-c", "cat; echo oops >&2; exit 3"], timeout=10, stdin=b"x\xff\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"x\xff\n", b"oops\n")
    assert (done.out, done.err) == ("x\ufffd\n", "oops")


def test_a_tool_gets_just_the_environment_and_the_folder_it_was_given(tmp_path: Path) -> None:
    """`env` is whole: nothing of ours is added."""
    env = {"PATH": os.environ["PATH"], "A": "b"}
    seen = run(["env"], timeout=10, env=env, cwd=tmp_path).out.split("\n")
    assert set(seen) == {f"PATH={env['PATH']}", "A=b", ""}
    assert run(["pwd"], timeout=10, cwd=tmp_path).out == f"{tmp_path}\n"


def test_a_megabyte_goes_through_both_ways() -> None:
    """Neither side waits for the other with a full pipe."""
    data = os.urandom(1_000_000)
    assert run(["cat"], timeout=30, stdin=data).stdout == data


def test_a_tool_that_reads_nothing_is_no_error() -> None:
    """A broken pipe towards the tool says nothing about its answer."""
    assert run(["true"], timeout=10, stdin=bytes(1_000_000)).returncode == 0


def test_a_tool_that_hangs_is_killed_with_its_children(tmp_path: Path, processes: ProcFs) -> None:
    """After CannotTell nothing of the tool is left."""
    note = tmp_path / "pid"
    script = f"sleep 60 & echo $! $$ > {note}; wait"
    started = time.monotonic()
    with pytest.raises(CannotTell, match=r"sh: no answer within 0\.3 s"):
        run(["sh", "-c", script], timeout=0.3)
    assert time.monotonic() - started < 10
    for pid in note.read_text().split():
        eventually(lambda pid=pid: processes.identify(int(pid)) is None)  # type: ignore[misc]


def test_a_tool_that_leaves_its_output_to_a_child_is_not_waited_for_for_ever(
    tmp_path: Path, processes: ProcFs
) -> None:
    """The end of a tool is the end of its output; the timeout holds for that too."""
    note = tmp_path / "pid"
    with pytest.raises(CannotTell):
        run(["sh", "-c", f"sleep 60 & echo $! > {note}"], timeout=0.3)
    eventually(lambda: processes.identify(int(note.read_text())) is None)


def test_a_missing_program_is_a_matter_of_configuration(tmp_path: Path) -> None:
    """The error names the program and carries exit code 78."""
    with pytest.raises(ConfigError, match="no-such-tool") as caught:
        run(["no-such-tool"], timeout=10)
    assert caught.value.exit_code == BAD_CONFIG
    plain_file = tmp_path / "tool"
    plain_file.write_text("#!/bin/sh\n")
    with pytest.raises(ConfigError, match="Permission denied"):
        spawn_daemon([str(plain_file)])


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    """A clone that vanished is a state of the world, not of the configuration."""
    with pytest.raises(CannotTell, match="gone"):
        run(["true"], timeout=10, cwd=tmp_path / "gone")


def test_a_tool_has_no_terminal_to_ask_on() -> None:
    """It leads a session of its own, so /dev/tty can't be opened."""
    code = "import os; print(os.getsid(0) == os.getpid()); open('/dev/tty')"
    done = run([sys.executable, "-c", code], timeout=30)
    assert done.out == "True\n"
    assert "OSError" in done.err


def test_a_daemon_lives_in_its_own_session_and_appends_to_its_log(
    tmp_path: Path, kill_later: Callable[[int], None]
) -> None:
    """Input from /dev/null, both outputs to a private log that is never truncated."""
    log = tmp_path / "log"
    for _ in range(2):
        pid = spawn_daemon(
            ["sh", "-c", "read x || echo $A; echo err >&2; pwd; exec sleep 60"],
            env={"PATH": os.environ["PATH"], "A": "in"},
            cwd=tmp_path,
            log_path=log,
        )
        kill_later(pid)
        assert os.getsid(pid) == pid != os.getsid(0)
    expected = sorted(["in", "err", str(tmp_path)] * 2)
    eventually(lambda: sorted(log.read_text().splitlines()) == expected)
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_dies_leaves_no_zombie() -> None:
    """Its pid is free again soon after its death, whatever the caller does."""
    pid = spawn_daemon(["sleep", "60"])
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not Path(f"/proc/{pid}").exists())


def test_a_daemon_whose_log_cannot_be_written_starts_all_the_same(
    tmp_path: Path, kill_later: Callable[[int], None], processes: ProcFs
) -> None:
    """A full disk or a missing folder costs the log, not the process."""
    pid = spawn_daemon(["sleep", "60"], log_path=tmp_path / "no" / "log")
    kill_later(pid)
    assert processes.identify(pid) is not None


def test_a_daemon_outlives_the_process_that_started_it(
    kill_later: Callable[[int], None], processes: ProcFs
) -> None:
    """The starter may end at once."""
    code = "from cc_ci_orch.shell.run import spawn_daemon; print(spawn_daemon(['sleep', '60']))"
    pid = int(run([sys.executable, "-W", "error", "-c", code], timeout=30).out)
    kill_later(pid)
    assert processes.identify(pid) is not None
