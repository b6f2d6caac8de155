"""Telling a person: a command that gets JSON on its standard input, and an HTTP POST (ntfy).

Each way has a thread of its own: a notifier that hangs, fails or floods costs neither the
watchdog nor the other way anything. One cause is told at most once a minute: of what comes
sooner the newest waits until then.
"""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from cc_ci_orch.core.actions import Notify
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.ports import CannotTell, Clock
from cc_ci_orch.shell.run import Leash, run_mute

TIMEOUT = 20.0
"""Seconds for one notification by one way."""

PAUSE = 60.0
"""Seconds between two notifications of one cause."""

WAITING = 200
"""Notifications that may wait for a slow notifier; of more the newest are lost."""

URGENT = ("blocked", "gave up", "violation", "trouble", "start")
"""Causes that want a person; the others are good to know."""


@dataclass(frozen=True)
class Letter:
    """A notification as it goes out: one line of title, no secret in it."""

    cause: str
    title: str
    text: str
    role: str
    priority: str


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
        self._instance = instance
        self._clock = clock
        self._mask = mask
        self._told: dict[str, float] = {}
        self._early: dict[str, Notify] = {}
        self._leash = Leash()
        ways: dict[str, Callable[[Letter], None]] = {}
        if command:
            argv = tuple(command)
            ways["command"] = lambda letter: self._to_command(letter, argv, env)
        if url is not None:
            ways["url"] = lambda letter: self._to_url(letter, url)
        self._ways = {name: _Way(f"NOTIFY_{name.upper()}", ways[name], say) for name in ways}

    @property
    def ways(self) -> tuple[str, ...]:
        """How a person is told: command, url, both or neither."""
        return tuple(self._ways)

    def tell(self, note: Notify) -> bool:
        """Send it soon. False: this cause was told less than a minute ago, and it waits."""
        now = self._clock.monotonic()
        if not self._may_tell(note.cause, now):
            self._early[note.cause] = note
            return False
        self._early.pop(note.cause, None)
        self._told = {c: t for c, t in self._told.items() if now - t < PAUSE} | {note.cause: now}
        letter = Letter(
            note.cause,
            self._mask(" ".join(note.title.split())),
            self._mask(note.text),
            note.role,
            priority(note),
        )
        for way in self._ways.values():
            way.put(letter)
        return True

    def due(self) -> list[Notify]:
        """What came too early, and can be told now; each is given out once."""
        now = self._clock.monotonic()
        found = [cause for cause in self._early if self._may_tell(cause, now)]
        return [self._early.pop(cause) for cause in found]

    def _may_tell(self, cause: str, now: float) -> bool:
        last = self._told.get(cause)
        return last is None or now - last >= PAUSE

    def close(self, grace: float) -> None:
        """Let what waits go out, for at most `grace` seconds; nothing of it is left running."""
        deadline = time.monotonic() + grace
        for way in self._ways.values():
            way.drain(deadline - time.monotonic())
        self._leash.end()
        for way in self._ways.values():  # who runs a command waits for its end
            way.drain(min(grace, 1.0))

    def _to_command(self, letter: Letter, argv: Sequence[str], env: Mapping[str, str]) -> None:
        value = {
            "instance": self._instance,
            "cause": self._mask(letter.cause),
            "title": letter.title,
            "text": letter.text,
            "role": letter.role or None,
            "priority": letter.priority,
        }
        data = json.dumps(value).encode() + b"\n"
        done = run_mute(argv, timeout=TIMEOUT, stdin=data, env=env, leash=self._leash)
        if done.returncode != 0:
            raise CannotTell(f"{argv[0]}: status {done.returncode}: {done.err[-200:]}")

    def _to_url(self, letter: Letter, url: str) -> None:
        from cc_ci_orch.shell import post  # slow to import, and rarely needed

        title = f"{self._instance}: {letter.title}"
        post.post(url, letter.text, {"Title": title, "Priority": letter.priority}, TIMEOUT)


class _Way:
    """One way to tell a person: a queue, and the thread that works it off."""

    def __init__(
        self, name: str, send: Callable[[Letter], None], say: Callable[[str], None]
    ) -> None:
        self._name = name
        self._send = send
        self._say = say
        self._queue: queue.Queue[Letter] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def put(self, letter: Letter) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(letter)
        except queue.Full:
            self._say(f"{self._name}: not notified, too many wait: {letter.title}")

    def drain(self, seconds: float) -> None:
        """Wait until all is sent, or has failed; at most so long."""
        with self._queue.all_tasks_done:
            self._queue.all_tasks_done.wait_for(
                lambda: not self._queue.unfinished_tasks, max(0.0, seconds)
            )

    def _run(self) -> None:
        while True:
            letter = self._queue.get()
            try:
                self._send(letter)
            except (CannotTell, OrchError, OSError) as error:
                self._say(f"{self._name}: not notified: {letter.title}: {error}")
            except Exception as error:
                # The boundary of the thread: whatever a notifier does, the next one is tried.
                self._say(f"{self._name}: not notified: {letter.title}: {error!r}")
            finally:
                self._queue.task_done()


def priority(note: Notify) -> str:
    """In ntfy's words."""
    return "high" if note.cause.startswith(URGENT) else "default"
