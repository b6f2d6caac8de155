"""Every process that the program starts is started here.

`run` waits for the end of a tool, `spawn_daemon` doesn't wait at all. Neither goes through a
shell. Both give the process a session of its own: no tool can ask a question on the user's
terminal, and a Ctrl-C reaches only us.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cc_ci_orch.errors import ConfigError
from cc_ci_orch.shell.ports import CannotTell

_NO_PROGRAM = frozenset({errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOTDIR, errno.EPERM})


@dataclass(frozen=True)
class Done:
    """How a tool ended. A negative `returncode` is the signal that ended it."""

    returncode: int
    stdout: bytes
    stderr: bytes

    @property
    def out(self) -> str:
        """stdout as text; what is not UTF-8 shows as U+FFFD."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def err(self) -> str:
        """stderr as text, without the white space around it."""
        return self.stderr.decode("utf-8", "replace").strip()


class Leash:
    """Holds the tools that run at this moment, for whoever must end them from another thread."""

    def __init__(self) -> None:
        self._held: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def end(self) -> None:
        """Kill them, and what they started, and all that comes after them."""
        self._ended = True
        for process in tuple(self._held):
            _put_down(process)

    @contextmanager
    def hold(self, process: subprocess.Popen[bytes]) -> Iterator[None]:
        """Kept until the end of the block; whoever waits for the process sees it end."""
        self._held.add(process)
        if self._ended:
            _put_down(process)
        try:
            yield
        finally:
            self._held.discard(process)


_NO_LEASH = Leash()


def run(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    leash: Leash = _NO_LEASH,
) -> Done:
    """Run a tool until it has ended and closed its output; any return code is a value.

    `timeout` is in seconds; `env` is the whole environment (None: ours). Raises CannotTell if
    it takes longer (it and what it started in its session are killed), or if it can't be
    started for want of resources or of `cwd`; ConfigError if there is no such program.
    """
    pipe = subprocess.PIPE
    with _start(argv, env, cwd, stdin=pipe, output=pipe) as process, leash.hold(process):
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            _put_down(process)
            raise CannotTell(f"{argv[0]}: no answer within {timeout:g} s") from None
        except BaseException:  # Ctrl-C: leave nothing behind
            _put_down(process)
            raise
    return Done(process.returncode, out, err)


def run_head(
    argv: Sequence[str],
    *,
    limit: int,
    timeout: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    leash: Leash = _NO_LEASH,
) -> Done:
    """Run a tool for the first `limit` bytes of its output; it is killed when it has more.

    For answers of unknown size. The return code counts only where `limit` was not reached.
    Raises what `run` raises.
    """
    deadline = time.monotonic() + timeout
    head = b""
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    with _start(argv, env, cwd, stdin=null, output=pipe) as process, leash.hold(process):
        assert process.stdout is not None
        try:
            while len(head) < limit:
                left = deadline - time.monotonic()
                if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                    raise CannotTell(f"{argv[0]}: no answer within {timeout:g} s")
                chunk = os.read(process.stdout.fileno(), min(65536, limit - len(head)))
                if not chunk:
                    process.wait(max(0.0, deadline - time.monotonic()))
                    break
                head += chunk
        except subprocess.TimeoutExpired:
            raise CannotTell(f"{argv[0]}: no end within {timeout:g} s") from None
        finally:
            _put_down(process)
    return Done(process.returncode, head, b"")


def run_mute(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    leash: Leash = _NO_LEASH,
) -> Done:
    """Run a program that nobody reads, whatever it prints or leaves unread.

    Its output is thrown away, but for the end of what it says on stderr; it is killed when
    that has no end. What it started may hold stderr open until `timeout`, and is killed then.
    Raises what `run` raises.
    """
    deadline = time.monotonic() + timeout
    null, pipe = subprocess.DEVNULL, subprocess.PIPE
    given = _as_file(stdin)
    try:
        process = _start(argv, env, None, stdin=given, output=null, errors=pipe)
    finally:
        os.close(given)
    tail, size = b"", 0
    with process, leash.hold(process):
        try:
            while chunk := _more(process, deadline):
                size += len(chunk)
                tail = (tail + chunk)[-TAIL:]
                if size > FLOOD:
                    raise CannotTell(f"{argv[0]}: it prints without end")
            process.wait(max(0.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            over = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if over is None:
                raise CannotTell(f"{argv[0]}: no end within {timeout:g} s") from None
        finally:
            _put_down(process)
    return Done(process.returncode, b"", tail)


def _as_file(data: bytes) -> int:
    """A descriptor to read them from: nobody waits until they are read."""
    made = os.memfd_create("stdin", os.MFD_CLOEXEC)
    with open(made, "wb", closefd=False) as file:
        file.write(data)
    os.lseek(made, 0, os.SEEK_SET)
    return made


def _more(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """What comes next on its stderr; b"" at the end of that."""
    assert process.stderr is not None
    left = deadline - time.monotonic()
    if left <= 0 or not select.select([process.stderr], [], [], left)[0]:
        raise TimeoutError
    return os.read(process.stderr.fileno(), 65536)


TAIL = 4096
"""Bytes that are kept of what a program says on stderr before it fails."""

FLOOD = 16 * 1024 * 1024
"""Bytes on stderr that nobody means to be read."""


def spawn_daemon(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    log_path: Path | None = None,
) -> int:
    """Start a process that outlives us, and return its pid.

    It leads its own session, reads /dev/null and appends what it prints to `log_path` (made
    with mode 0600; without one, or where it can't be written, /dev/null). It never stays a
    zombie of ours. Raises what `run` raises for a process that can't be started.
    """
    log = _open_log(log_path)
    try:
        process = _start(argv, env, cwd, stdin=subprocess.DEVNULL, output=log)
    finally:
        os.close(log)
    # A double fork would do as well, but a forked Python with threads is not safe to run.
    threading.Thread(target=process.wait, name=f"reap-{process.pid}", daemon=True).start()
    return process.pid


def _start(
    argv: Sequence[str],
    env: Mapping[str, str] | None,
    cwd: Path | None,
    *,
    stdin: int,
    output: int,
    errors: int | None = None,
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=output,
            stderr=output if errors is None else errors,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    except OSError as error:
        at_cwd = cwd is not None and os.fspath(error.filename or "") == os.fspath(cwd)
        if error.errno in _NO_PROGRAM and not at_cwd:
            raise ConfigError(
                f"can't run: {argv[0]}: {error.strerror}", "install it, or put it on PATH"
            ) from error
        raise CannotTell(f"{argv[0]}: can't be started: {error}") from error


def _open_log(path: Path | None) -> int:
    if path is not None:
        try:
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            pass  # a full disk must not keep a supervisor down
    return os.open(os.devnull, os.O_WRONLY)


def _put_down(process: subprocess.Popen[bytes]) -> None:
    """Kill it and what it started, as far as that stayed in its process group."""
    # Not yet waited for, so the pid is still its own, even where it has ended already and only
    # a child of it keeps the output open.
    if process.returncode is None:
        with suppress(ProcessLookupError):  # it has ended, and another thread has noticed
            os.killpg(process.pid, signal.SIGKILL)
