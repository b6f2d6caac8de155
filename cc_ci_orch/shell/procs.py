"""Processes, from /proc and through pidfds (Linux).

- A process is its pid *and* its start time. Before a pidfd is used, the identity is read once
  more: then the pidfd is of that very process, and stays so whatever happens to the pid.
- What is another user's, or vanishes while it is looked at, is skipped without a word.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from cc_ci_orch.core.model import ExitStatus, ProcessId
from cc_ci_orch.shell.process_table import ProcessTable, read_stat

KILL_WAIT = 1.0  # seconds that `end` waits for the killed, and looks for new descendants


class ProcFs:
    """Implements `Processes`. One thread's: nothing in it is locked.

    `fileno()` is readable as soon as `dead()` has something to tell, so that a selector can
    wait for it; call `close()` in the end.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._fds: dict[ProcessId, int] = {}
        # Deaths just before `watch` go through here, once each, so that none is missed and
        # none is told for ever.
        self._late: list[ProcessId] = []
        self._told: set[ProcessId] = set()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll.register(self._bell, select.EPOLLIN)

    # ------------------------------------------------------------------ looking

    def snapshot(self) -> ProcessTable:
        """One pass over /proc, to be asked for many roles."""
        return ProcessTable()

    def identify(self, pid: int) -> ProcessId | None:
        stat = read_stat(pid)
        return stat.id if stat is not None and stat.alive else None

    def alive(self, process: ProcessId) -> bool:
        return self.identify(process.pid) == process

    def exit_status(self, pid: int) -> ExitStatus | None:
        stat = read_stat(pid)
        if stat is None or stat.alive or not _ours(pid):
            return None
        if os.WIFSIGNALED(stat.exit_code):
            return ExitStatus(signal=os.WTERMSIG(stat.exit_code))
        return ExitStatus(code=os.WEXITSTATUS(stat.exit_code))

    # ------------------------------------------------------------------ waiting for deaths

    def fileno(self) -> int:
        return self._epoll.fileno()

    def watch(self, process: ProcessId) -> None:
        if process in self._fds or process in self._told:
            return
        fd = self._open(process)
        if fd is not None:
            self._fds[process] = fd
            self._epoll.register(fd, select.EPOLLIN)
        elif not self.alive(process):
            self._told.add(process)
            self._late.append(process)
            os.eventfd_write(self._bell, 1)

    def unwatch(self, process: ProcessId) -> None:
        """No more news of it. One that isn't watched is no error."""
        fd = self._fds.pop(process, None)
        if fd is not None:
            self._epoll.unregister(fd)
            os.close(fd)

    def watched(self) -> list[ProcessId]:
        """Those whose death has not been told yet."""
        return list(self._fds)

    def dead(self) -> list[ProcessId]:
        """The watched that have died since the last call; they are watched no longer."""
        ready = {fd for fd, _ in self._epoll.poll(0)}
        died = [process for process, fd in self._fds.items() if fd in ready]
        for process in died:
            self.unwatch(process)
        if self._bell in ready:
            os.eventfd_read(self._bell)
        died += self._late
        self._late = []
        self._told.update(died)
        return died

    def close(self) -> None:
        """Let go of all descriptors; it watches nothing any more."""
        for process in self.watched():
            self.unwatch(process)
        self._epoll.close()
        os.close(self._bell)

    # ------------------------------------------------------------------ ending

    def signal(self, process: ProcessId, signal: int) -> None:
        with self._opened([process]) as fds:
            _send(fds.values(), signal)

    def end(self, processes: Sequence[ProcessId], *, grace: float) -> list[ProcessId]:
        """As `Processes.end`. New descendants are killed with the rest.

        Process 1, ourselves and our ancestors are never signalled, nor is anything for being a
        descendant of theirs; where they are asked for, they are among what is still alive.
        """
        asked = [process for process in processes if self.alive(process)]
        spared = {1} | self.snapshot().ancestors(os.getpid())
        targets = [process for process in asked if process.pid not in spared]
        if grace > 0:
            with self._opened(targets) as fds:
                _send(fds.values(), signal.SIGTERM)
                _wait(fds.values(), grace)
        known = dict.fromkeys(targets)
        deadline = time.monotonic() + KILL_WAIT
        while True:
            family = [p for p in self.snapshot().family(known) if p.pid not in spared]
            known.update(dict.fromkeys(family))
            with self._opened(known) as fds:
                _send(fds.values(), signal.SIGKILL)
                _wait(fds.values(), max(0.0, deadline - time.monotonic()))
            # One that has ended by itself since may have left a child.
            if not family or time.monotonic() >= deadline:
                break
        born = [p for p in self.snapshot().family(known) if p.pid not in spared]
        left = dict.fromkeys([*asked, *known, *born])
        return [process for process in left if self.alive(process)]

    def _open(self, process: ProcessId) -> int | None:
        """A pidfd of that very process; None if it is gone (or no descriptor is left)."""
        try:
            fd = os.pidfd_open(process.pid)
        except OSError:
            return None
        if self.alive(process):
            return fd
        os.close(fd)
        return None

    @contextmanager
    def _opened(self, processes: Iterable[ProcessId]) -> Iterator[dict[ProcessId, int]]:
        """pidfds of those that still live, for a while."""
        fds = {p: fd for p in processes if (fd := self._open(p)) is not None}
        try:
            yield fds
        finally:
            for fd in fds.values():
                os.close(fd)


def _ours(pid: int) -> bool:
    """Of another user's process, the kernel gives 0 for the exit status."""
    with suppress(OSError):
        return os.geteuid() in (0, os.stat(f"/proc/{pid}").st_uid)
    return False


def _send(fds: Iterable[int], number: int) -> None:
    for fd in fds:
        with suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(fd, number)


def _wait(fds: Iterable[int], seconds: float) -> None:
    """Until all are dead, or the time is over."""
    poll = select.poll()
    left = set(fds)
    for fd in left:
        poll.register(fd, select.POLLIN)
    deadline = time.monotonic() + seconds
    while left and (rest := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            left.discard(fd)
