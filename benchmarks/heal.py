"""How long is an agent away after `kill -9`? One command: `python benchmarks/heal.py [KILLS]`.

Kills the builder's agent again and again under a real supervisor with its default settings
(but for the restart intensity, which would stop it), and prints how many deaths were seen and
healed, and the time from the kill to the replacement's first output, less what the agent
itself takes to start, measured in the same way without a supervisor.
"""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.e2e.instance import Instance  # noqa: E402
from tests.waiting import eventually  # noqa: E402

AGENT = "echo $$ $(date +%s%N); exec sleep 100000"
LIVES = 0.15
"""Seconds that each process lives before it is killed; `stable_after` is below that."""


def own_start(times: int) -> list[float]:
    """Seconds from starting the agent directly to its first output."""
    taken = []
    for _ in range(times):
        began = time.time()
        with subprocess.Popen(["sh", "-c", AGENT], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            said = process.stdout.readline().split()
            process.kill()
        taken.append(int(said[1]) / 1e9 - began)
    return taken


def outputs(it: Instance) -> list[tuple[int, float]]:
    """What the agents have printed: pid and wall clock of each start."""
    found = re.findall(r"^(\d+) (\d{19})\r?\n", it.log(), re.MULTILINE)
    return [(int(pid), int(nanoseconds) / 1e9) for pid, nanoseconds in found]


def run(kills: int) -> tuple[int, int, list[float]]:
    """Deaths seen, deaths healed, and seconds from each kill to the next first output."""
    it = Instance(
        REPOSITORY,
        LOOP_COMMAND=f"sh -c '{AGENT}'",
        ORCH_ROLES="builder",
        ORCH_POLL="2s",
        ORCH_STABLE_AFTER="0.1s",
        ORCH_MAX_RESTARTS="9999",
    )
    away = []
    try:
        it.start()
        for number in range(1, kills + 1):
            eventually(lambda: len(outputs(it)) >= number, 60)  # noqa: B023
            pid, _ = outputs(it)[-1]
            time.sleep(LIVES)
            killed = time.time()
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: len(outputs(it)) > number, 60, 0.002)  # noqa: B023
            away.append(outputs(it)[-1][1] - killed)
        seen = len(it.events("session.exited", "builder"))
        healed = len(it.events("session.healed", "builder"))
    finally:
        it.end()
    return seen, healed, away


def main() -> int:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    own = statistics.median(own_start(20))
    seen, healed, away = run(kills)
    beyond = sorted((seconds - own) * 1000 for seconds in away)
    p95 = beyond[min(len(beyond) - 1, int(len(beyond) * 0.95))]
    print(f"killed {kills}, detected {seen}, healed {healed}")
    print(f"the agent's own start:        median {own * 1000:6.1f} ms")
    print(f"kill to first output, beyond: median {statistics.median(beyond):6.1f} ms, "
          f"p95 {p95:6.1f} ms, longest {beyond[-1]:6.1f} ms")  # fmt: skip
    return 0 if seen == healed == kills else 1


if __name__ == "__main__":
    raise SystemExit(main())
