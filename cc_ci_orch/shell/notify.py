"""Telling a person: a command that gets JSON on its standard input, and an HTTP POST (ntfy).

Everything happens in a thread of its own: a notifier that hangs, fails or floods costs the
watchdog nothing. One cause is told at most once a minute.
"""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from email.header import Header

from cc_ci_orch.core.actions import Notify
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.ports import CannotTell, Clock
from cc_ci_orch.shell.run import run

TIMEOUT = 20.0
"""Seconds for one notification by one way."""

PAUSE = 60.0
"""Seconds between two notifications of one cause."""

WAITING = 200
"""Notifications that may wait for a slow notifier; of more the newest are lost."""

URGENT = ("blocked", "gave up", "violation", "trouble", "start")
"""Causes that want a person; the others are good to know."""


class Notifier:
    """Sends what it is given, in its order; `say` gets what went wrong."""

    def __init__(
        self,
        command: Sequence[str],
        url: str | None,
        instance: str,
        env: Mapping[str, str],
        clock: Clock,
        mask: Callable[[str], str],
        say: Callable[[str], None],
    ) -> None:
        self._command = tuple(command)
        self._url = url
        self._instance = instance
        self._env = env
        self._clock = clock
        self._mask = mask
        self._say = say
        self._queue: queue.Queue[Notify] = queue.Queue(WAITING)
        self._told: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    @property
    def ways(self) -> tuple[str, ...]:
        """How a person is told: command, url, both or neither."""
        both = (("command", bool(self._command)), ("url", self._url is not None))
        return tuple(name for name, wanted in both if wanted)

    def tell(self, note: Notify) -> bool:
        """Send it soon. False: this cause was told less than a minute ago."""
        now = self._clock.monotonic()
        last = self._told.get(note.cause)
        if last is not None and now - last < PAUSE:
            return False
        self._told = {c: t for c, t in self._told.items() if now - t < PAUSE} | {note.cause: now}
        if self.ways:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="notify", daemon=True)
                self._thread.start()
            try:
                self._queue.put_nowait(note)
            except queue.Full:
                self._say(f"not notified, too many wait: {note.title}")
        return True

    def _run(self) -> None:
        while True:
            note = self._queue.get()
            for send in (self._send_to_command, self._send_to_url):
                try:
                    send(note)
                except Exception as error:
                    # The boundary of the thread: whatever a notifier does, the next one is tried.
                    self._say(f"a notification failed: {note.title}: {error}")

    def _send_to_command(self, note: Notify) -> None:
        if not self._command:
            return
        value = {
            "instance": self._instance,
            "cause": note.cause,
            "title": note.title,
            "text": note.text,
            "role": note.role or None,
            "priority": priority(note),
        }
        data = self._mask(json.dumps(value)).encode() + b"\n"
        try:
            done = run(self._command, timeout=TIMEOUT, stdin=data, env=self._env)
        except (CannotTell, OrchError) as error:
            self._say(f"NOTIFY_COMMAND: {error}")
            return
        if done.returncode != 0:
            self._say(f"NOTIFY_COMMAND: status {done.returncode}: {done.err[-200:]}")

    def _send_to_url(self, note: Notify) -> None:
        if self._url is None:
            return
        from urllib.request import Request, urlopen  # slow to import, and rarely needed

        title = self._mask(f"{self._instance}: {note.title}")
        if not title.isascii():  # a header's own way to say it, which ntfy understands
            title = Header(title, "utf-8", 900).encode()
        headers = {"Title": title, "Priority": priority(note)}
        body = self._mask(note.text).encode()
        with urlopen(Request(self._url, body, headers), timeout=TIMEOUT) as answer:
            answer.read(1024)


def priority(note: Notify) -> str:
    """In ntfy's words."""
    return "high" if note.cause.startswith(URGENT) else "default"
