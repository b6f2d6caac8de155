"""What a quiet tick costs, however many roles there are."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

COUNTING = """\
#!/bin/sh
printf '%s\\n' "$*" >>"$COUNT_FILE"
exec {tmux} "$@"
"""


def counting(it: Instance) -> Path:
    """Put a tmux that counts its calls before the real one."""
    real = shutil.which("tmux", path=it.env["PATH"])
    bin = it.folder / "bin"
    bin.mkdir()
    (bin / "tmux").write_text(COUNTING.replace("{tmux}", str(real)).replace(
        "$COUNT_FILE", str(it.folder / "calls")))  # fmt: skip
    (bin / "tmux").chmod(0o755)
    it.settings["PATH"] = f"{bin}:{it.env['PATH']}"
    return it.folder / "calls"


@pytest.mark.parametrize("roles", [2, 50])
def test_a_quiet_tick_asks_tmux_once(instance: Make, roles: int) -> None:
    """One tmux process a tick at most, with 2 roles and with 50."""
    it = instance("works.py", ORCH_POLL="0.5s", ORCH_START_BURST="50", ORCH_REPO_POLL="1h")
    (it.root / "prompts").mkdir()
    (it.root / "prompts" / "x.md").write_text("Work.\n")
    more = [f'[[role]]\nname = "role-{n}"\nprompt = "x.md"\n' for n in range(roles - 2)]
    (it.root / "orch.toml").write_text("".join(more))
    # One agent of a kind that costs the machine nothing.
    it.settings["LOOP_COMMAND"] = "sh -c 'while :; do echo working; sleep 2; done'"
    calls = counting(it)
    it.start()
    assert [s["pid"] is not None for s in it.status()["sessions"]] == [True] * roles
    settle = time.monotonic() + 3
    eventually(lambda: time.monotonic() > settle, LONG, 0.1)

    before, began = len(calls.read_text().splitlines()), time.monotonic()
    eventually(lambda: time.monotonic() - began > 5, LONG, 0.1)
    lines = calls.read_text().splitlines()[before:]
    ticks = (time.monotonic() - began) / 0.5
    assert lines, "the counter counts"
    assert len(lines) <= ticks + 2, lines
    assert all("list-panes" in line for line in lines), set(lines)
    assert os.path.exists(it.socket)
    it.stop()
