"""opencode's API as a watchdog reads it: beside its ticks, from a server that may be gone."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from cc_ci_orch.core.model import Doing, RoleMemory, Seen, SessionView
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.shell import opencode_api
from cc_ci_orch.shell.clock import RealClock
from cc_ci_orch.shell.opencode_evidence import OpencodeEvidence, unattended
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.store import Store
from tests.waiting import eventually

ME = "ses_mine"


class Server:
    """Speaks as much of the API as is read."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {
            "/session/status": {},
            "/permission": [],
            "/question": [],
            "/session": [],
            f"/session/{ME}/message": [],
        }
        self.events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.asked: list[tuple[str, str, str]] = []
        self.posted: list[tuple[str, Any]] = []
        self.hangs = False
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing on stderr."""

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                login = self.headers.get("authorization", "")
                server.asked.append((url.path, parse_qs(url.query)["directory"][0], login))
                if server.hangs:
                    time.sleep(60)
                if url.path == "/event":
                    self.stream()
                elif url.path in server.values:
                    self.answer(200, server.values[url.path])
                else:
                    self.answer(404, {})

            def stream(self) -> None:
                self.send_response(200)
                self.end_headers()
                while True:
                    event = server.events.get()
                    self.wfile.write(b"data: %s\n\n" % json.dumps(event).encode())

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                path = urlsplit(self.path).path
                server.posted.append((path, body))
                if path == "/session":
                    self.answer(200, {"id": ME})
                else:
                    self.send_response(204)
                    self.end_headers()

            def answer(self, code: int, value: object) -> None:
                self.send_response(code)
                self.end_headers()
                self.wfile.write(json.dumps(value).encode())

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.port = self.http.server_port
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def say(self, kind: str, **properties: Any) -> None:
        self.events.put(
            {"id": f"evt_{time.monotonic_ns()}", "type": kind, "properties": properties}
        )

    def end(self) -> None:
        self.http.shutdown()
        self.http.server_close()


class Desk:
    """A role whose client is this very process, with a server beside it."""

    def __init__(self, folder: Path, server: Server, url: str | None = None) -> None:
        self.server = server
        self.clone = folder / "clone"
        self.clone.mkdir(exist_ok=True)
        (folder / "state").mkdir(exist_ok=True)
        self.file = folder / "state" / "opencode" / "b.json"
        self.processes = ProcFs()
        me = self.processes.identify(os.getpid())
        assert me is not None
        self.mem = RoleMemory(conversation=ME, process=me, started_at=time.monotonic())
        self.view = SessionView("b", Seen.PRESENT, process=me, running=Seen.PRESENT)
        self.evidence = OpencodeEvidence(
            self.clone,
            self.file,
            "cc-ci-b",
            "some/model",
            url,
            {"OPENCODE_PERMISSION": '{"question": "allow"}'},
            self.processes,
            Store(folder / "state"),
            RealClock(),
            Policy(),
        )
        if url is None:
            self.opening = self.evidence.before_start("no id of its own")
            kept = json.loads(self.file.read_text())
            self.file.write_text(json.dumps({**kept, "port": server.port}))

    def look(self) -> SessionView:
        return self.evidence.look(self.view, self.mem)

    def until(self, doing: Doing) -> SessionView:
        def seen() -> SessionView | None:
            view = self.look()
            return view if view.account is not None and view.account.doing is doing else None

        found = eventually(seen)
        assert found is not None
        return found


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.end()


@pytest.fixture
def desk(tmp_path: Path, server: Server) -> Desk:
    return Desk(tmp_path, server)


def test_a_process_gets_a_port_and_a_password_that_nobody_else_can_read(desk: Desk) -> None:
    """And may work unattended, beneath what the user has set."""
    kept = json.loads(desk.file.read_text())
    assert desk.file.stat().st_mode & 0o777 == 0o600
    assert desk.opening.port > 0
    assert desk.opening.env["OPENCODE_SERVER_PASSWORD"] == kept["password"]
    allowed = json.loads(desk.opening.env["OPENCODE_PERMISSION"])
    assert allowed == {"external_directory": "allow", "doom_loop": "allow", "question": "allow"}
    assert unattended("not JSON") == "not JSON"
    assert unattended("[]") == "[]"


def test_a_conversation_that_another_process_has_is_not_opened(desk: Desk) -> None:
    word = "ses_of_another"
    argv = ["sh", "-c", "read x", word]
    other = subprocess.Popen(argv, stdin=subprocess.PIPE)
    with pytest.raises(CannotTell, match=str(other.pid)):
        desk.evidence.before_start(word)
    other.communicate()


def test_the_state_is_the_servers(desk: Desk, server: Server) -> None:
    """With the folder and the password of the role in each question."""
    view = desk.until(Doing.IDLE)
    assert view.conversation == ME
    _, folder, login = server.asked[0]
    assert folder == str(desk.clone.resolve()) and login.startswith("Basic ")
    server.values["/session/status"] = {ME: {"type": "busy"}, "ses_strange": {"type": "busy"}}
    desk.until(Doing.BUSY)
    server.values["/session/status"] = {"ses_strange": {"type": "busy"}}
    desk.until(Doing.IDLE)
    server.values["/session/ses_child"] = {"id": "ses_child", "parentID": ME}
    server.values["/session/status"] = {"ses_child": {"type": "busy"}}
    desk.until(Doing.BUSY)
    server.values["/permission"] = [{"sessionID": "ses_child", "permission": "bash"}]
    desk.until(Doing.BLOCKED)


def test_events_are_progress(desk: Desk, server: Server) -> None:
    """Tokens are; a prompt of ours, and what a stranger's conversation does, are not."""
    desk.until(Doing.IDLE)
    server.say("message.part.delta", sessionID="ses_strange", messageID="m1")
    server.say("message.updated", sessionID=ME, info={"id": "m2", "role": "user"})
    server.say("message.part.delta", sessionID=ME, messageID="m2")
    server.say("message.part.delta", sessionID=ME, messageID="m3")
    first = eventually(lambda: desk.look().signals.get("events"))
    server.say("message.part.delta", sessionID=ME, messageID="m3")
    assert eventually(lambda: desk.look().signals["events"] != first)


def test_a_new_conversation_is_learnt(desk: Desk, server: Server) -> None:
    """From the list, where nobody saw it begin; then from the event, as a person begins another."""
    desk.mem = replace(desk.mem, conversation="no id of its own")
    view = desk.look()
    assert view.not_ready and "conversation" in view.unreadable
    folder, now = str(desk.clone.resolve()), time.time() * 1000
    server.values["/session"] = [
        {"id": "ses_old", "directory": folder, "time": {"created": 5}},
        {"id": "ses_elsewhere", "directory": "/", "time": {"created": now}},
        {"id": "ses_sub", "directory": folder, "parentID": ME, "time": {"created": now}},
        {"id": ME, "directory": folder, "time": {"created": now}},
    ]
    assert desk.until(Doing.IDLE).conversation == ME
    server.values["/session/ses_next/message"] = []
    server.say(
        "session.created", sessionID="ses_next", info={"id": "ses_next", "directory": folder}
    )
    assert eventually(lambda: desk.look().conversation == "ses_next")


def test_without_a_conversation_for_long_a_person_is_needed(desk: Desk) -> None:
    desk.mem = replace(desk.mem, conversation="none", started_at=time.monotonic() - 1000)
    desk.until(Doing.BLOCKED)


def test_a_prompt_is_handed_over_once_and_proved_by_its_message(desk: Desk, server: Server) -> None:
    desk.until(Doing.IDLE)
    assert desk.evidence.submit("go on")
    assert desk.look().submitting
    eventually(lambda: server.posted)
    body = {
        "parts": [{"type": "text", "text": "go on"}],
        "model": {"providerID": "some", "modelID": "model"},
    }
    assert server.posted == [(f"/session/{ME}/prompt_async", body)]
    part = {"type": "text", "text": "go on"}
    server.values[f"/session/{ME}/message"] = [
        {"info": {"id": "m1", "role": "user"}, "parts": [part]}
    ]
    server.say("message.part.updated", sessionID=ME, part={**part, "messageID": "m1"})
    view = eventually(lambda: (v := desk.look()).submissions == 1 and v)
    assert view and not view.submitting


def test_nothing_is_handed_to_one_that_waits_for_a_person_or_is_gone(
    desk: Desk, server: Server
) -> None:
    desk.until(Doing.IDLE)
    server.values["/permission"] = [{"sessionID": ME, "permission": "bash"}]
    desk.until(Doing.BLOCKED)
    with pytest.raises(CannotTell, match="waits for a permission"):
        desk.evidence.submit("go on")
    server.end()
    eventually(lambda: desk.look().unreadable)
    with pytest.raises(CannotTell, match="nobody listens"):
        desk.evidence.submit("go on")
    assert server.posted == []


def test_a_server_that_hangs_holds_up_no_tick(
    desk: Desk, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken for busy, so that a screen that stands still, too, makes it a frozen one."""
    desk.until(Doing.IDLE)
    monkeypatch.setattr(opencode_api.OpencodeApi.get, "__defaults__", (0.2,))
    server.hangs = True
    view = desk.until(Doing.BUSY)
    assert "API" in view.unreadable
    begin = time.monotonic()
    for _ in range(100):
        desk.look()
    assert time.monotonic() - begin < 1


def test_a_server_that_nobody_knows_leaves_it_unread(desk: Desk) -> None:
    desk.file.unlink()
    view = desk.look()
    assert view.account is None and view.unreadable == ("API",)


def test_the_threads_end_with_their_process(desk: Desk) -> None:
    """The one that follows events, with the next of them or the end of the stream."""
    before = threading.enumerate()
    desk.until(Doing.IDLE)
    mine = [t for t in threading.enumerate() if t.name == "opencode state" and t not in before]
    assert mine
    desk.processes.alive = lambda process: False  # type: ignore[method-assign]
    eventually(lambda: not any(t.is_alive() for t in mine))


def test_a_conversation_is_made_on_a_server_elsewhere(tmp_path: Path, server: Server) -> None:
    """And kept, so that a later supervisor finds it; its tools can't be seen from here."""
    desk = Desk(tmp_path, server, f"http://127.0.0.1:{server.port}/")
    opening = desk.evidence.before_start("no id of its own")
    assert (opening.conversation, opening.port, dict(opening.env)) == (ME, 0, {})
    desk.mem = replace(desk.mem, conversation="not learnt yet")
    view = desk.until(Doing.IDLE)
    assert view.account is not None and view.account.elsewhere
    assert view.conversation == ME
    server.end()
    view = eventually(lambda: (v := desk.look()).unreadable and v) or view
    assert view.account is None
