"""A disk that is full, a log that grows: supervision goes on."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, kill
from tests.waiting import eventually

pytestmark = pytest.mark.tmux


def small_disk(it: Instance) -> None:
    """The state folder on a file system of its own, of a few megabytes."""
    it.state.mkdir(mode=0o700)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", str(it.state)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"can't mount a tmpfs: {done.stderr.decode().strip()}")


def fill(folder: Path) -> Path:
    """Use every byte that is left."""
    path = folder / "filler"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                pass
    return path


def test_a_full_disk(instance: Make) -> None:
    """Agents are healed and can be stopped, status says the trouble; with space again, what
    happened meanwhile is written down, and nothing is half-written."""
    it = instance(ORCH_MAX_RESTARTS="9999", ORCH_STABLE_AFTER="0.1s")
    small_disk(it)
    it.start()
    filler = fill(it.state)
    events = len(it.events())
    for _ in range(3):
        pid = it.pid()
        kill(pid)
        eventually(lambda: it.session()["pid"] not in (None, pid), LONG)  # noqa: B023
    state = it.run("status", "--json")
    assert any("No space left" in trouble for trouble in state.json["troubles"]), state.json
    assert state.json["sessions"][0]["restarts"] == 3

    filler.unlink()
    eventually(lambda: not it.status()["troubles"], LONG)
    assert len([e for e in it.events()[events:] if e["event"] == "session.healed"]) == 3
    it.stop()


def test_stop_on_a_full_disk(instance: Make) -> None:
    """Nothing is left running, although nothing can be written down."""
    it = instance()
    small_disk(it)
    it.start()
    fill(it.state)
    it.stop()


def test_a_supervisor_that_dies_on_a_full_disk(instance: Make) -> None:
    """It is back, with the agents that run. A wish that could not be written down was said to
    be one that it won't know."""
    it = instance()
    small_disk(it)
    it.start()
    pids = [s["pid"] for s in it.status()["sessions"]]
    before = it.status()["supervisor"]["pid"]
    fill(it.state)
    held = it.run("hold", "builder")
    assert held.code == 0 and "a later supervisor won't know" in held.err, held
    kill(before)
    eventually(lambda: it.status()["supervisor"]["pid"] not in (None, before), LONG, 0.05)
    state = it.status()
    assert [s["pid"] for s in state["sessions"]] == pids
    it.stop()


def test_a_start_on_a_full_disk(instance: Make) -> None:
    """One clear line, and nothing half-started."""
    it = instance()
    small_disk(it)
    fill(it.state)
    done = it.run("start")
    assert done.code != 0 and "No space left" in done.err, done
    assert "internal" not in done.err and "Traceback" not in done.err
    assert it.run("status").code == 3
    assert it.run("stop").code == 0


def test_logs_are_rotated(instance: Make) -> None:
    """A session's log that has reached its size is moved on, the newest few are kept, and the
    agent goes on writing to it."""
    it = instance("floods.py", ORCH_LOG_MAX="256KiB", ORCH_LOG_KEEP="2")
    it.start()
    log = it.state / "logs" / "cc-ci-builder.log"
    eventually(lambda: Path(f"{log}.2").exists(), LONG)
    it.stop()
    kept = sorted(path.name for path in log.parent.glob("cc-ci-builder.log*"))
    assert kept == ["cc-ci-builder.log", "cc-ci-builder.log.1", "cc-ci-builder.log.2"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in log.parent.iterdir())


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_state_folder_that_vanishes(instance: Make) -> None:
    """What a person removes by mistake ends nothing: the agents run, the trouble is said."""
    it = instance()
    it.start()
    pids = [s["pid"] for s in it.status()["sessions"]]
    (it.state / "events.jsonl").unlink()
    (it.state / "memory.json").unlink()
    it.run("hold", "builder")
    it.run("release", "builder")
    assert (it.state / "events.jsonl").exists() and (it.state / "memory.json").exists()
    assert [s["pid"] for s in it.status()["sessions"]] == pids
