"""A program that is run in the present terminal as the one child of this process, to its end.

It dies with us, however we end; it stays in our session, so that its terminal is the pane's.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cc_ci_orch.core.model import ExitStatus

NOT_STARTED = 127
"""The status of a child that could not become the program, as a shell has it."""

_PR_SET_PDEATHSIG = 1
_CHUNK = 65536
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of one line of output; what is longer comes in pieces."""


class Child:
    """One program, started at once. Only for a process without threads: it forks."""

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        *,
        stdin: Path | None = None,
        piped: bool = False,
    ) -> None:
        """`stdin` is its input (None: the terminal); `piped`: its output comes to `lines`."""
        self._read = self._write = -1
        if piped:
            self._read, self._write = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            self._become(list(argv), dict(env), cwd, stdin, parent)
        if piped:
            os.close(self._write)

    def _become(
        self, argv: list[str], env: dict[str, str], cwd: Path, stdin: Path | None, parent: int
    ) -> None:
        """In the child: never returns."""
        try:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
                signal.signal(number, signal.SIG_DFL)
            if os.getppid() == parent:
                os.chdir(cwd)
                if stdin is not None:
                    os.dup2(os.open(stdin, os.O_RDONLY), 0)
                if self._write >= 0:
                    os.dup2(self._write, 1)
                os.execvpe(argv[0], argv, env)
        except OSError as error:
            os.write(2, f"can't run {argv[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(NOT_STARTED)

    def lines(self, take: Callable[[bytes], None]) -> None:
        """Give each line of its output to `take`, until it closes it."""
        rest = b""
        while chunk := os.read(self._read, _CHUNK):
            *whole, rest = (rest + chunk).split(b"\n")
            for line in whole:
                take(line)
            if len(rest) > LONGEST_LINE:
                take(rest)
                rest = b""
        if rest:
            take(rest)

    def wait(self) -> ExitStatus:
        """How it ended, as soon as it has."""
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            return ExitStatus(signal=os.WTERMSIG(status))
        return ExitStatus(code=os.WEXITSTATUS(status))
