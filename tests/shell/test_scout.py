"""The scout: looks in a thread of its own, and what it does about a remote that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cc_ci_orch.core.ledger import Version
from cc_ci_orch.core.news import News
from cc_ci_orch.errors import OrchError
from cc_ci_orch.shell import scout as module
from cc_ci_orch.shell.git import Git
from cc_ci_orch.shell.mirror import Mirror
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.scout import Scout
from tests.waiting import eventually
from tests.workrepo import WorkRepo, environment

NEWS = News("", Version("a" * 40), ())


class Remote:
    """Answers as it is told to, and counts."""

    def __init__(self) -> None:
        self.answer: News | Exception | None = None
        self.looks: list[float] = []
        self.asked: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def news(self, known: str) -> News | None:
        self.looks.append(time.monotonic())
        self.asked.append(known)
        self.go_on.wait(60)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def remote() -> Iterator[Remote]:
    it = Remote()
    yield it
    it.go_on.set()


def scout_of(remote: Remote, rings: list[int] | None = None, pause: float = 0.01) -> Scout:
    ring = (rings if rings is not None else []).append
    return Scout(remote, lambda: "known", lambda: ring(1), pause)


def test_what_a_look_finds_can_be_taken_and_rings(remote: Remote) -> None:
    rings: list[int] = []
    scout = scout_of(remote, rings)
    scout.start()
    eventually(lambda: len(remote.looks) > 3)
    assert scout.latest() is None and not rings
    remote.answer = NEWS
    eventually(lambda: rings)
    assert scout.latest() is NEWS and set(remote.asked) == {"known"}
    remote.answer = None
    eventually(lambda: scout.latest() is None)
    scout.stop()


@pytest.mark.parametrize("error", [CannotTell("it is away"), OrchError("it is away")])
def test_a_remote_without_an_answer_is_a_trouble_until_it_has_one(
    remote: Remote, error: Exception
) -> None:
    """And what was found before is not forgotten."""
    remote.answer = NEWS
    scout = scout_of(remote)
    assert scout.look() and scout.trouble() is None
    remote.answer = error
    assert not scout.look()
    trouble = scout.trouble()
    assert trouble is not None and trouble.text == "can't see the work repository: it is away"
    assert scout.latest() is NEWS
    remote.answer = None
    assert scout.look() and scout.trouble() is None and scout.latest() is None


def test_the_looks_become_rarer_and_are_often_again_afterwards(remote: Remote) -> None:
    remote.answer = CannotTell("it is away")
    scout = scout_of(remote, pause=0.02)
    scout.start()
    eventually(lambda: len(remote.looks) >= 6)
    gaps = [b - a for a, b in zip(remote.looks, remote.looks[1:], strict=False)]
    assert gaps[4] > 0.5 and gaps[4] > gaps[2] > gaps[0]
    remote.answer = None
    count = len(remote.looks)
    eventually(lambda: len(remote.looks) > count + 5)
    assert min(b - a for a, b in zip(remote.looks[-4:], remote.looks[-3:], strict=False)) < 0.5
    scout.stop()


def test_a_mistake_of_ours_ends_no_thread(remote: Remote) -> None:
    remote.answer = ZeroDivisionError("oh")
    scout = scout_of(remote)
    scout.start()
    eventually(lambda: scout.trouble() is not None)
    assert "ZeroDivisionError" in str(scout.trouble())
    remote.answer = NEWS
    eventually(lambda: scout.latest() is NEWS and scout.trouble() is None)
    scout.stop()


def test_a_look_that_takes_long_is_a_trouble_while_it_lasts(
    remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOW", 0.1)
    remote.go_on.clear()
    scout = scout_of(remote)
    scout.start()
    eventually(lambda: scout.trouble() is not None)
    assert "takes over" in str(scout.trouble())
    assert len(remote.looks) == 1
    remote.go_on.set()
    eventually(lambda: scout.trouble() is None)
    scout.stop()


def test_a_look_under_way_can_be_ended_with_all_that_it_started(
    tmp_path: Path, processes: ProcFs
) -> None:
    """A git that hangs, and a child of it: whoever stops leaves neither behind."""
    repo = WorkRepo(tmp_path)
    pids = tmp_path / "pids"
    wrapper = tmp_path / "bin"
    wrapper.mkdir()
    (wrapper / "git").write_text(
        f"#!/bin/sh\nsleep 1000 & echo $! >> {pids}; echo $$ >> {pids}; wait\n"
    )
    (wrapper / "git").chmod(0o755)
    env = environment(tmp_path)
    git = Git(env | {"PATH": f"{wrapper}:{env['PATH']}"})
    scout = Scout(Mirror(git, tmp_path / "m.git", str(repo.url), "main"), str, lambda: None, 0.01)
    scout.start()
    eventually(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    scout.stop()
    git.end()
    eventually(lambda: not any(processes.identify(int(pid)) for pid in pids.read_text().split()))
    eventually(lambda: scout.trouble() is not None)
    assert len(pids.read_text().split()) == 2, "it looked again"
