"""Waiting for whatever comes first: a time, a death, a ring."""

from __future__ import annotations

import os
import select

from cc_ci_orch.shell.procs import ProcFs


class RealWaiter:
    """Implements the watchdog's `Waiter` over the pidfds of `processes`."""

    def __init__(self, processes: ProcFs) -> None:
        self._processes = processes
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(self._bell, select.POLLIN)
        self._poll.register(processes.fileno(), select.POLLIN)

    def wait(self, seconds: float) -> None:
        for fd, _ in self._poll.poll(max(0.0, seconds) * 1000):
            if fd == self._bell:
                os.eventfd_read(self._bell)
        self._processes.dead()

    def ring(self) -> None:
        os.eventfd_write(self._bell, 1)
