"""The watchdog's judgement against the truth: the real opencode in each state, 20 looks each.

    .venv/bin/python -m tests.clients.truth_opencode [LOOKS]    writes docs/liveness-opencode.md

As `truth.py` does for Claude Code. opencode takes its time to start and to ask its model, so
a stall is a longer silence here.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

from tests.clients.opencode_instance import OpencodeInstance
from tests.clients.truth import QUOTE, State, measure

STALL = 20
ASKS = {"permission": {"bash": {"touch *": "ask"}}}

STATES = (
    State("at its prompt", "idle", "ok"),
    State("a word every 5 s", "working", "slow 900 5", STALL),
    State("a silent tool", "working", "tool timeout 600 tail -f /dev/null", STALL),
    State("a tool that uses CPU", "working", "tool timeout 600 sh -c 'while :; do :; done'", STALL),
    State("a subagent at work", "working", "task look around", STALL),
    State("the API never answers", "stalled", "hang 600", STALL + 4),
    State("silent in mid-stream", "stalled", "silent 600", STALL + 4),
    State("pings only", "stalled", "ping 600 1", STALL + 4),
    State("529, retried", "retrying", "529", STALL),
    State("500, retried", "retrying", "500", STALL),
    State("429 with retry-after 20 s", "retrying", "429 20", 5),
    State("429 with retry-after 1 h", "limited", "429 3600", 5),
    State("a usage limit without a time", "limited", "quota", 5),
    State("a limit is quoted", "idle", f"ok {QUOTE}"),
    State("no credit", "blocked", "credit"),
    State("401", "blocked", "401"),
    State("prompt too long", "blocked", "toolong"),
    State("permission prompt", "blocked", "tool touch made"),
)


def looks(state: State, program: Path, binary: Path, count: int) -> Counter[str]:
    """What the watchdog says of that state, at random moments."""
    settings = {
        "ORCH_STALL_AFTER": f"{STALL}s",
        "ORCH_INTERRUPT_AFTER": "10m",
        "ORCH_IDLE_NUDGE_AFTER": "10m",
    }
    it = OpencodeInstance(program, binary, ASKS, **settings)
    try:
        it.begin()
        it.wait_for("idle", timeout=120)
        it.behave(state.behaviour)
        done = it.run("nudge", "builder", "go on", timeout=120)
        assert done.code == 0, done
        asked = state.behaviour.split()[0]
        it.until(lambda: [r["kind"] for r in it.requests()][-1:] == [asked], 60)
        time.sleep(state.after + 3)
        found: Counter[str] = Counter()
        for _ in range(count):
            time.sleep(random.uniform(0.1, 0.8))
            found[it.liveness()] += 1
        return found
    finally:
        it.end()


if __name__ == "__main__":
    measure("opencode", "opencode", "tests.clients.truth_opencode", STATES, looks, STALL)
