"""A lock that dies with its holder: `flock` on an open file, never a pid file."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from cc_ci_orch.shell.private import open_private


class Lock:
    """An exclusive lock on a file, for as long as its holder lives.

    The kernel frees it with the holder's death, so that there is no stale lock; the file
    stays and means nothing by itself. A forked child shares its parent's lock, a program
    that is executed doesn't.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = -1

    @property
    def held(self) -> bool:
        """Whether this object holds it."""
        return self._fd >= 0

    def acquire(self, wait: float = 0.0) -> bool:
        """Take it, for at most `wait` seconds; False if another has it. Taking it twice is True.

        Even without `wait` it tries for a few hundredths of a second: another process that
        asks `held_by` has it for an instant.
        """
        if self.held:
            return True
        fd = open_private(self.path, os.O_RDWR)
        end = time.monotonic() + max(wait, 0.05)
        while not _flock(fd):
            if time.monotonic() >= end:
                os.close(fd)
                return False
            time.sleep(0.01)
        self._fd = fd
        with suppress(OSError):  # a full disk: the pid is for messages only
            os.ftruncate(fd, 0)
            os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        return True

    def release(self) -> None:
        """Give it back; not holding it is no error."""
        if self.held:
            with suppress(OSError):
                os.ftruncate(self._fd, 0)
            os.close(self._fd)
            self._fd = -1

    def held_by(self) -> int | None:
        """The holder's pid, 0 where it is not known, None where nobody holds the lock.

        For messages: it may have changed when it is read. OSError if it can't be seen.
        """
        if self.held:
            return os.getpid()
        try:
            fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            if _flock(fd):
                return None
            text = os.pread(fd, 32, 0).strip()
            return int(text) if text.isdigit() else 0
        finally:
            os.close(fd)

    def __enter__(self) -> Lock:
        if not self.acquire(wait=float("inf")):
            raise AssertionError("waited for ever, and got nothing")
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def _flock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
