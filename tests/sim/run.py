"""Long random runs: `python -m tests.sim.run --seeds 1000 --days 12`.

A seed that breaks an invariant is told with its diary and how to repeat it; the exit code is 1.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
import traceback

from tests.sim.ordeal import DAY, Ordeal


def main() -> int:
    """Run the seeds; the number of processes is that of the cores."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim.run", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--first", type=int, default=0, help="the first one (default: 0)")
    parser.add_argument("--days", type=float, default=12.0, help="simulated (default: 12)")
    parser.add_argument("--poll", type=float, default=30.0, help="seconds (default: 30)")
    parser.add_argument("--jobs", type=int, default=multiprocessing.cpu_count())
    args = parser.parse_args()
    runs = [(seed, args.days, args.poll) for seed in range(args.first, args.first + args.seeds)]
    begun, failed, slowest = time.monotonic(), 0, 0.0
    with multiprocessing.Pool(args.jobs) as pool:
        for done, (took, story) in enumerate(pool.imap_unordered(one, runs), 1):
            failed += bool(story)
            slowest = max(slowest, took)
            if story:
                print(f"\n{story}")
            elapsed = time.monotonic() - begun
            print(f"\r{done}/{len(runs)} seeds, {failed} failed, {elapsed:.0f} s", end="")
            sys.stdout.flush()
    print(f"\nthe slowest recovery took {slowest:.0f} s of simulated time")
    return 1 if failed else 0


def one(run: tuple[int, float, float]) -> tuple[float, str]:
    """One seed: its slowest recovery, and what went wrong ("" if nothing did)."""
    seed, days, poll = run
    ordeal = Ordeal(seed, poll=poll)
    try:
        return ordeal.run(days * DAY).slowest, ""
    except Exception as error:
        cause = "".join(traceback.format_exception_only(error)).strip()
        diary = "\n".join(f"    {line}" for line in ordeal.mishaps.diary[-20:])
        again = f"python -m tests.sim.run --first {seed} --seeds 1 --days {days:g} --poll {poll:g}"
        return 0.0, f"seed {seed}: {cause}\n{diary}\n  again: {again}"


if __name__ == "__main__":
    sys.exit(main())
