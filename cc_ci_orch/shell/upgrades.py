"""The runs of the upgrader: one at a time, each with a record of how it went.

Whoever runs it holds a lock for as long as it lives, and writes the end into the record. A
record without an end whose lock is free belongs to a run that was killed: whoever sees that
first (the supervisor, the next command) reports it, once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from cc_ci_orch.core.actions import Notify
from cc_ci_orch.core.codec import decode, encode
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import ProcessId
from cc_ci_orch.core.text import span
from cc_ci_orch.errors import FAILED
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell, Clock, Files, Processes, Terminal

RECORD = "upgrader.json"
ROLE = "upgrader"
DYING = 5.0
"""Seconds that a killed run may take to be gone."""


@dataclass(frozen=True)
class Run:
    """One run. Times are of the wall clock."""

    started: float
    backend: str
    model: str | None = None
    conversation: str = ""
    ended: float | None = None
    code: int | None = None
    signal: int | None = None
    error: str = ""
    """What went wrong, as it or we have it; "" where nothing did."""
    said: str = ""
    """Its last words."""
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        """The exit status of the run: its own; where that hides an error, 1."""
        if self.signal is not None:
            return 128 + self.signal
        own = FAILED if self.code is None else self.code
        return FAILED if own == 0 and self.error else own

    @property
    def why(self) -> str:
        """How it ended, in one line."""
        took = span(max(0.0, (self.ended or self.started) - self.started))
        if self.error:
            return f"it failed after {took}: {self.error}"
        return f"it is done after {took}, with status {self.code}"


Report = Callable[[Event, Notify | None], None]
"""Writes an event down, and tells a person where there is something to tell."""


class Upgrades:
    """The upgrader of one instance."""

    def __init__(
        self,
        seat: Seat,
        files: Files,
        clock: Clock,
        processes: Processes,
        terminal: Terminal,
        mask: Callable[[Any], Any],
    ) -> None:
        self.seat = seat
        self.lock = Lock(seat.config.state / "upgrader.lock")
        self._files = files
        self._clock = clock
        self._processes = processes
        self._terminal = terminal
        self._mask = mask

    def last(self) -> Run | None:
        """The newest run; None where there is none, or its record can't be read."""
        try:
            value = self._files.peek(RECORD)
            return None if value is None else decode(_Book, value).run
        except (OSError, ValueError):
            return None

    def pid(self) -> int | None:
        """The process that runs it now; None where none does."""
        with suppress(OSError):
            return self.lock.held_by()
        return None

    def write(self, run: Run) -> None:
        """Write the record; what can't be written is no reason to fail."""
        with suppress(OSError):
            self._files.save(RECORD, self._mask(encode(_Book(run))))

    def end(self, run: Run, report: Report) -> Run:
        """A run has ended: end what it left behind, write it down, report it."""
        run = replace(run, ended=self._clock.wall(), said=run.said.strip())
        self._end_left()
        self.write(run)
        evidence = {
            "status": run.code,
            "signal": run.signal,
            "error": run.error or None,
            "said": run.said or None,
            "lived_s": round(max(0.0, (run.ended or 0.0) - run.started), 3),
            "conversation": run.conversation,
            **run.evidence,
        }
        event = Event(Name.SESSION_EXITED, run.why, role=ROLE, by=ROLE, evidence=evidence)
        cause = f"trouble:{ROLE}:{run.started}"
        failed = Notify(cause, f"the {ROLE} has failed", run.why, ROLE) if run.error else None
        report(event, failed)
        return run

    def settle(self, report: Report) -> Run | None:
        """The newest run. One that was killed is reported now, if nobody has done so."""
        run = self.last()
        if run is None or run.ended is not None:
            return run
        looking = Lock(self.lock.path)
        try:
            if not looking.acquire():
                return run  # it runs
        except OSError:
            return run
        try:
            run = self.last()
            if run is None or run.ended is not None:
                return run
            error = "it was killed in the middle; it is not started again"
            return self.end(replace(run, signal=signal.SIGKILL, error=error), report)
        finally:
            looking.release()

    def ask_to_end(self, grace: float) -> bool:
        """TERM to the one that runs, `grace` seconds, then KILL; False where none did."""
        pid = self.pid()
        process = self._processes.identify(pid) if pid else None
        if process is None:
            return False
        self._processes.signal(process, signal.SIGTERM)
        if not self._gone(process, grace + DYING):
            self._processes.signal(process, signal.SIGKILL)
            self._gone(process, DYING)
        self._end_left()
        return True

    def _gone(self, process: ProcessId, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._processes.alive(process):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    def clear(self) -> None:
        """Remove what an earlier run left: processes, and its session."""
        self._end_left()
        with suppress(CannotTell):
            self._terminal.close(self.seat.session)

    def _end_left(self) -> None:
        left = self._processes.snapshot().marked(self.seat.mark)
        mine = [process for process in left if process.pid != os.getpid()]
        if mine:
            self._processes.end(mine, grace=0)


@dataclass(frozen=True)
class _Book:
    run: Run
    schema: int = 1
