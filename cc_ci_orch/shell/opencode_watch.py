"""What an opencode server says of one role's conversation, read beside the watchdog's ticks.

Two small threads: one follows the events, one asks for the state, each second and when an
event says that something has changed. So a server that hangs never holds up a tick. Both end
with the process that they were made for.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cc_ci_orch.agents import opencode_account
from cc_ci_orch.agents.opencode import OWN
from cc_ci_orch.agents.opencode_account import Record, Sight, mapping, records
from cc_ci_orch.shell.opencode_api import Absent, NoAnswer, OpencodeApi
from cc_ci_orch.shell.ports import CannotTell

EVERY = 1.0
"""Seconds between looks at the state."""

SLACK = 0.3
"""Seconds between two looks at the most, however much happens."""

NEWEST = 20
"""Messages that are read: the present turn, and prompts that wait behind it."""

MESSAGES_EVERY = 10.0
"""Seconds between reads of the messages where no event says that one changed."""

FRESH = 20.0
"""Seconds for which the last answer counts while no new one comes."""


@dataclass(frozen=True)
class Told:
    """What is known now."""

    sight: Sight = field(default_factory=Sight)
    at: float = float("-inf")
    """When the last full answer came (monotonic)."""
    worked: str = ""
    """The id of the last event that was work; empty before the first."""
    prompts: int = 0
    trouble: str = ""
    """Why the server can't be read now."""
    hangs: bool = False
    """It takes connections, and gives no answer."""


class OpencodeWatch:
    """`private`: the server is the role's own, so each new conversation in it is the role's."""

    def __init__(
        self,
        api: OpencodeApi,
        conversation: str,
        since: float,
        private: bool,
        alive: Callable[[], bool],
    ) -> None:
        self._api = api
        self._since = since
        self._private = private
        self._alive = alive
        self._lock = threading.Lock()
        self._told = Told(Sight(conversation if conversation.startswith(OWN) else ""))
        self._changed = threading.Event()
        self._first = threading.Event()
        self._ended = threading.Event()
        self._roots: dict[str, str] = {}
        self._prompts: set[str] = set()
        self._users: deque[str] = deque(maxlen=NEWEST)
        """Messages that are no work: what somebody submitted, lately."""
        self._tools: dict[str, str] = {}
        self._stale = True
        self._read_at = float("-inf")
        for name, target in (("events", self._follow), ("state", self._poll)):
            threading.Thread(target=target, name=f"opencode {name}", daemon=True).start()

    def told(self, wait: float = 0.0) -> Told:
        """What is known; waits at most so long for the first answer."""
        if wait:
            self._first.wait(wait)
        with self._lock:
            told = self._told
        late = time.monotonic() - told.at > FRESH
        return replace(told, trouble=told.trouble or "its API gives no answer") if late else told

    def end(self) -> None:
        """Read no more."""
        self._ended.set()
        self._changed.set()

    def _goes_on(self) -> bool:
        return not self._ended.is_set() and self._alive()

    # ------------------------------------------------------------------------- the state

    def _poll(self) -> None:
        while self._goes_on():
            self._changed.clear()
            try:
                self._look()
            except CannotTell as error:
                with self._lock:
                    hangs = isinstance(error, NoAnswer)
                    self._told = replace(self._told, trouble=str(error), hangs=hangs)
            self._first.set()
            if self._ended.wait(SLACK):
                return
            self._changed.wait(EVERY - SLACK)

    def _look(self) -> None:
        statuses = mapping(self._api.get("/session/status"))
        permissions = records(self._api.get("/permission"))
        questions = records(self._api.get("/question"))
        mine = self._told.sight.conversation or self._find()
        sight = Sight(
            mine,
            {id: mapping(status) for id, status in statuses.items() if self._is_mine(id, mine)},
            tuple(p for p in permissions if self._is_mine(str(p.get("sessionID")), mine)),
            tuple(q for q in questions if self._is_mine(str(q.get("sessionID")), mine)),
            self._told.sight.talk if mine == self._told.sight.conversation else None,
        )
        late = time.monotonic() - self._read_at > MESSAGES_EVERY
        if mine and (self._stale or late or sight.talk is None):
            sight = replace(sight, talk=self._read(mine))
        if not sight.status:
            self._tools.clear()
        open_tools = bool(self._tools) or bool(sight.talk and sight.talk.open_tools)
        sight = replace(sight, tool_open=bool(sight.status) and open_tools)
        with self._lock:
            if self._told.sight.conversation not in ("", mine):
                return  # another one began meanwhile
            prompts = len(self._prompts)
            self._told = replace(
                self._told,
                sight=sight,
                at=time.monotonic(),
                prompts=prompts,
                trouble="",
                hangs=False,
            )

    def _read(self, conversation: str) -> opencode_account.Talk:
        self._stale = False
        path = f"/session/{conversation}/message"
        talk = opencode_account.read_talk(records(self._api.get(path, limit=str(NEWEST))))
        self._read_at = time.monotonic()
        self._prompts |= talk.prompts
        return talk

    def _find(self) -> str:
        """The conversation that this process began, where nobody has seen it begin."""
        if not self._private:
            return ""
        found = [
            s
            for s in records(self._api.get("/session"))
            if not s.get("parentID")
            and mapping(s.get("time")).get("created", 0) >= self._since * 1000
        ]
        found = [s for s in found if s.get("directory") == self._api.directory]
        newest = max(found, key=lambda s: mapping(s.get("time"))["created"], default={})
        return str(newest.get("id", ""))

    def _is_mine(self, session: str, mine: str) -> bool:
        """Whether it is the role's conversation, or one of its subagents'."""
        if not mine or session == mine:
            return bool(mine)
        if session not in self._roots:
            try:
                above = str(mapping(self._api.get(f"/session/{session}")).get("parentID") or "")
            except Absent:
                above = ""
            self._roots[session] = above
        above = self._roots[session]
        return bool(above) and self._is_mine(above, mine)

    # ------------------------------------------------------------------------- events

    def _follow(self) -> None:
        while self._goes_on():
            try:
                for event in self._api.events():
                    self._take(mapping(event))
                    if not self._goes_on():
                        return
            except CannotTell:
                pass  # that it can't be read is told by the other thread
            self._stale = True  # nobody knows what happened meanwhile
            if self._ended.wait(EVERY):
                return

    def _take(self, event: Record) -> None:
        kind, properties = str(event.get("type", "")), mapping(event.get("properties"))
        if kind.startswith("server."):
            return
        session = str(properties.get("sessionID", ""))
        if kind == "session.created":
            self._begun(mapping(properties.get("info")))
        elif kind == "message.updated":
            info = mapping(properties.get("info"))
            if info.get("role") == "user":
                self._users.append(str(info.get("id", "")))
        elif kind == "message.part.updated":
            self._take_tool(mapping(properties.get("part")))
        if opencode_account.is_progress(event, self._users) and self._known(session):
            with self._lock:
                self._told = replace(self._told, worked=str(event.get("id", "")))
        if kind != "message.part.delta":
            self._stale = True
            self._changed.set()

    def _begun(self, info: Mapping[str, Any]) -> None:
        above, id = str(info.get("parentID") or ""), str(info.get("id", ""))
        self._roots[id] = above
        if above or not self._private or info.get("directory") != self._api.directory:
            return
        with self._lock:  # a person began another one, or it is the first
            self._told = replace(self._told, sight=Sight(id))

    def _known(self, session: str) -> bool:
        mine = self._told.sight.conversation
        while session and session != mine:
            session = self._roots.get(session, "")
        return bool(session)

    def _take_tool(self, part: Record) -> None:
        id, session = str(part.get("id", "")), str(part.get("sessionID", ""))
        if opencode_account.tool_runs(part) and self._known(session):
            self._tools[id] = session
        else:
            self._tools.pop(id, None)
