"""Two instances with one role each, in two folders: all that they share is a repository."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import Instance
from tests.e2e.pairs import PAIR, PATIENCE, check_hand_offs, entries, notes, numbers, plan, script
from tests.httpremote import serving
from tests.waiting import eventually

pytestmark = pytest.mark.tmux


def host(instance: Make, role: str, url: str) -> Instance:
    """An instance that runs one role; its name is its own, the identity is shared."""
    it = instance(
        **PAIR, WORK_REPO=url, ORCH_ROLES=role, ORCH_NAME=f"{role}-host", WORK_IDENTITY="pair"
    )
    it.plan(plan(("1", ["V1", "V2"]), ("2", ["V1"])))
    script(it, bad=["1/V1"], blocked=["2"])
    return it


@pytest.mark.parametrize("way", ["path", "file", "http"])
def test_two_hosts_finish_two_phases(instance: Make, tmp_path: Path, way: str) -> None:
    """Each sees to its own role, and the phases end on both sides."""
    bare = tmp_path / "work.git"
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", bare], check=True)
    with ExitStack() as stack:
        url = str(bare)
        if way == "file":
            url = f"file://{bare}"
        elif way == "http":
            url = stack.enter_context(serving(tmp_path)) + "/work.git"
        hosts = {role: host(instance, role, url) for role in ("builder", "adversary")}
        for it in hosts.values():
            it.start()
        builder, adversary = hosts.values()
        eventually(lambda: "the builder is blocked" in notes(builder), PATIENCE, 0.1)
        (builder.folder / "key").touch()
        builder.run("nudge", "builder", "the key is there")
        for it in hosts.values():
            eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)  # noqa: B023
        for role, it in hosts.items():
            assert entries(it) == ["started 1", "completed 1", "started 2", "completed 2"]
            check_hand_offs(it)
            assert {e["role"] for e in it.events("handoff.delivered")} == {role}
            assert [s["role"] for s in it.status()["sessions"]] == [role]
            assert it.events("protocol.violation") == []
            it.stop()
        assert numbers(builder, "adversary") == numbers(adversary, "builder") == []
        assert "the builder is blocked" not in notes(adversary)


def test_a_remote_that_comes_and_goes(instance: Make, tmp_path: Path) -> None:
    """While it is away that is a trouble, and nothing is stopped; what was pushed meanwhile is
    handed off when it is back."""
    bare = tmp_path / "work.git"
    subprocess.run(["git", "init", "-q", "--bare", "--initial-branch=main", bare], check=True)
    it = instance(**PAIR, WORK_REPO=f"file://{bare}")
    it.plan(plan(("1", ["V1"])))
    script(it, blocked=["1"])
    it.start()
    it.wait_for_event("handoff.failed")  # the BLOCKED
    bare.rename(tmp_path / "away")
    eventually(lambda: "can't see the work repository" in str(it.status()["troubles"]), PATIENCE)
    pids = [s["pid"] for s in it.status()["sessions"]]
    assert it.run("status").code == 0
    (tmp_path / "away").rename(bare)
    (it.folder / "key").touch()
    it.run("nudge", "builder", "the key is there")
    eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)
    ended = it.events("session.exited")
    assert {e["why"] for e in ended} == {"phase 1 is over"} and len(pids) == len(ended)
    assert it.events("protocol.violation") == []
    assert sum("repository" in e["why"] for e in it.events("trouble")) == 1
    check_hand_offs(it)


def test_a_git_that_hangs_holds_nothing_up(instance: Make) -> None:
    """It is not waited for: not by the ticks, not by a stop, which leaves nothing of it."""
    it = instance(**PAIR)
    it.start()
    wrapper = it.folder / "bin"
    wrapper.mkdir()
    real = subprocess.run(["which", "git"], capture_output=True, check=True).stdout.decode().strip()
    (wrapper / "git").write_text(
        f'#!/bin/sh\ncase "$*" in *ls-remote*) echo hangs >> {it.folder}/hangs; '
        f'sleep 1000;; *) exec {real} "$@";; esac\n'
    )
    (wrapper / "git").chmod(0o755)
    it.settings["PATH"] = f"{wrapper}:{it.env['PATH']}"
    it.start("--takeover")
    eventually(lambda: (it.folder / "hangs").exists(), PATIENCE)
    assert it.run("status").code == 0
    assert it.status()["supervisor"]["last_tick_age_s"] < 5
    it.stop()
