"""The accounting behind every restart, without a story around it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch.core import healing
from cc_ci_orch.core.model import ExitStatus, RoleMemory, Rung, Then
from cc_ci_orch.core.policy import BACKOFF_MAX, Policy

POLICY = Policy()
ENDED = ExitStatus(code=1)


def died(mem: RoleMemory, at: float, *, lost: bool = False) -> RoleMemory:
    return healing.after_death(mem, POLICY, at, ENDED, lost=lost, can_lose=True)


@given(st.lists(st.floats(0.0, 2000.0), min_size=1, max_size=60))
def test_restarts_never_exceed_the_intensity(lives: list[float]) -> None:
    """However long its processes live: never more than max_restarts in restart_period."""
    now, mem, starts = 0.0, RoleMemory(), []
    for life in lives:
        mem = replace(mem, started_at=now)
        now += life
        mem = died(mem, now)
        assert mem.next_attempt is not None and mem.next_attempt >= now
        assert mem.backoff <= BACKOFF_MAX
        now = mem.next_attempt
        mem = healing.count_restart(mem, POLICY, now)
        starts.append(now)
    for start in starts:
        window = [t for t in starts if start <= t < start + POLICY.restart_period]
        assert len(window) <= POLICY.max_restarts


def test_only_resumed_processes_that_die_at_once_lose_the_conversation() -> None:
    """A fresh one that dies says nothing of the conversation; a longer life neither."""
    fresh = died(died(RoleMemory(resumed=False), 1.0), 2.0)
    late = died(replace(died(RoleMemory(resumed=True), 1.0), started_at=2.0), 200.0)
    twice = died(died(RoleMemory(resumed=True), 1.0), 2.0)
    assert [m.mode for m in (fresh, late, twice)] == [Then.RESUME, Then.RESUME, Then.RENEW]
    assert twice.early_deaths == 0


def test_what_the_client_calls_lost_is_lost() -> None:
    assert died(RoleMemory(), 500.0, lost=True).mode is Then.RENEW


@pytest.mark.parametrize(
    ("mem", "expected"),
    [
        (RoleMemory(since=5.0), (Rung.NUDGED, 5.0)),
        (RoleMemory(rung=Rung.NUDGED, rung_at=5.0), (Rung.INTERRUPTED, 305.0)),
        (RoleMemory(rung=Rung.INTERRUPTED, rung_at=5.0), (Rung.RESUMED, 305.0)),
        (RoleMemory(rung=Rung.RESUMED, since=5.0), (Rung.RENEWED, 5.0)),
        (RoleMemory(rung=Rung.RENEWED, since=5.0), (Rung.GAVE_UP, 5.0)),
        (RoleMemory(rung=Rung.GAVE_UP, rung_at=5.0), (Rung.NUDGED, 1805.0)),
    ],
)
def test_each_rung_follows_the_last_one_after_its_time(
    mem: RoleMemory, expected: tuple[Rung, float]
) -> None:
    assert healing.next_rung(mem, POLICY) == expected


@pytest.mark.parametrize(
    ("rung", "below"),
    [
        (Rung.RESUMED, Rung.INTERRUPTED),
        (Rung.RENEWED, Rung.RESUMED),
        (Rung.NONE, Rung.NONE),
    ],
)
def test_a_heal_that_was_called_off_goes_one_rung_back(rung: Rung, below: Rung) -> None:
    assert healing.rung_below(rung) is below


@pytest.mark.parametrize(
    ("rung", "progress_at", "left"),
    [
        (Rung.NUDGED, None, False),
        (Rung.NUDGED, 99.0, False),
        (Rung.NUDGED, 101.0, True),
        (Rung.INTERRUPTED, 101.0, True),
        (Rung.RESUMED, 101.0, False),
        (Rung.RESUMED, 601.0, True),
        (Rung.GAVE_UP, 601.0, True),
    ],
)
def test_the_ladder_is_left_by_progress_and_after_a_heal_only_by_stability(
    rung: Rung, progress_at: float | None, left: bool
) -> None:
    """The rung was taken at 100, the process is of 0."""
    mem = RoleMemory(rung=rung, rung_at=100.0, progress_at=progress_at, gave_up=True)
    after = healing.settle(mem, POLICY)
    assert (after.rung, after.gave_up) == ((Rung.NONE, False) if left else (rung, True))


def test_progress_ends_a_giving_up_of_which_the_ladder_is_gone() -> None:
    """A person's hold, or a turn, can have taken the ladder away."""
    mem = RoleMemory(progress_at=5.0, gave_up=True)
    assert not healing.settle(mem, POLICY).gave_up
    calm = RoleMemory(progress_at=5.0)
    assert healing.settle(calm, POLICY) == calm


def test_a_failed_start_counts_once() -> None:
    """A replacement is counted when it is tried; a first start when it has failed."""
    first = healing.count_failed_start(RoleMemory(), POLICY, 1.0)
    later = healing.count_failed_start(RoleMemory(died_at=1.0), POLICY, 1.0)
    assert (first.restart_times, later.restart_times) == ((1.0,), ())
    assert (first.restarts, first.next_attempt) == (0, 2.0)
