"""What opencode tells of one role's session; implements `Witness`.

A tick reads what the threads of `OpencodeWatch` have learnt, and waits for nothing. Prompts go
through the API: they never touch what a person has typed into the box.
"""

from __future__ import annotations

import json
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cc_ci_orch.agents import opencode_account, opencode_screen
from cc_ci_orch.agents.opencode import OWN, UNATTENDED, model_of
from cc_ci_orch.core import liveness
from cc_ci_orch.core.model import Account, Doing, ProcessId, RoleMemory, SessionView
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.shell.opencode_api import Absent, OpencodeApi, of_server
from cc_ci_orch.shell.opencode_watch import OpencodeWatch, Told
from cc_ci_orch.shell.ports import CannotTell, Clock, Files, Opening, Processes

FIRST_LOOK = 1.0
"""Seconds that the first look at a process waits for an answer, once."""

SUBMIT = 45.0
"""Seconds that a server may take to accept a prompt."""

ARRIVE = 20.0
"""Seconds from then on until it must stand in the conversation."""

API = "API"


class OpencodeEvidence:
    """One seat's. `url` is a server elsewhere, None where the client brings its own."""

    def __init__(
        self,
        workdir: Path,
        file: Path,
        session: str,
        model: str | None,
        url: str | None,
        env: Mapping[str, str],
        processes: Processes,
        files: Files,
        clock: Clock,
        policy: Policy,
    ) -> None:
        self._workdir = workdir
        self._file = file
        self._session = session
        self._model = model
        self._url = url
        self._env = env
        self._processes = processes
        self._files = files
        self._clock = clock
        self._policy = policy
        self._watch: OpencodeWatch | None = None
        self._process: ProcessId | None = None
        self._spoke = False
        self._submission: Submission | None = None

    # ------------------------------------------------------------------ before a start

    def before_start(self, conversation: str) -> Opening:
        """A free port and a password for a new process; a conversation, where the server is
        another's. CannotTell if another process has the conversation already."""
        if conversation.startswith(OWN):
            others = self._processes.snapshot().with_argument(conversation)
            if others:
                pids = ", ".join(str(p.pid) for p in others)
                raise CannotTell(f"conversation {conversation} is open in another process: {pids}")
        self._file.parent.mkdir(mode=0o700, exist_ok=True)
        if self._url is not None:
            conversation = self._remote_conversation(conversation)
            self._write({"conversation": conversation})
            return Opening(conversation)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = int(free.getsockname()[1])
        value = {"port": port, "password": secrets.token_urlsafe(24), "since": self._clock.wall()}
        self._write(value)
        env = {
            "OPENCODE_SERVER_PASSWORD": str(value["password"]),
            "OPENCODE_PERMISSION": unattended(self._env.get("OPENCODE_PERMISSION")),
        }
        return Opening(conversation, port, env)

    def _write(self, value: Mapping[str, Any]) -> None:
        self._files.write(self._file, json.dumps(value) + "\n")

    def _remote_conversation(self, conversation: str) -> str:
        """One that the server has: the role's own, or a new one."""
        api = self.api()
        if conversation.startswith(OWN):
            try:
                api.get(f"/session/{conversation}")
                return conversation
            except Absent:
                pass  # the client says so, and ends
            return conversation
        made = api.post("/session", {"title": self._session})
        return str(opencode_account.mapping(made)["id"])

    def api(self) -> OpencodeApi:
        """The server of the role's process; CannotTell where it isn't known."""
        folder = str(self._workdir.resolve())
        if self._url is not None:
            return of_server(self._url, self._env, folder)
        told = self._kept()
        if "port" not in told:
            raise CannotTell(f"the port of its API isn't known: {self._file}")
        user = self._env.get("OPENCODE_SERVER_USERNAME") or "opencode"
        return OpencodeApi(f"http://127.0.0.1:{told['port']}", folder, str(told["password"]), user)

    def _kept(self) -> opencode_account.Record:
        """What was written down at the last start; empty where it can't be read."""
        try:
            return opencode_account.mapping(json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return {}

    # ------------------------------------------------------------------ each tick

    def look(self, view: SessionView, mem: RoleMemory) -> SessionView:
        """The view with what the API has said; an API that can't be read leaves it in doubt."""
        assert view.process is not None
        wait = 0.0
        if view.process != self._process:
            self._begin(view.process, mem)
            wait = FIRST_LOOK
        if self._watch is None:
            return replace(view, unreadable=(*view.unreadable, API))
        told = self._watch.told(wait)
        if self._submission is not None:
            view = replace(view, submitting=self._submission.under_way(told.prompts))
        if told.trouble:
            return self._unread(view, mem, told)
        self._spoke = True
        if told.sight.talk is None:
            return self._without_conversation(view, mem)
        talk = told.sight.talk
        signals: dict[str, int | str] = {"messages": talk.mark, liveness.BEGUN: talk.begun}
        if told.worked:
            signals["events"] = told.worked
        return replace(
            view,
            account=self._account(told),
            not_ready=talk.unasked and self._starts(mem),  # its first turn begins slowly
            signals={**view.signals, **signals},
            submissions=told.prompts,
            conversation=told.sight.conversation,
        )

    def _account(self, told: Told) -> Account | None:
        account = opencode_account.account(told.sight, self._clock.wall())
        if account is None or self._url is None:
            return account
        return replace(account, elsewhere=True)

    def _without_conversation(self, view: SessionView, mem: RoleMemory) -> SessionView:
        """It starts, or something stands before its prompt."""
        view = replace(view, unreadable=(*view.unreadable, "conversation"))
        if self._starts(mem):
            return replace(view, not_ready=True)
        why = "it has begun no conversation: see what its screen shows"
        return replace(view, account=Account(Doing.BLOCKED, why))

    def _unread(self, view: SessionView, mem: RoleMemory, told: Told) -> SessionView:
        """A server of ours that is silent may hang; of any other silence nothing follows."""
        view = replace(view, unreadable=(*view.unreadable, API))
        if not self._spoke and self._starts(mem):
            return replace(view, not_ready=True)
        if not told.hangs or self._url is not None:
            return view
        return replace(view, account=Account(Doing.BUSY, told.trouble))

    def _starts(self, mem: RoleMemory) -> bool:
        return self._clock.monotonic() - mem.started_at < self._policy.start_grace

    def _begin(self, process: ProcessId, mem: RoleMemory) -> None:
        if self._watch is not None:
            self._watch.end()
        self._watch, self._process, self._spoke = None, process, False
        self._submission = None
        try:
            api = self.api()
        except CannotTell:
            return
        kept = self._kept()
        own = (mem.conversation or "").startswith(OWN)
        conversation = mem.conversation if own else str(kept.get("conversation", ""))
        self._watch = OpencodeWatch(
            api,
            conversation or "",
            float(kept.get("since") or 0.0),
            self._url is None,
            lambda: self._processes.alive(process),
        )

    # ------------------------------------------------------------------ the screen

    def in_doubt(self, view: SessionView, mem: RoleMemory, now: float) -> bool:
        """The screen tells nothing that the API doesn't."""
        return False

    def see(self, view: SessionView, raw: str, now: float) -> SessionView:
        """The view as it is."""
        return view

    # ------------------------------------------------------------------ prompts and keys

    def submit(self, text: str) -> bool:
        """Hand a prompt to the server. CannotTell where it isn't known to have taken it."""
        if self._watch is None:
            raise CannotTell("not typed: the port of its API isn't known")
        told = self._watch.told()
        if told.trouble:
            raise CannotTell(f"not typed: {told.trouble}")
        if not told.sight.conversation:
            raise CannotTell("not typed: it has no conversation yet")
        if told.sight.permissions or told.sight.questions:
            known = opencode_account.account(told.sight, self._clock.wall())
            raise CannotTell(f"not typed: {known.why if known else 'it waits for a person'}")
        body: dict[str, Any] = {"parts": [{"type": "text", "text": text}]}
        if (model := model_of(self._model)) is not None:
            body["model"] = model
        path = f"/session/{told.sight.conversation}/prompt_async"
        self._submission = Submission(self.api(), path, body, told.prompts)
        return True

    def refuses(self, raw: str) -> str:
        """Why nothing can be typed at this screen; "" where it can."""
        screen = opencode_screen.read(raw)
        if screen.box is None:
            return "it doesn't show its prompt"
        return "a draft stands in its box" if screen.box else ""

    def typed(self, text: str) -> None:
        """Nothing is ever left in its box."""

    def ours(self, raw: str) -> bool:
        """What stands in its box is never ours."""
        return False

    def takes_enter(self, raw: str) -> bool:
        """Enter would submit a person's draft."""
        return False

    def answer(self, raw: str) -> str | None:
        """No dialog of its is ours to answer."""
        return None


class Submission:
    """A prompt on its way, carried by a thread of its own: a server may take its time."""

    def __init__(self, api: OpencodeApi, path: str, body: Mapping[str, Any], before: int) -> None:
        self._ask = (api, path, body)
        self._before = before
        self._until = time.monotonic() + SUBMIT + ARRIVE
        threading.Thread(target=self._post, name="opencode prompt", daemon=True).start()

    def _post(self) -> None:
        api, path, body = self._ask
        try:
            api.post(path, body, SUBMIT)
            self._until = time.monotonic() + ARRIVE
        except CannotTell:
            self._until = 0.0

    def under_way(self, prompts: int) -> bool:
        """Whether it may still arrive; `prompts` is the number of those that have."""
        return prompts <= self._before and time.monotonic() < self._until


def unattended(own: str | None) -> str:
    """OPENCODE_PERMISSION for an agent whom nobody watches, beneath what the user set in it."""
    try:
        value = json.loads(own) if own else {}
    except ValueError:
        return str(own)  # the client says what is wrong with it
    if not isinstance(value, dict):
        return str(own)
    return json.dumps({**UNATTENDED, **value})
