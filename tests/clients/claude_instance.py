"""An instance whose agents are the real Claude Code, before a fake model on loopback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.clients.client_instance import ClientInstance

KEY = "sk-ant-fake-000"

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


class ClaudeInstance(ClientInstance):
    """Its builder is Claude Code."""

    def __init__(self, program: Path, binary: Path, **settings: str) -> None:
        super().__init__(program, "tests.clients.fake_model")
        self.settings |= {
            "LOOP_BACKEND": "claude",
            "CLAUDE_BIN": str(binary),
            "ORCH_ROLES": "builder",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.port}",
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

    def client_config(self, projects: dict[str, Any], approved: bool = True) -> None:
        """The client's own file, as a user's who has used it before."""
        value: dict[str, Any] = {"hasCompletedOnboarding": True, "projects": projects}
        if approved:
            value["customApiKeyResponses"] = {"approved": [KEY[-20:]]}
        (self.home / ".claude.json").write_text(json.dumps(value))

    def ask_before(self, rule: str) -> None:
        """The user wants to be asked before some of its tools."""
        settings = self.home / ".claude" / "settings.json"
        settings.parent.mkdir()
        settings.write_text(json.dumps({"permissions": {"ask": [rule]}}))

    def begin(self) -> None:
        """Start it, and wait until its first prompt has been answered."""
        self.start()
        self.until(self.prompts)
        self.wait_for("idle")

    @property
    def clone(self) -> Path:
        """The builder's work tree."""
        return self.state / "clones" / "builder"

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
