"""The messages of an opencode conversation: from its server, else from the client's storage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cc_ci_orch.agents.opencode_account import Record, records
from cc_ci_orch.shell.opencode_api import OpencodeApi
from cc_ci_orch.shell.ports import CannotTell


class OpencodeRecord:
    """One conversation. `api` gives the server that has it, or raises CannotTell."""

    def __init__(
        self, api: Callable[[], OpencodeApi], env: Mapping[str, str], conversation: str
    ) -> None:
        self._api = api
        data = env.get("XDG_DATA_HOME") or f"{env.get('HOME', '/')}/.local/share"
        self._storage = Path(data) / "opencode" / "opencode.db"
        self._conversation = conversation

    def messages(self, count: int) -> list[Record]:
        """The newest ones, oldest first; CannotTell where neither source can be read."""
        try:
            path = f"/session/{self._conversation}/message"
            return records(self._api().get(path, limit=str(count)))
        except CannotTell:
            return self._stored(count)

    def _stored(self, count: int) -> list[Record]:
        """Read while nobody serves it. Its columns are those of opencode 1.18.33."""
        try:
            where = f"file:{self._storage}?mode=ro"
            with closing(sqlite3.connect(where, uri=True, timeout=2.0)) as storage:
                rows = storage.execute(_NEWEST, (self._conversation, count)).fetchall()
                return [self._message(storage, *row) for row in reversed(rows)]
        except (sqlite3.Error, ValueError) as error:
            raise CannotTell(f"its conversation can't be read: {error}") from None

    def _message(self, storage: sqlite3.Connection, id: str, data: str) -> dict[str, Any]:
        parts = storage.execute(_PARTS, (id,)).fetchall()
        return {
            "info": {**json.loads(data), "id": id},
            "parts": [{**json.loads(value), "id": part} for part, value in parts],
        }


_NEWEST = "select id, data from message where session_id = ? order by id desc limit ?"
_PARTS = "select id, data from part where message_id = ? order by id"
