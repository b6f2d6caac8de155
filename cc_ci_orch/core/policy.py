"""Every tunable of the watchdog: its name, unit, default and the reason for the default.

An operator sets one as `ORCH_<NAME>` or under `[watchdog]` in orch.toml. All durations
are seconds. Constants that nobody should need to tune stand at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


def _tunable(default: float | int, help: str, unit: str = "duration") -> Any:
    return field(default=default, metadata={"help": help, "unit": unit})


@dataclass(frozen=True)
class Policy:
    poll: float = _tunable(2.0, "time between ticks; deaths, requests and hooks wake it at once")
    start_grace: float = _tunable(120.0, "how long a new process may take to show that it works")
    idle_nudge_after: float = _tunable(
        60.0, "idle on its turn this long: first nudge; then doubling"
    )
    waiting_nudge_after: float = _tunable(3600.0, "idle off its turn this long: a reminder")
    stall_after: float = _tunable(900.0, "busy without any progress this long: stalled")
    interrupt_after: float = _tunable(300.0, "a stall goes on this long after the nudge: interrupt")
    heal_after: float = _tunable(300.0, "a stall goes on this long after the interrupt: heal")
    stable_after: float = _tunable(600.0, "a process that lived this long ran well")
    max_restarts: int = _tunable(5, "more restarts in restart_period are a crash loop", "count")
    restart_period: float = _tunable(600.0, "the window in which restarts are counted")
    cooldown: float = _tunable(1800.0, "pause after a crash loop, or after giving up")
    retry_limit: float = _tunable(1800.0, "an agent may retry an API error this long")
    repo_poll: float = _tunable(10.0, "time between looks at the work repository")
    operator_grace: float = _tunable(
        600.0, "a session is a person's this long after their last key"
    )
    phase_drain: float = _tunable(
        600.0, "how long agents may take to end their turn at a phase's end"
    )
    log_max: int = _tunable(16 * 1024 * 1024, "a session's log is rotated at this size", "size")
    log_keep: int = _tunable(3, "rotated logs to keep", "count")
    start_burst: int = _tunable(2, "sessions that may be starting at once", "count")
    tool_max: float = _tunable(7200.0, "an open tool call is work up to this long")
    submit_wait: float = _tunable(2.0, "how long to wait for the proof of a submission")


TUNABLES = {f.name: f for f in fields(Policy)}

BACKOFF_FIRST = 1.0
"""Seconds before the second restart of a process that keeps dying; doubles from there."""

BACKOFF_MAX = 300.0
"""Longest back-off, in seconds: a machine that comes to itself is noticed within 5 minutes."""

POLITE_EXIT = 2.0
"""Seconds that a heal lets an agent end by itself before it kills."""

CPU_BUSY_SHARE = 0.02
"""Descendants that use this share of a core are working. A shell that sleeps and polls
stays under 0.5 %, a compiler or test run is far above it."""

CPU_SAMPLE = 1.0
"""Shortest time, in seconds, over which a CPU share is judged: the kernel counts in 10 ms."""

CREDITED_GAP = 1.0
"""Time, in seconds, by which one tick ages everything at most, where `poll` is short (else two
polls). In a longer gap (the machine slept, the supervisor was stopped) nobody saw what the
agents did."""

STOP_GRACE = 10.0
"""Seconds that a stop lets an agent end by itself, where nobody said how long."""

PIPE_DELAY_MAX = 60.0
"""Longest pause, in seconds, between attempts to connect a pane to its log again."""

VIEWER_RETRY = 30.0
"""Seconds between attempts to open the session that shows the watchdog's log."""

START_SETTLE = 1.0
"""Seconds after which a starting session no longer counts against `start_burst`."""

FIRST_PROMPT = 30.0
"""Seconds after its start in which a client that has taken no prompt yet isn't called idle."""

START_TIMEOUT = 60.0
"""Seconds after which a start of which nothing was heard counts as not made."""

STOP_MARGIN = 5.0
"""Seconds beyond the agents' grace after which a stop no longer waits for tmux to answer."""

LIMIT_SLACK = 180.0
"""Seconds that a client gets to go on by itself once its usage limit should be over: Claude
Code 2.1.330 did so about 2 minutes after the stated time."""

ENTER_TRIES = 2
"""How often Enter is pressed for one paste before the nudge counts as failed."""

DRAWN = 65536
"""Bytes that a full-screen client may draw of what is typed into it, and still be in a hang: more
than the repaint of a large screen. Codex 0.169.0 draws less than 2 KiB for a nudge."""
