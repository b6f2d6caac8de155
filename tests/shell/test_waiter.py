"""The waits between ticks end for whatever comes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from cc_ci_orch.shell.changes import Changes
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.waiter import CALM, RealWaiter

LONG = 20.0
"""Seconds that no wait of these tests lasts, if it does what it should."""


def waiter(*folders: Path) -> RealWaiter:
    it = RealWaiter(ProcFs())
    it.listen_to(Changes(folders))
    return it


def waits(it: RealWaiter, seconds: float, meanwhile: Callable[[], object] = lambda: None) -> float:
    """How long it waits, with that done from another thread once it does."""
    thread = threading.Timer(0.05, meanwhile)
    thread.start()
    begin = time.monotonic()
    it.wait(seconds)
    took = time.monotonic() - begin
    thread.join()
    return took


def test_a_line_appended_to_a_file_of_the_folder_ends_the_wait(tmp_path: Path) -> None:
    """As a hook does it, again and again; what is over ends no further wait."""
    it, hooks = waiter(tmp_path), tmp_path / "builder.hooks"
    for _ in range(3):
        assert waits(it, LONG, lambda: hooks.open("a").write("Stop\n")) < LONG / 2
        it.wait(CALM)
        it.wait(0)
        assert waits(it, 0.2) >= 0.2


def test_a_file_that_is_replaced_ends_the_wait(tmp_path: Path) -> None:
    it, new = waiter(tmp_path), tmp_path.with_name("status.new")
    new.write_text("{}")
    assert waits(it, LONG, lambda: new.replace(tmp_path / "1.json")) < LONG / 2


def test_a_folder_counts_from_when_it_is_there_and_again_after_it_was_removed(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sessions"
    it = waiter(folder)
    it.wait(0)
    for _ in range(2):
        folder.mkdir()
        it.wait(0)  # seen now
        assert waits(it, LONG, lambda: (folder / "1.json").write_text("{}")) < LONG / 2
        (folder / "1.json").unlink()
        folder.rmdir()
        it.wait(CALM)
        it.wait(0)  # its end was heard of


def test_a_burst_of_changes_ends_few_waits(tmp_path: Path) -> None:
    """An agent that calls tools without a pause doesn't make the watchdog spin."""
    it, stop = waiter(tmp_path), threading.Event()

    def write() -> None:
        while not stop.is_set():
            (tmp_path / "builder.hooks").write_text("PreToolUse\n")

    thread = threading.Thread(target=write)
    thread.start()
    until, count = time.monotonic() + 1, 0
    while time.monotonic() < until:
        it.wait(LONG)
        count += 1
    stop.set()
    thread.join()
    assert 1 <= count <= 1 / CALM + 2


def test_a_ring_is_heard_during_the_calm_after_a_change(tmp_path: Path) -> None:
    it = waiter(tmp_path)
    waits(it, LONG, lambda: (tmp_path / "x").write_text("x"))
    it.ring()
    assert waits(it, LONG) < CALM


def test_without_a_folder_it_waits_for_the_time() -> None:
    assert waits(waiter(), 0.1) >= 0.1
