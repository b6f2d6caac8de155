"""The files of Claude Code that it shares with its user: read, and but for one never written.

`.claude.json` is rewritten by every living client. So trust in our folders is settled there
only while no client of that home runs, and only where nothing is said about them yet;
otherwise the dialog is answered when it comes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from cc_ci_orch.agents.claude_account import Status, read_status
from cc_ci_orch.core.model import ProcessId
from cc_ci_orch.shell.ports import Files, Processes


class ClaudeHome:
    """The client's folder for the environment that its agents get."""

    def __init__(self, env: Mapping[str, str], processes: Processes, files: Files) -> None:
        home = Path(env.get("HOME") or "/")
        own = env.get("CLAUDE_CONFIG_DIR")
        self.folder = Path(own) if own else home / ".claude"
        self.sessions = self.folder / "sessions"
        self._config = (self.folder if own else home) / ".claude.json"
        self._processes = processes
        self._files = files

    def status(self, process: ProcessId) -> Status | None:
        """What the client of that process says of itself; None where it says nothing."""
        status = _read(self.sessions / f"{process.pid}.json")
        if status is None or status.pid != process.pid:
            return None
        return status if status.started in (0, process.start_ticks) else None

    def living(self) -> Iterator[tuple[Status, ProcessId]]:
        """The clients of this home that run now, by their own account."""
        with suppress(OSError):
            for path in sorted(self.sessions.glob("*.json")):
                status = _read(path)
                process = self._processes.identify(status.pid) if status else None
                if status and process and status.started in (0, process.start_ticks):
                    yield status, process

    def login_changed(self) -> float:
        """When somebody last logged in or out, by the wall clock; 0 where nobody ever has."""
        try:
            return (self.folder / ".credentials.json").stat().st_mtime
        except OSError:
            return 0.0

    def transcript(self, workdir: Path, conversation: str) -> Path:
        """Where the record of a conversation is, or is going to be."""
        projects = self.folder / "projects"
        name = re.sub(r"[^a-zA-Z0-9]", "-", os.path.realpath(workdir))
        expected = projects / name / f"{conversation}.jsonl"
        if not expected.exists():
            with suppress(OSError):
                for folder in projects.iterdir():
                    other = folder / expected.name
                    if other.exists():
                        return other
        return expected

    def settle_trust(self, folders: Sequence[Path]) -> None:
        """Let the client trust our folders, where nothing is said about them yet."""
        try:
            path = Path(os.path.realpath(self._config))
            value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            projects = value.setdefault("projects", {})
            names = [os.path.realpath(folder) for folder in folders]
            new = [n for n in names if "hasTrustDialogAccepted" not in projects.get(n, {})]
            if not new or any(True for _ in self.living()):
                return
            for name in new:
                projects[name] = {**projects.get(name, {}), "hasTrustDialogAccepted": True}
            self._files.write(path, json.dumps(value, indent=2))
        except (OSError, ValueError, TypeError, AttributeError):
            return  # then the dialog is answered


def _read(path: Path) -> Status | None:
    try:
        return read_status(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
