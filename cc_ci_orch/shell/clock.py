"""The clock on the wall, and the one that only goes forward."""

from __future__ import annotations

import time


class RealClock:
    """Implements `Clock`. CLOCK_MONOTONIC is the same for every process of one boot."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()
