"""Telling a person: a real command, a real HTTP receiver, slow and broken ones."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest

from cc_ci_orch.core.actions import Notify
from cc_ci_orch.shell import notify
from cc_ci_orch.shell.notify import PAUSE, Notifier
from tests.e2e.instance import alive
from tests.receiver import MOODS, Receiver, closed_port, timed
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
    made = []

    def make(*args):
        made.append(Receiver(*args))
        return made[-1]

    yield make
    for it in made:
        it.close()


@pytest.fixture
def hurried(monkeypatch):
    """Nobody waits 20 s for a notifier."""
    monkeypatch.setattr(notify, "TIMEOUT", 1.0)


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
    it = receiver()
    make(Clock(), url=it.url()).tell(Notify("completed:1", "phase 1 is complete", "all — passed"))
    eventually(lambda: it.got)
    assert it.titles() == ["cc-ci: phase 1 is complete"]
    assert (it.got[0]["headers"]["Priority"], it.got[0]["body"]) == ("default", "all — passed")
    assert it.got[0]["headers"]["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize("title", ["Größe ✓ " * 60, "two\nlines\r\nX-Evil: 1", "\x1b]0;x\x07"])
def test_any_title_is_one_line_of_a_header(receiver, title):
    it = receiver()
    make(Clock(), url=it.url()).tell(Notify("a", title, title))
    eventually(lambda: it.got)
    clean = " ".join("".join(c if c.isprintable() else " " for c in title).split())
    assert it.titles() == [f"cc-ci: {clean}"[:200].rstrip()]
    assert it.got[0]["headers"]["X-Evil"] is None


def test_a_login_and_a_query_in_the_address(receiver):
    """The login goes as ntfy and others take it; what the address holds arrives as it is."""
    it = receiver()
    url = it.url("/täglich?auth=QmFzaWM%3D&x=1", login="ann:p%40ss:word@")
    make(Clock(), url=url).tell(Notify("a", "title", "text"))
    eventually(lambda: it.got)
    assert it.got[0]["path"] == "/t%C3%A4glich?auth=QmFzaWM%3D&x=1"
    kind, _, login = it.got[0]["headers"]["Authorization"].partition(" ")
    assert (kind, base64.b64decode(login)) == ("Basic", b"ann:p@ss:word")


def test_https(receiver, tmp_path, monkeypatch):
    """With a certificate that is trusted; with another one it fails, and that is said."""
    pem = tmp_path / "pem"
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
    argv += "-subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key -out certificate"
    subprocess.run(argv.split(), cwd=tmp_path, check=True, capture_output=True)
    pem.write_text((tmp_path / "key").read_text() + (tmp_path / "certificate").read_text())
    it, said = receiver("well", pem), []
    notifier = make(Clock(), url=it.url(scheme="https"), said=said)
    notifier.tell(Notify("a", "first", "text"))
    eventually(lambda: said)
    assert "certificate" in said[0]
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate"))
    notifier.tell(Notify("b", "second", "text"))
    eventually(lambda: it.got)
    assert it.titles() == ["cc-ci: second"]


@pytest.mark.parametrize("mood", [*MOODS[1:], "refuses"])
def test_a_receiver_that_fails_is_said_without_the_address(receiver, hurried, mood):
    """Whatever it does, within the time for one notification; the next one is tried."""
    it, said = receiver(mood), []
    port = closed_port() if mood == "refuses" else it.port
    url = f"http://ann:{SECRET}@localhost:{port}/secret-topic?auth={SECRET}"
    notifier = make(Clock(), url=url, said=said)
    notifier.tell(Notify("a", "first", "text"))
    eventually(lambda: said, 5)
    assert said[0].startswith("NOTIFY_URL: not notified: first: ")
    assert not any(word in said[0] for word in (SECRET, "ann", "secret-topic")), said
    it.mood = "well"
    notifier.tell(Notify("b", "second", "text"))
    if mood != "refuses":
        eventually(lambda: "cc-ci: second" in it.titles(), 5)
        assert "GET" not in it.titles()
    eventually(lambda: len(said) == (2 if mood == "refuses" else 1), 5)


def test_one_cause_is_told_once_a_minute():
    clock = Clock()
    notifier = make(clock)
    note, other = Notify("a", "a", "a"), Notify("b", "b", "b")
    assert [notifier.tell(n) for n in (note, note, other)] == [True, False, True]
    clock.now = PAUSE
    assert notifier.tell(note)
    assert notifier.due() == []


def test_what_comes_too_early_is_told_when_the_minute_is_over():
    """Of several the newest: the others are history."""
    clock = Clock()
    notifier = make(clock)
    notes = [Notify("a", f"title {n}", "text") for n in range(3)]
    assert [notifier.tell(note) for note in notes] == [True, False, False]
    clock.now = PAUSE - 1
    assert notifier.due() == []
    clock.now = PAUSE
    assert notifier.due() == [notes[2]]
    assert notifier.due() == []


def test_a_notifier_that_fails_is_said_and_the_other_way_is_tried(receiver):
    it, said = receiver(), []
    notifier = make(Clock(), command=("/no/such/program",), url=it.url(), said=said)
    notifier.tell(Notify("a", "title", "text"))
    eventually(lambda: it.got and said)
    assert "NOTIFY_COMMAND: not notified: title" in said[0]


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("trap '' TERM HUP INT; while :; do sleep 0.1; done", "no end within 1 s"),
        ("exec sleep 60 2> /dev/null", "no end within 1 s"),
        ("while :; do echo yyyyyyyyyyyyyyyyyyyyyyyyyyyy; done", "no end within 1 s"),
        ("exec yes >&2", "it prints without end"),
        ("echo oops >&2; exit 3", "status 3: oops"),
        ("kill -9 $$", "status -9"),
    ],
)
def test_a_command_that_fails_is_ended_and_said(hurried, tmp_path, script, cause):
    said = []
    argv = ("sh", "-c", f"echo $$ > '{tmp_path}/pid'; {script}")
    notifier = make(Clock(), command=argv, said=said)
    notifier.tell(Notify("a", "title", "text"))
    eventually(lambda: said, 5)
    assert cause in said[0]
    assert not alive(int((tmp_path / "pid").read_text()))
    notifier.tell(Notify("b", "title", "text"))
    eventually(lambda: len(said) == 2, 5)


@pytest.mark.parametrize(
    "script",
    ["seq 1000000", "seq 500000 >&2", "exit 0", "exec < /dev/null", "sleep 60 & exit 0"],
)
def test_a_command_that_prints_or_does_not_read_has_notified(hurried, tmp_path, script):
    """A megabyte of text that it leaves unread, and megabytes that it prints, hold nobody up."""
    said = []
    done = tmp_path / "done"
    notifier = make(Clock(), command=("sh", "-c", f"{script}; touch '{done}'"), said=said)
    notifier.tell(Notify("a", "title", "x" * 2**20))
    notifier.close(5)
    assert said == []
    assert done.exists() or "exit" in script


def test_a_way_that_hangs_does_not_hold_up_the_other_one(receiver):
    it = receiver("hangs")
    said = []
    notifier = make(Clock(), command=("sh", "-c", "echo >&2; exit 9"), url=it.url(), said=said)
    for n in range(3):
        notifier.tell(Notify(f"cause {n}", "title", "text"))
    eventually(lambda: len(said) == 3)
    assert len(it.got) == 1


def test_the_end_waits_for_what_is_quick_and_ends_what_is_not(tmp_path, receiver):
    """The last words go out; a command that hangs, and those behind it, are ended."""
    out, it = tmp_path / "out", receiver()
    quick = make(Clock(), command=("sh", "-c", f"sleep 0.2; cat >> '{out}'"), url=it.url())
    quick.tell(Notify("a", "the last words", "text"))
    quick.close(10)
    assert "the last words" in out.read_text() and it.titles() == ["cc-ci: the last words"]
    pids = tmp_path / "pids"
    deaf = f"trap '' TERM; echo $$ >> '{pids}'; while :; do sleep 0.1; done"
    slow = make(Clock(), command=("sh", "-c", deaf))
    for n in range(5):
        slow.tell(Notify(f"cause {n}", "title", "text"))
    eventually(lambda: pids.exists() and pids.read_text().endswith("\n"))
    assert timed(lambda: slow.close(0.2)) < 5
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_notifier_that_hangs_holds_nobody_up(tmp_path):
    """`tell` returns at once, however long the last notification takes."""
    notifier = make(Clock(), command=("sleep", "3"))
    told = [notifier.tell(Notify(f"cause {n}", "title", "text")) for n in range(50)]
    assert told == [True] * 50


def test_without_a_way_there_is_nothing_to_send():
    notifier = make(Clock())
    assert notifier.ways == ()
    assert notifier.tell(Notify("a", "a", "a"))
