"""The one process that supervises.

Its main thread owns the lock, the signals, readiness and the guardian; the watchdog thread
polls. SIGTERM and SIGINT end only the supervisor: the agents live on and are taken over by
the next one. SIGUSR1 does the same, with an exit status that makes systemd start that one.
Whoever holds the lock is the supervisor; there can't be two.

The main thread also watches the watchdog: where ticks stop coming, the process ends without
removing its record, and its guardian (or systemd) brings up the next one.
"""

from __future__ import annotations

import itertools
import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, Protocol

from cc_ci_orch.core.actions import Reply
from cc_ci_orch.core.codec import decode
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Request
from cc_ci_orch.errors import TRY_AGAIN
from cc_ci_orch.watchdog import Watchdog

HUNG_AFTER = 90.0
"""Seconds that a tick may be late or last, before the watchdog thread counts as hung. A tick
waits at most 5 s for tmux and 1 s for a killed process, a few of each at the worst."""

LATE_AFTER = 20.0
"""Seconds that a tick may be late or last, and systemd is still told that all is well."""

REPLACE = signal.SIGUSR1

READY_WITHIN = 0.05
"""Seconds between its looks before the first tick: until it has told systemd that it is ready,
systemd takes a silent supervisor for one that still starts."""

LOOK_EVERY = 0.5
"""Seconds between the main thread's looks at the watchdog and the guardian."""


class Answers:
    """Requests on their way to the watchdog, and the answers on their way back."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._waiting: dict[int, queue.Queue[Reply]] = {}

    def number(self) -> int:
        """A new request's id, with a place for its answer."""
        number = next(self._numbers)
        self._waiting[number] = queue.Queue(1)
        return number

    def put(self, reply: Reply) -> None:
        """The watchdog's answer. One that nobody waits for is dropped."""
        place = self._waiting.get(reply.request)
        if place is not None:
            place.put(reply)

    def get(self, number: int, timeout: float | None = None) -> Reply | None:
        """Wait for the answer; None if it does not come in time."""
        try:
            return self._waiting[number].get(timeout=timeout)
        except queue.Empty:
            return None
        finally:
            self._waiting.pop(number, None)


class Manager(Protocol):
    """What started us and wants to hear from us: systemd, or nobody."""

    def ready(self) -> None: ...

    def alive(self) -> None: ...

    def stopping(self) -> None: ...


@dataclass(frozen=True)
class Duties:
    """What the main thread sees to besides the watchdog; each may be called at any time."""

    manager: Manager
    keep_guardian: Callable[[], None]
    end_guardian: Callable[[], None]
    say_goodbye: Callable[[], None]
    """Remove the record of this supervisor: it ends on purpose."""


class Supervisor:
    """Runs one watchdog until a signal or a person stops it."""

    def __init__(
        self,
        watchdog: Watchdog,
        answers: Answers,
        duties: Duties,
        state: Callable[[str, Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._watchdog = watchdog
        self._answers = answers
        self._duties = duties
        self._state = state
        self._stopping = threading.Event()
        self._signal = ""
        self._replaced = False
        self._ending_all = False
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)
        self._died = False

    # ------------------------------------------------------------------ from other threads

    def handle(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer one message of the control socket."""
        try:
            kind = message.get("do")
            if kind == "request" and time.monotonic() > float(message["by"]):
                return {"code": TRY_AGAIN, "text": "it came too late; nothing was done"}
            if kind == "request":
                return self._request(message)
            return self._state(str(kind), message)
        except (ValueError, TypeError, KeyError) as error:
            return {"code": 2, "text": f"the request can't be read: {error}"}

    def _request(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        given = {**message["request"], "id": self._answers.number()}
        request = decode(Request, given)
        if request.kind == "stop" and request.everything:
            self._ending_all = True
            self._duties.end_guardian()
        self._watchdog.ask(request)
        reply = self._answers.get(request.id)
        assert reply is not None  # without a timeout there is always one
        if reply.code != 0:
            self._ending_all = False
        return {"code": reply.code, "text": reply.text}

    # ------------------------------------------------------------------ the main thread

    def run(self) -> int:
        """Supervise until stopped; 0 if that was meant, 1 if the watchdog failed or hangs.

        75 if another one is to take its place.
        """
        for number in (signal.SIGTERM, signal.SIGINT, REPLACE):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._duties.keep_guardian()
        self._thread.start()
        told = False
        while not self._stopping.wait(LOOK_EVERY if told else READY_WITHIN):
            late = time.monotonic() - self._watchdog.due
            if late > HUNG_AFTER:
                return 1
            if self._watchdog.published is not None and not told:
                told = True
                self._duties.manager.ready()
            if not self._ending_all:
                self._duties.keep_guardian()
            if late <= LATE_AFTER:
                self._duties.manager.alive()
        return self._leave()

    def _leave(self) -> int:
        """End on purpose, even where a tick hangs; a watchdog that died is another matter."""
        self._duties.manager.stopping()
        self._watchdog.stop()
        self._thread.join(timeout=10.0)
        if self._died:
            return 1
        self._duties.say_goodbye()
        why = self._signal or "a person stopped the instance"
        self._watchdog.record(Event(Name.SUPERVISOR_STOPPED, why, by="operator"))
        self._duties.end_guardian()
        return TRY_AGAIN if self._replaced else 0

    def _watch(self) -> None:
        try:
            self._watchdog.run()
        except BaseException:
            self._died = True
            raise
        finally:
            self._stopping.set()

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._replaced = number == REPLACE
        self._signal = f"received {signal.Signals(number).name}"
        self._stopping.set()


def own_record(version: str, started_wall: float, guardian: int | None) -> dict[str, Any]:
    """What `supervisor.json` says of this process while it runs."""
    return {
        "pid": os.getpid(),
        "version": version,
        "started": started_wall,
        "guardian": guardian,
    }
