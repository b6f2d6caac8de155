"""The process of a tmux server: how one is started, by us or as a systemd unit, and ended."""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import spawn_daemon
from cc_ci_orch.shell.tmux_words import KEPT

END = signal.SIGALRM
"""Ends a server for good. Its unit brings back one that ended in any other way: of all that
ends a process and leaves no core, it is the signal that nobody else sends."""

_REAPER = Path(__file__).with_name("reaper.py")


def client(socket_args: Sequence[str]) -> tuple[str, ...]:
    """The words with which every tmux command of ours begins."""
    return ("tmux", "-u", *socket_args, "-f", os.devnull)


def environment(env: Mapping[str, str]) -> dict[str, str]:
    """What a server, and so a person's window in it, gets to know of our environment."""
    kept = {name: env[name] for name in (*KEPT, "TMUX_TMPDIR") if name in env}
    return {"PATH": os.defpath, **kept}


def _argv(client: Sequence[str]) -> list[str]:
    return [sys.executable, "-I", "-S", str(_REAPER), *client, "-D"]


def start(client: Sequence[str], env: Mapping[str, str], log: Path | None) -> None:
    """Start a server that outlives us; raises what `spawn_daemon` raises."""
    spawn_daemon(_argv(client), env=env, cwd=Path("/"), log_path=log)


def become(socket: Path, env: Mapping[str, str]) -> NoReturn:
    """Turn this process into the server at that socket."""
    argv = _argv(client(("-S", str(socket))))
    os.chdir("/")
    os.execve(argv[0], argv, environment(env))


def end(pid: int, timeout: float) -> None:
    """End it so that no unit brings it back, and wait; CannotTell if it outlives the timeout."""
    fd = pidfd(pid)
    if fd is None:
        return
    try:
        signal.pidfd_send_signal(fd, END)
        wait_for_end(fd, timeout)
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


def pidfd(pid: int) -> int | None:
    """A descriptor of the process; None where there is no such process."""
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def wait_for_end(fd: int | None, timeout: float) -> None:
    """Until the process is gone; CannotTell if it isn't in time."""
    if fd is not None and not select.select([fd], [], [], timeout)[0]:
        raise CannotTell(f"tmux kill-server: the server still runs after {timeout:g} s")


def remove_socket(path: str) -> None:
    """Remove what a server left, if it is a socket and ours to remove."""
    with suppress(OSError):
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
