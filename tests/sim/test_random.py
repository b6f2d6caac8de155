"""Random days with random faults hold the invariants; and broken supervision does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cc_ci_orch.core import healing, liveness, requests, times
from cc_ci_orch.core.model import Liveness, RoleMemory, Seen
from cc_ci_orch.shell import apply
from cc_ci_orch.shell.apply import Applier
from cc_ci_orch.shell.observe import Observer
from cc_ci_orch.shell.records import MemoryFile
from tests.sim.mishaps import HOUR
from tests.sim.ordeal import DAY, Ordeal


def test_twelve_days_in_which_everything_goes_wrong() -> None:
    """No working agent is disturbed, nothing is doubled, lost or unanswered, and all recovers."""
    ordeal = Ordeal(12, poll=90.0).run(12 * DAY)
    assert len(ordeal.world.lives) > 100 and ordeal.world.machine.boots > 2


@pytest.mark.parametrize("seed", range(4))
def test_some_hours_at_the_usual_pace(seed: int) -> None:
    Ordeal(seed, poll=2.0).run(4 * HOUR)


@pytest.mark.parametrize(
    "seed",
    [*range(100, 104), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(104, 112))],
)
def test_a_day_of_other_seeds(seed: int) -> None:
    Ordeal(seed, poll=30.0).run(DAY)


def test_a_seed_tells_everything() -> None:
    """The same seed is the same run, so that a failure can be repeated."""
    first, second = (Ordeal(7, poll=60.0).run(DAY) for _ in range(2))
    assert first.mishaps.diary == second.mishaps.diary
    assert first.world.machine.lines == second.world.machine.lines


# ------------------------------------------------------------------ the invariants can fail


def unknown_is_dead(patch: pytest.MonkeyPatch) -> None:
    """What can't be seen is taken for dead."""
    look = Observer._view

    def blind(self: Observer, seat: Any, mem: RoleMemory, terminal: Seen) -> Any:
        view = look(self, seat, mem, terminal)
        if view.running is Seen.UNKNOWN:
            return replace(view, presence=Seen.PRESENT, running=Seen.ABSENT)
        return view

    patch.setattr(Observer, "_view", blind)


def no_intensity(patch: pytest.MonkeyPatch) -> None:
    """Restarts are not counted, and there is no back-off."""
    patch.setattr(healing, "recent_restarts", lambda mem, policy, now: ())
    patch.setattr(healing, "BACKOFF_MAX", 1.0)


def echo_is_progress(patch: pytest.MonkeyPatch) -> None:
    """What the terminal prints of our own typing counts as work."""
    patch.setattr(apply, "echoed", lambda text: 0)
    patch.setattr(apply, "KEY_ECHO", 0)


def silence_is_a_stall(patch: pytest.MonkeyPatch) -> None:
    """Only the log counts: no CPU, no activity file, no tool call."""
    patch.setattr(Observer, "_resolve_doubts", lambda self, views, memory, now: views)
    take_in = liveness._take_signals
    patch.setattr(
        liveness,
        "_take_signals",
        lambda view, *rest: take_in(replace(view, signals={}, account=None), *rest),
    )
    patch.setattr(liveness, "_judge_by_silence", _stalled_by_log(liveness._judge_by_silence))


def _stalled_by_log(judge: Callable[..., Any]) -> Callable[..., Any]:
    def judged(view: Any, mem: RoleMemory, spec: Any, policy: Any, now: float) -> Any:
        if mem.on_turn and now - liveness.quiet_since(mem) >= policy.stall_after:
            return liveness.Judgement(Liveness.STALLED, "silent")
        return judge(view, mem, spec, policy, now)

    return judged


def given_up_for_ever(patch: pytest.MonkeyPatch) -> None:
    """A crash loop's flag never expires."""
    schedule = healing.schedule

    def never(mem: RoleMemory, policy: Any, now: float) -> RoleMemory:
        mem = schedule(mem, policy, now)
        return replace(mem, next_attempt=math.inf) if mem.gave_up else mem

    patch.setattr(healing, "schedule", never)
    patch.setattr(times, "_credible_role", lambda mem, policy, now: mem)


def nothing_is_ended_first(patch: pytest.MonkeyPatch) -> None:
    """What is left of the last process may live on beside the next one."""
    patch.setattr(Applier, "_end_tree", lambda self, seat, process: None)


def nothing_is_remembered(patch: pytest.MonkeyPatch) -> None:
    """The memory is not written down."""
    patch.setattr(MemoryFile, "save", lambda self, memory: None)


def answers_are_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(requests, "answer", lambda decision, snapshot: decision)


def hangs_are_only_logged(patch: pytest.MonkeyPatch) -> None:
    """The ladder is never climbed."""
    patch.setattr(healing, "next_rung", lambda mem, policy: (mem.rung, math.inf))


BROKEN = (
    unknown_is_dead,
    no_intensity,
    echo_is_progress,
    silence_is_a_stall,
    given_up_for_ever,
    nothing_is_ended_first,
    nothing_is_remembered,
    answers_are_forgotten,
    hangs_are_only_logged,
)


@pytest.mark.parametrize("broken", BROKEN)
def test_the_invariants_notice_broken_supervision(
    broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the first few seeds fails."""
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        for seed in range(30):
            Ordeal(seed, poll=60.0).run(DAY)
