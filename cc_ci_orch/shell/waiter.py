"""Waiting for whatever comes first: a time, a death, a ring, a word of an agent's client."""

from __future__ import annotations

import os
import select
import time

from cc_ci_orch.shell.changes import Changes
from cc_ci_orch.shell.procs import ProcFs

CALM = 0.25
"""Seconds after a wake-up by changed files in which further changes wait: an agent that calls
tools in quick succession must not make the watchdog spin."""


class RealWaiter:
    """Implements the watchdog's `Waiter` over the pidfds of `processes`."""

    def __init__(self, processes: ProcFs) -> None:
        self._processes = processes
        self._changes: Changes | None = None
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._urgent = select.poll()
        self._poll = select.poll()
        for poll in (self._urgent, self._poll):
            poll.register(self._bell, select.POLLIN)
            poll.register(processes.fileno(), select.POLLIN)
        self._calm_until = 0.0

    def listen_to(self, changes: Changes) -> None:
        """Let these end a wait, too."""
        if changes.fileno() >= 0:
            self._changes = changes
            self._poll.register(changes.fileno(), select.POLLIN)

    def wait(self, seconds: float) -> None:
        if self._changes is not None:
            self._changes.settle()
        calm = min(self._calm_until - time.monotonic(), seconds)
        if calm <= 0 or (not self._hear(self._urgent, calm) and calm < seconds):
            self._hear(self._poll, seconds - max(calm, 0.0))
        self._processes.dead()

    def _hear(self, poll: select.poll, seconds: float) -> bool:
        """Wait; whether anything was heard."""
        heard = poll.poll(max(0.0, seconds) * 1000)
        for fd, _ in heard:
            if fd == self._bell:
                os.eventfd_read(self._bell)
            elif self._changes is not None and fd == self._changes.fileno():
                self._changes.drain()
                self._calm_until = time.monotonic() + CALM
        return bool(heard)

    def ring(self) -> None:
        os.eventfd_write(self._bell, 1)
