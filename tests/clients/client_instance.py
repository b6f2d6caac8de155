"""An instance whose agents are a real client, before a fake model on loopback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.clients.packages import PACKAGES, Missing, provide
from tests.e2e.instance import REPOSITORY, Instance
from tests.waiting import eventually

PATIENCE = 90.0
"""Seconds to wait for what takes a few on a machine that does nothing else."""


class ClientInstance(Instance):
    """A fake model runs beside it; `behave` says what that does from now on."""

    def __init__(self, program: Path, api: str, **settings: str) -> None:
        """`api` is the module of the model."""
        super().__init__(program, **settings)
        self.home = self.folder / "home"
        self.model = Path(tempfile.mkdtemp(prefix="orch-model-", dir="/tmp"))
        self.behave("ok")
        argv = [sys.executable, "-m", api, "0", str(self.model)]
        self._server = subprocess.Popen(argv, cwd=REPOSITORY)
        self.port = eventually(lambda: (self.model / "port").exists() and self._port(), 10)

    def _port(self) -> str:
        return (self.model / "port").read_text()

    def behave(self, how: str) -> None:
        """What the model does with the next requests (`fake_api.py`)."""
        new = self.model / "behaviour.new"
        new.write_text(how)
        new.replace(self.model / "behaviour")

    # ------------------------------------------------------------------ looking

    def liveness(self) -> str:
        """What the watchdog says of the builder."""
        return str(self.session()["liveness"])

    def wait_for(self, *expected: str, timeout: float = PATIENCE) -> float:
        """Until it is one of these; the seconds that it took."""
        begin = time.monotonic()
        self.until(lambda: self.liveness() in expected, timeout)
        return time.monotonic() - begin

    def stays(self, *allowed: str, seconds: float) -> list[str]:
        """Look on for a while; every liveness seen must be one of these."""
        seen = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            seen.append(self.liveness())
            assert seen[-1] in allowed, (seen, self.run("explain", "builder").out)
            time.sleep(0.3)
        return seen

    def requests(self) -> list[Any]:
        """What the model was asked, but for asides."""
        path = self.model / "requests.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [value for value in map(json.loads, lines) if value["tools"]]

    def screen(self, role: str = "builder") -> str:
        """What that role's pane shows."""
        return self.tmux("capture-pane", "-p", "-t", f"=cc-ci-{role}:").out

    def until(self, condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Wait for it; where it doesn't come, the screen and the judgement are told."""
        try:
            return eventually(condition, timeout, 0.1)
        except AssertionError as error:
            told = self.run("explain", "builder").out
            names = [(e["event"], e["why"]) for e in self.events()]
            names.append(self.run("logs", "watchdog").out)
            raise AssertionError(f"{error}\n{told}\n{self.screen()}\n{names}") from error

    def end(self) -> None:
        self._server.kill()
        self._server.wait()
        shutil.rmtree(self.model)
        super().end()


def npm_client(package: str, name: str) -> Path | None:
    """The program of that client; None if it can't be had."""
    assert PACKAGES[name].name == package
    try:
        return provide(name)
    except Missing:
        return None
