"""Histories made to be long: what a commit costs doesn't grow with those before it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from cc_ci_orch.core.fold import advance
from cc_ci_orch.core.ledger import Commit, Ledger, Version
from cc_ci_orch.core.protocol import File
from tests.histories import IDENTITY, section

FEW, MANY = 2_500, 10_000


def an_attempt(n: int) -> str:
    """Another attempt on one gate."""
    return section(f"- V1: CLAIMED #{n + 1} — evidence {n}")


def a_gate(n: int) -> str:
    """Another gate, and no longer those before."""
    return section(f"- V{n}: CLAIMED")


def a_changed_mind(n: int) -> str:
    """One claim in ever other words."""
    return section(f"- V1: CLAIMED — in the words number {n}")


def chain(text: Callable[[int], str], length: int) -> list[Commit]:
    """Commits of the builder, one after the other."""
    versions = [Version(f"{n:040x}", text(n).encode()) for n in range(length)]
    before = [(), *((version,) for version in versions)]
    author = f"builder@{IDENTITY}.invalid"
    return [Commit(v, author, parents) for v, parents in zip(versions, before, strict=False)]


def cost(text: Callable[[int], str], length: int) -> float:
    """Seconds of our own processor time for one look at so many commits."""
    commits = chain(text, length)
    begin = time.process_time()
    advance(Ledger(), commits, commits[-1].version, IDENTITY)
    return time.process_time() - begin


@pytest.mark.parametrize("text", [an_attempt, a_gate, a_changed_mind])
def test_four_times_the_commits_take_four_times_the_work(text: Callable[[int], str]) -> None:
    """Not sixteen times, as it would where each is compared with all before it. The best of
    some measurements: what else the machine does can only add to one."""
    assert any(cost(text, MANY) < 9 * cost(text, FEW) for _ in range(3))


def test_nothing_of_a_long_history_is_lost() -> None:
    """All attempts are known as made, in their order; all earlier lines as once said."""
    commits = chain(an_attempt, MANY)
    ledger, violations = advance(Ledger(), commits, commits[-1].version, IDENTITY)
    assert violations == ()
    made = ledger.claims["1/V1"]
    assert [(claim.attempt, claim.order) for claim in made] == [(n, n) for n in range(1, MANY + 1)]
    record = ledger.record(File.STATUS, "1", "V1")
    assert [entry.attempt for entry in record.said] == [MANY] and len(record.past) == MANY - 1


def test_looks_in_between_make_no_difference() -> None:
    """One look at all commits, or one after each few: the same is known in the end."""
    commits = chain(lambda n: section(f"- V1: CLAIMED #{n % 7 + 1} — {n % 3}"), 60)
    whole, _ = advance(Ledger(), commits, commits[-1].version, IDENTITY)
    ledger = Ledger()
    for begin in range(0, 60, 4):
        some = commits[begin : begin + 4]
        ledger, _ = advance(ledger, some, some[-1].version, IDENTITY)
    assert ledger == whole
