"""The thread that looks at the work repository, so that no tick waits for git.

It asks what is new since the commit that the watchdog knows, and leaves the answer for the
next snapshot. A remote that gives no answer is a trouble; the looks then become rarer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol

from cc_ci_orch.core.model import Trouble
from cc_ci_orch.core.news import News
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell.ports import CannotTell

LONGEST_PAUSE = 300.0
"""Seconds between looks at a remote that doesn't answer; doubled up to this."""

SLOW = 60.0
"""Seconds after which a look that goes on is a trouble, too."""

REPOSITORY = "repository"
"""The key of its trouble."""


class Source(Protocol):
    def news(self, known: str) -> News | None:
        """What is new since `known`; CannotTell where that can't be seen."""


class Scout:
    """Looks every `pause` seconds until stopped. `known` is asked before each look."""

    def __init__(
        self,
        source: Source,
        known: Callable[[], str],
        ring: Callable[[], None],
        pause: float,
    ) -> None:
        self._source = source
        self._known = known
        self._ring = ring
        self._pause = pause
        self._stop = threading.Event()
        self._news: News | None = None
        self._trouble: Trouble | None = None
        self._looks_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="scout", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; a look under way is not waited for."""
        self._stop.set()

    def latest(self) -> News | None:
        """What the last look found. Whoever takes it checks that it follows what they know."""
        return self._news

    @property
    def looked(self) -> bool:
        """Whether the first look has come to an end, well or badly."""
        return self._news is not None or self._trouble is not None

    def trouble(self) -> Trouble | None:
        """Why the work repository can't be seen now; None if it can."""
        since = self._looks_since
        if since is None or time.monotonic() - since < SLOW:
            return self._trouble
        return Trouble(REPOSITORY, f"a look at the work repository takes over {SLOW:g} s")

    def look(self) -> bool:
        """One look; whether it was answered."""
        self._looks_since = time.monotonic()
        try:
            self._news = self._source.news(self._known())
        except (CannotTell, OrchError) as error:
            self._trouble = Trouble(REPOSITORY, f"can't see the work repository: {error}")
            return False
        finally:
            self._looks_since = None
        self._trouble = None
        return True

    def _run(self) -> None:
        pause = self._pause
        while not self._stop.is_set():
            try:
                pause = self._pause if self.look() else min(pause * 2, LONGEST_PAUSE)
            except Exception as error:
                # The boundary of the thread: the next look may go better, and this is said.
                self._trouble = Trouble(REPOSITORY, f"a look failed: {error!r}")
                pause = min(pause * 2, LONGEST_PAUSE)
            if self._news is not None:
                self._ring()
            self._stop.wait(pause)
