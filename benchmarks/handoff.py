"""How long is a claim under way? One command: `python benchmarks/handoff.py [CLAIMS [REPO_POLL]]`.

The builder's claims are pushed, each at a random moment between two looks at the repository,
to a real supervisor with its default settings but for `repo_poll` (seconds). Printed is the
time from the end of the push to the event that the hand-off was delivered: seen, typed into
the adversary's session, and proved to have arrived there.
"""

from __future__ import annotations

import random
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY))

from tests.e2e.instance import Instance  # noqa: E402
from tests.waiting import eventually  # noqa: E402
from tests.workrepo import environment  # noqa: E402


class Builder:
    """Claims one attempt after the other, in a clone of its own."""

    def __init__(self, it: Instance) -> None:
        self._clone = it.folder / "claims"
        self._env = environment(it.folder, "builder")
        self._git("clone", "-q", str(it.state / "work.git"), str(self._clone), at=it.folder)
        self._git("checkout", "-q", "-B", "main")

    def claim(self, attempt: int) -> float:
        """Claim and push; the time at which that was done."""
        text = f"## Phase 1\n- V1: CLAIMED #{attempt}\n"
        (self._clone / "STATUS.md").write_text(text)
        self._git("add", "-A")
        self._git("commit", "-q", "-m", f"attempt {attempt}")
        self._git("push", "-q", "origin", "main")
        return time.time()

    def _git(self, *argv: str, at: Path | None = None) -> None:
        subprocess.run(
            ["git", "-C", at or self._clone, *argv], env=self._env, check=True, capture_output=True
        )


def run(claims: int, repo_poll: float) -> list[float]:
    """Seconds from each push to its proved delivery."""
    it = Instance(REPOSITORY, ORCH_POLL="2s", ORCH_REPO_POLL=f"{repo_poll}s")
    it.settings["LOOP_COMMAND"] = it.agent("reads.py", str(it.folder / "read"), "quiet")
    taken = []
    try:
        it.start()
        builder = Builder(it)
        for number in range(1, claims + 1):
            time.sleep(random.random() * repo_poll)
            pushed = builder.claim(number)
            eventually(lambda: len(it.events("handoff.delivered")) >= number, 120)  # noqa: B023
            told = datetime.fromisoformat(it.events("handoff.delivered")[-1]["t"])
            taken.append(told.timestamp() - pushed)
        numbers = [event["handoff"] for event in it.events("handoff.delivered")]
        assert numbers == [f"H-{n}" for n in range(1, claims + 1)], numbers
    finally:
        it.end()
    return taken


def p95(taken: list[float]) -> float:
    return sorted(taken)[min(len(taken) - 1, int(len(taken) * 0.95))]


def main() -> int:
    claims = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    repo_poll = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    taken = run(claims, repo_poll)
    median = statistics.median(taken)
    print(f"{claims} claims, a look at the repository every {repo_poll:g} s")
    print(f"push to proved delivery: median {median:.2f} s, p95 {p95(taken):.2f} s, "
          f"longest {max(taken):.2f} s")  # fmt: skip
    return 0 if median < repo_poll + 1.0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
