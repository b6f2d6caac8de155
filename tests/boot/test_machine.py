"""The machines of these tests leave nothing on the host, whatever ends a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.boot.machine import REPOSITORY, Machine, why_not
from tests.waiting import eventually

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be made"),
]

BOOTS = """\
from tests.boot.machine import Machine
machine = Machine()
machine.boot()
print(machine.folder, machine.cgroup, machine.init, flush=True)
input()
"""


def gone(folder: str, cgroup: str, init: str) -> bool:
    return not (os.path.exists(folder) or os.path.exists(cgroup) or runs(int(init)))


def runs(pid: int) -> bool:
    """A zombie doesn't: whoever should collect it may have other habits."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def test_a_killed_test_leaves_no_machine() -> None:
    """No process, no mount, no control group, no file."""
    argv = [sys.executable, "-c", BOOTS]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, cwd=REPOSITORY, stdin=pipe, stdout=pipe, text=True) as test:
        assert test.stdout is not None
        left = test.stdout.readline().split()
        assert len(left) == 3 and not gone(*left)
        test.send_signal(signal.SIGKILL)
        test.wait()
        eventually(lambda: gone(*left), timeout=60.0)
    assert left[0] not in Path("/proc/self/mountinfo").read_text()


def test_a_machine_that_is_removed_is_gone() -> None:
    """At once, and without a word to its units."""
    machine = Machine()
    machine.boot()
    left = (str(machine.folder), str(machine.cgroup), str(machine.init))
    assert not gone(*left)
    machine.remove()
    eventually(lambda: gone(*left))
