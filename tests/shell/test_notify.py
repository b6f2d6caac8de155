"""Telling a person: a real command, a real HTTP receiver, slow and broken ones."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from cc_ci_orch.core.actions import Notify
from cc_ci_orch.shell.notify import PAUSE, Notifier
from tests.waiting import eventually

SECRET = "hunter2-hunter2"


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


def make(clock, *, command=(), url=None, said=None):
    said = [] if said is None else said
    env = {"PATH": "/usr/bin:/bin"}
    mask = lambda text: text.replace(SECRET, "********")  # noqa: E731
    return Notifier(command, url, "cc-ci", env, clock, mask, said.append)


@pytest.fixture
def receiver():
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            got.append((self.headers["Title"], self.headers["Priority"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/topic", got
    server.shutdown()
    server.server_close()


def test_a_command_gets_json_without_secrets(tmp_path):
    out = tmp_path / "out"
    notifier = make(Clock(), command=("sh", "-c", f"cat >> '{out}'"))
    assert notifier.tell(
        Notify("blocked:builder", "builder is blocked", f"key {SECRET}", "builder")
    )
    eventually(lambda: out.exists() and out.read_text().endswith("\n"))
    expected = {
        "instance": "cc-ci",
        "cause": "blocked:builder",
        "title": "builder is blocked",
        "text": "key ********",
        "role": "builder",
        "priority": "high",
    }
    assert expected == json.loads(out.read_text())


def test_a_url_gets_title_priority_and_text(receiver):
    url, got = receiver
    make(Clock(), url=url).tell(Notify("completed:1", "phase 1 is complete", "all — passed"))
    eventually(lambda: got)
    assert got == [("cc-ci: phase 1 is complete", "default", "all — passed")]


def test_one_cause_is_told_once_a_minute():
    clock = Clock()
    notifier = make(clock)
    note, other = Notify("a", "a", "a"), Notify("b", "b", "b")
    assert [notifier.tell(n) for n in (note, note, other)] == [True, False, True]
    clock.now = PAUSE
    assert notifier.tell(note)


def test_a_notifier_that_fails_is_said_and_the_next_way_is_tried(receiver):
    url, got = receiver
    said = []
    notifier = make(Clock(), command=("/no/such/program",), url=url, said=said)
    notifier.tell(Notify("a", "title", "text"))
    eventually(lambda: got and said)
    assert "NOTIFY_COMMAND" in said[0]


def test_a_url_that_nobody_serves_is_said_and_costs_nothing():
    said = []
    make(Clock(), url="http://127.0.0.1:9/", said=said).tell(Notify("a", "title", "text"))
    eventually(lambda: said)
    assert "a notification failed: title" in said[0]


def test_a_notifier_that_hangs_holds_nobody_up(tmp_path):
    """`tell` returns at once, however long the last notification takes."""
    notifier = make(Clock(), command=("sleep", "3"))
    told = [notifier.tell(Notify(f"cause {n}", "title", "text")) for n in range(50)]
    assert told == [True] * 50


def test_without_a_way_there_is_nothing_to_send():
    notifier = make(Clock())
    assert notifier.ways == ()
    assert notifier.tell(Notify("a", "a", "a"))
