"""Following a log over its rotations, whenever they come."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cc_ci_orch.shell import store
from cc_ci_orch.shell.following import Followed
from cc_ci_orch.shell.store import Store


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setitem(store.ROTATED_AT, "events.jsonl", 200)
    return Store(tmp_path)


def test_every_line_comes_once_over_any_number_of_rotations(log: Store) -> None:
    """Also of those that came and went between two looks."""
    chance = random.Random(7)
    followed = Followed(lambda: log.parts("events.jsonl"))
    seen = b""
    for number in range(2000):
        log.append("events.jsonl", f"line {number}")
        if chance.random() < 0.05:
            seen += followed.news()
    seen += followed.news()
    followed.close()
    assert seen.decode().splitlines() == [f"line {n}" for n in range(2000)]
    assert len(log.parts("events.jsonl")) > 20


def test_what_was_before_and_what_comes_meet_without_a_gap(log: Store) -> None:
    for number in range(100):
        log.append("events.jsonl", f"line {number}")
    followed = Followed(lambda: log.parts("events.jsonl"))
    for number in range(100, 200):
        log.append("events.jsonl", f"line {number}")
    before = b"".join(reversed(list(followed.before())))
    text = (before + followed.news()).decode()
    assert text.splitlines() == [f"line {n}" for n in range(200)]


def test_a_log_that_does_not_exist_yet_is_followed_from_its_first_line(log: Store) -> None:
    followed = Followed(lambda: log.parts("events.jsonl"))
    assert (list(followed.before()), followed.news()) == ([], b"")
    log.append("events.jsonl", "one")
    assert followed.news() == b"one\n"


def test_a_log_that_is_removed_is_followed_in_its_successor(log: Store) -> None:
    log.append("events.jsonl", "one")
    followed = Followed(lambda: log.parts("events.jsonl"))
    (log.folder / "events.jsonl").unlink()
    assert followed.news() == b""
    log.append("events.jsonl", "two")
    assert followed.news() == b"two\n"
