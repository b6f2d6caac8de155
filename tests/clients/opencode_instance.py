"""An instance whose agents are the real opencode, before a fake model on loopback."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.clients.client_instance import ClientInstance

QUICK = {
    "ORCH_POLL": "0.5s",
    "ORCH_STALL_AFTER": "40s",
    "ORCH_INTERRUPT_AFTER": "4s",
    "ORCH_HEAL_AFTER": "4s",
    "ORCH_IDLE_NUDGE_AFTER": "5m",
    "ORCH_START_GRACE": "90s",
    "ORCH_STABLE_AFTER": "60s",
    "ORCH_SUBMIT_WAIT": "2s",
    "ORCH_OPERATOR_GRACE": "5s",
}
"""It takes 5 s and more to start, and as long until it first asks its model."""

PATIENCE = 120.0
"""As for any client, but that this one takes its time."""


class OpencodeInstance(ClientInstance):
    """Its builder is opencode; `config` is what its user has set besides."""

    def __init__(
        self, program: Path, binary: Path, config: dict[str, Any] | None = None, **settings: str
    ) -> None:
        super().__init__(program, "tests.clients.fake_openai")
        model = {"name": "Fake 1", "limit": {"context": 128000, "output": 8192}}
        options = {"baseURL": f"http://127.0.0.1:{self.port}/v1", "apiKey": "sk-fake"}
        provider = {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Fake",
            "options": options,
            "models": {"fake-1": model, "fake-2": {**model, "name": "Fake 2"}},
        }
        own = {
            "autoupdate": False,
            "share": "disabled",
            "model": "fake/fake-1",
            "small_model": "fake/fake-1",
            "enabled_providers": ["fake"],
            "provider": {"fake": provider},
            **(config or {}),
        }
        self.settings |= {
            "LOOP_BACKEND": "opencode",
            "OPENCODE_BIN": str(binary),
            "ORCH_ROLES": "builder",
            "OPENCODE_CONFIG_CONTENT": json.dumps(own),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
            "OPENCODE_DISABLE_DEFAULT_PLUGINS": "1",
            "OPENCODE_DISABLE_LSP_DOWNLOAD": "1",
            "SHELL": "/bin/bash",
            **QUICK,
            **settings,
        }

    def until(self, condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Wait for it: this client takes its time on a machine that has other things to do."""
        return super().until(condition, max(timeout, PATIENCE))

    def wait_for(self, *expected: str, timeout: float = PATIENCE) -> float:
        return super().wait_for(*expected, timeout=timeout)

    def messages(self, conversation: str | None = None) -> list[Any]:
        """The client's own record of a conversation, from its storage: messages with parts."""
        path = self.home / ".local" / "share" / "opencode" / "opencode.db"
        if not path.exists():
            return []
        id = conversation or self.session()["conversation"]
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            parts = db.execute(
                "select message_id, data from part where session_id = ? order by id", (id,)
            ).fetchall()
            rows = db.execute(
                "select id, data from message where session_id = ? order by id", (id,)
            ).fetchall()
        return [
            {"info": json.loads(data), "parts": [json.loads(p) for of, p in parts if of == row]}
            for row, data in rows
        ]

    def prompts(self, conversation: str | None = None) -> list[str]:
        """The prompts that the client took, in their order."""
        return [
            "".join(part["text"] for part in message["parts"] if part["type"] == "text")
            for message in self.messages(conversation)
            if message["info"]["role"] == "user"
        ]

    def begin(self) -> None:
        """Start it; its first prompt has been taken when this returns."""
        self.start()
        self.until(self.prompts, 60)
