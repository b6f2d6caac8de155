"""The demo's throw-away instance: the normal program, in a private folder of its own.

Every process of it carries the folder's name, which is unique: in its environment, on its
command line or as its working folder. So whatever a stop should leave behind can be found.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cc_ci_orch.cli import talk
from cc_ci_orch.cli.demo import plan
from cc_ci_orch.cli.versions import PACKAGE
from cc_ci_orch.core.model import ProcessId
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.records import EVENTS
from cc_ci_orch.shell.run import Done, run

KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TERM")
"""All that gets into the instance of the environment: no setting of the user's does."""

QUICK: Mapping[str, str] = {
    "ORCH_POLL": "0.5s",
    "ORCH_REPO_POLL": "0.5s",
    "ORCH_START_GRACE": "5s",
    "ORCH_STABLE_AFTER": "3s",
    "ORCH_IDLE_NUDGE_AFTER": "1.5s",
    "ORCH_STALL_AFTER": "4s",
    "ORCH_INTERRUPT_AFTER": "2s",
    "ORCH_HEAL_AFTER": "2s",
    "ORCH_SUBMIT_WAIT": "0.5s",
    "ORCH_PHASE_DRAIN": "3s",
}
"""Settings under which a stall is a matter of seconds. Nobody should work with them."""

LONGEST_BASE = 60
"""Bytes of the folder in which the instance's folder is made: a socket's path is short."""

STARTING, STOPPING = 90.0, 90.0
"""Seconds for the `start` and the `stop` of the program."""


class Instance:
    """A folder with a root and a state; nothing is started yet."""

    def __init__(self) -> None:
        base = tempfile.gettempdir()
        base = base if len(os.fsencode(base)) <= LONGEST_BASE else "/tmp"
        self.folder = Path(tempfile.mkdtemp(prefix="cc-ci-demo-", dir=os.path.realpath(base)))
        self.name = f"demo-{secrets.token_hex(4)}"
        self.state = self.folder / "state"
        self.env = {name: os.environ[name] for name in KEPT if name in os.environ} | {
            "HOME": str(self.folder / "home"),
            "TMPDIR": str(self.folder / "tmp"),
            "ORCH_ROOT": str(self.folder / "root"),
            "ORCH_STATE": str(self.state),
            "ORCH_NAME": self.name,
            "ORCH_TMUX_SOCKET": str(self.folder / "socket"),
            "LOOP_BACKEND": "demo",
            **QUICK,
        }
        self.env.setdefault("LANG", "C.UTF-8")
        self._read = 0

    def write(self) -> None:
        """Make what it needs."""
        for name in ("home", "tmp"):
            (self.folder / name).mkdir()
        plan.write(self.folder / "root")

    # ------------------------------------------------------------------ the program

    def start(self) -> Done:
        return self._launch("start", timeout=STARTING)

    def stop(self) -> Done:
        return self._launch("stop", "--grace", "1s", timeout=STOPPING)

    def _launch(self, *argv: str, timeout: float) -> Done:
        whole = (sys.executable, str(PACKAGE), *argv)
        return run(whole, timeout=timeout, env=self.env, cwd=self.folder)

    def status(self) -> Mapping[str, Any] | None:
        """The state as the supervisor has it; None where it doesn't answer now."""
        try:
            return talk.query(self.state, "status")
        except (CannotTell, OSError):
            return None

    # ------------------------------------------------------------------ files

    def log(self, role: str) -> Path:
        return self.state / "logs" / f"{self.name}-{role}.log"

    def clone(self, role: str) -> Path:
        return self.state / "clones" / role

    def new_events(self) -> Sequence[Mapping[str, Any]]:
        """The events since the last call."""
        try:
            with (self.state / EVENTS).open("rb") as file:
                file.seek(self._read)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]

    def git(self, repository: Path, *argv: str) -> Done:
        """A look into one of its repositories."""
        return run(("git", "-C", str(repository), *argv), timeout=60.0, env=self.env)

    # ------------------------------------------------------------------ the end

    def sweep(self) -> list[int]:
        """End what is left of it; the pids of what there was."""
        processes = ProcFs()
        found: dict[int, None] = {}
        try:
            for _ in range(10):
                left = self._left(processes)
                if not left:
                    break
                found |= dict.fromkeys(process.pid for process in left)
                processes.end(left, grace=0)
        finally:
            processes.close()
        return list(found)

    def _left(self, processes: ProcFs) -> list[ProcessId]:
        mark = os.fsencode(self.folder)
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with suppress(OSError):
                entry = Path("/proc") / name
                told = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
                where = os.fsencode(os.readlink(entry / "cwd"))
                process = processes.identify(int(name))
                if process and int(name) != os.getpid() and mark in told + where:
                    found.append(process)
        return found

    def remove(self) -> bool:
        """Remove the folder; whether it is gone."""
        for _ in range(3):
            shutil.rmtree(self.folder, ignore_errors=True)
        return not self.folder.exists()
