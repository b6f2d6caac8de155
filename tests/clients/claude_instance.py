"""An instance whose agents are the real Claude Code, before a fake model on loopback."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.e2e.instance import Instance
from tests.waiting import eventually

KEY = "sk-ant-fake-000"
MODEL = Path(__file__).with_name("fake_model.py")

QUICK = {
    "ORCH_POLL": "0.5s",
    "ORCH_STALL_AFTER": "8s",
    "ORCH_INTERRUPT_AFTER": "4s",
    "ORCH_HEAL_AFTER": "4s",
    "ORCH_IDLE_NUDGE_AFTER": "5s",
    "ORCH_START_GRACE": "10s",
    "ORCH_STABLE_AFTER": "60s",
    "ORCH_SUBMIT_WAIT": "2s",
    "ORCH_OPERATOR_GRACE": "5s",
}


class ClaudeInstance(Instance):
    """Its builder is Claude Code; `behave` says what the model does from now on."""

    def __init__(self, program: Path, binary: Path, **settings: str) -> None:
        super().__init__(program)
        self.home = self.folder / "home"
        self.model = Path(tempfile.mkdtemp(prefix="orch-model-", dir="/tmp"))
        self.behave("ok")
        argv = [sys.executable, "-I", "-S", str(MODEL), "0", str(self.model)]
        self._server = subprocess.Popen(argv, cwd="/")
        port = eventually(lambda: (self.model / "port").exists() and self._port(), 10)
        self.settings |= {
            "LOOP_BACKEND": "claude",
            "CLAUDE_BIN": str(binary),
            "ORCH_ROLES": "builder",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}",
            "ANTHROPIC_API_KEY": KEY,
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_OFFICIAL_MARKETPLACE_AUTOINSTALL": "1",
            "DISABLE_AUTOUPDATER": "1",
            "DISABLE_TELEMETRY": "1",
            "DISABLE_ERROR_REPORTING": "1",
            "IS_SANDBOX": "1",
            "SHELL": "/bin/bash",
            **QUICK,
            **settings,
        }
        self.client_config({})

    def _port(self) -> str:
        return (self.model / "port").read_text()

    def client_config(self, projects: dict[str, Any], approved: bool = True) -> None:
        """The client's own file, as a user's who has used it before."""
        value: dict[str, Any] = {"hasCompletedOnboarding": True, "projects": projects}
        if approved:
            value["customApiKeyResponses"] = {"approved": [KEY[-20:]]}
        (self.home / ".claude.json").write_text(json.dumps(value))

    def behave(self, how: str) -> None:
        """What the model does with the next requests (`fake_model.py`)."""
        new = self.model / "behaviour.new"
        new.write_text(how)
        new.replace(self.model / "behaviour")

    # ------------------------------------------------------------------ looking

    def liveness(self) -> str:
        """What the watchdog says of the builder."""
        return str(self.session()["liveness"])

    def wait_for(self, *expected: str, timeout: float = 30) -> float:
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

    def records(self, conversation: str | None = None) -> list[Any]:
        """The client's own record of a conversation."""
        name = conversation or self.session()["conversation"]
        found = list((self.home / ".claude" / "projects").glob(f"*/{name}.jsonl"))
        return [json.loads(line) for path in found for line in path.read_text().splitlines()]

    def prompts(self, conversation: str | None = None) -> list[str]:
        """The prompts that the client took, in their order."""
        return [
            str(r["message"]["content"])
            for r in self.records(conversation)
            if r.get("type") == "user" and r.get("promptSource") in ("typed", "queued")
        ]

    def requests(self) -> list[Any]:
        """What the model was asked, but for asides."""
        path = self.model / "requests.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [value for value in map(json.loads, lines) if value["tools"]]

    def screen(self) -> str:
        """What the builder's pane shows."""
        return self.tmux("capture-pane", "-p", "-t", "=cc-ci-builder:").out

    def until(self, condition: Callable[[], Any], timeout: float = 30) -> Any:
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


def npm() -> str | None:
    return shutil.which("npm")


def installed(cache: Path) -> Path | None:
    """The client's program in the cache, installed there if need be; None if it can't be had."""
    program = cache / "claude" / "node_modules" / ".bin" / "claude"
    if not program.exists() and npm() is not None:
        (cache / "claude").mkdir(parents=True, exist_ok=True)
        argv = ["npm", "install", "--no-audit", "--no-fund", "@anthropic-ai/claude-code@latest"]
        done = subprocess.run(
            argv, cwd=cache / "claude", capture_output=True, timeout=600, check=False
        )
        if done.returncode != 0:
            return None
    if not program.exists():
        return None
    works = subprocess.run(
        [str(program), "--version"], capture_output=True, check=False, timeout=60
    )
    return program if works.returncode == 0 else None


def cache_folder() -> Path:
    own = os.environ.get("CC_CI_ORCH_CLIENTS")
    return Path(own) if own else Path.home() / ".cache" / "cc-ci-orch-clients"
