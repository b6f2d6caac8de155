"""The faults that the demo makes: it kills one agent, and makes one hang.

Both are done from outside, each at a good moment, which is seen in the agent's log: the
adversary is killed in the middle of a check, the builder hangs in the middle of a change. The
third fault, a claim that is wrong, is the builder's own.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cc_ci_orch.cli.demo.instance import Instance
from cc_ci_orch.core.ledger import ADVERSARY, BUILDER
from cc_ci_orch.shell.procs import ProcFs

MID_CHECK = re.compile(rb"(?:lines|command|phase) #[0-9]+: check 2 of ")
MID_CHANGE = re.compile(rb"(?:command|manual) #[0-9]+: change 1 of ")


class Faults:
    """What has been done so far: pids, None where nothing was."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._read: dict[Path, int] = {}
        self.killed: int | None = None
        self.hung: int | None = None

    def look(self, state: Mapping[str, Any]) -> list[str]:
        """Make the faults for which it is time; says what was done."""
        told = []
        if self._moment(ADVERSARY, MID_CHECK) and self.killed is None:
            pid = _pid(state, ADVERSARY)
            if pid and self._kill(pid):
                self.killed = pid
                told.append(f"the demo kills the adversary in the middle of a check: kill -9 {pid}")
        if self._moment(BUILDER, MID_CHANGE) and self.hung is None:
            self.hung = _pid(state, BUILDER)
            (self._instance.clone(BUILDER) / ".git" / "demo" / "hang").touch()
            told.append("the demo makes the builder hang, deaf to Ctrl-C and TERM")
        return told

    def _moment(self, role: str, words: re.Pattern[bytes]) -> bool:
        """Whether the role has said that since the last look."""
        log = self._instance.log(role)
        try:
            with log.open("rb") as file:
                file.seek(self._read.get(log, 0))
                data = file.read()
        except FileNotFoundError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self._read[log] = self._read.get(log, 0) + len(whole)
        return words.search(whole) is not None

    def _kill(self, pid: int) -> bool:
        """Kill that process, if it is the instance's."""
        processes = ProcFs()
        try:
            process = processes.identify(pid)
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if process is None or os.fsencode(self._instance.folder) not in command:
                return False
            processes.signal(process, signal.SIGKILL)
            return True
        except OSError:
            return False
        finally:
            processes.close()


def _pid(state: Mapping[str, Any], role: str) -> int | None:
    return next((s["pid"] for s in state["sessions"] if s["role"] == role), None)
