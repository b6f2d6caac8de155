"""What a person is told, over both ways at once, and what a bad notifier costs: nothing."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance, alive, gone, kill
from tests.e2e.pairs import PAIR, PATIENCE, notes, plan, script
from tests.receiver import Receiver, closed_port, timed
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

MakeReceiver = Callable[..., Receiver]


@pytest.fixture
def receiver() -> Iterator[MakeReceiver]:
    made: list[Receiver] = []

    def make(*args: Any) -> Receiver:
        made.append(Receiver(*args))
        return made[-1]

    yield make
    for it in made:
        it.close()


def tells(it: Instance, phone: Receiver) -> None:
    """Both ways: a file with a line for each, and the phone."""
    it.settings["NOTIFY_COMMAND"] = f"/bin/sh -c 'cat >> {it.folder}/notes'"
    it.settings["NOTIFY_URL"] = phone.url()


def causes(it: Instance) -> list[str]:
    """What the command was told of, in its order."""
    path = it.folder / "notes"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["cause"].partition(":")[0] for line in lines]


def test_each_cause_of_a_run_is_told_once_by_both_ways(
    instance: Make, receiver: MakeReceiver
) -> None:
    """Blocked, a violation, each completed phase, the end of all: as often as it was."""
    it, phone = instance(**PAIR), receiver()
    it.plan(plan(("1", ["V1"]), ("2", [])))
    script(it, bad=["1/V1"], blocked=["2"], mischief={"1": "pass"})
    tells(it, phone)
    it.start()
    eventually(lambda: "violation" in causes(it), PATIENCE, 0.1)
    stopped = it.run("phase", "set", "2")
    assert stopped.code == 0, stopped
    eventually(lambda: "blocked" in causes(it), PATIENCE, 0.1)
    (it.folder / "key").touch()
    it.run("nudge", "builder", "the key is there")
    eventually(lambda: "all complete" in causes(it), PATIENCE, 0.1)
    assert Counter(causes(it)) == {
        "violation": 1,
        "blocked": 1,
        "completed": 1,
        "all complete": 1,
    }
    eventually(lambda: len(phone.got) == 4)
    assert phone.titles() == [f"cc-ci: {title}" for title in notes(it)]
    urgent = {note["title"]: note["headers"]["Priority"] for note in phone.got}
    assert urgent["cc-ci: protocol violation"] == urgent["cc-ci: the builder is blocked"] == "high"
    assert urgent["cc-ci: all phases are complete"] == "default"
    assert len(it.events("notified")) == 4
    it.stop()


def test_a_crash_loop_a_trouble_and_a_reboot(instance: Make, receiver: MakeReceiver) -> None:
    """Each is told once, however long it lasts, and again when it comes again."""
    it, phone = instance("dies.py", "0", "3"), receiver()
    tells(it, phone)
    boot = it.folder / "boot"
    boot.write_text("first\n")
    it.settings |= {
        "ORCH_BOOT_ID_FILE": str(boot),
        "ORCH_ROLES": "builder",
        "ORCH_MAX_RESTARTS": "2",
        "ORCH_COOLDOWN": "1h",
        "WORK_REPO": str(it.folder / "nowhere.git"),
        "ORCH_REPO_POLL": "0.3s",
    }
    it.git("init", "-q", "--bare", it.settings["WORK_REPO"])
    it.start()
    eventually(lambda: "gave up" in causes(it), LONG)
    (it.folder / "nowhere.git").rename(it.folder / "away.git")
    eventually(lambda: "trouble" in causes(it), LONG)
    boot.write_text("second\n")
    kill(it.supervisor)
    eventually(lambda: "rebooted" in causes(it), LONG)
    it.wait_for_event("supervisor.recovered")
    eventually(lambda: len(phone.got) == 3)
    assert sorted(causes(it)) == ["gave up", "rebooted", "trouble"]
    assert phone.titles() == [f"cc-ci: {title}" for title in notes(it)]
    it.stop()


DEAF = "/bin/sh -c 'echo $$ >> {place}; trap : TERM HUP INT; while :; do sleep 0.1; done'"
FLOOD = "/bin/sh -c 'echo $$ >> {place}; exec yes'"


@pytest.mark.parametrize(
    ("command", "mood"),
    [(DEAF, "hangs"), (DEAF, "drips"), (FLOOD, "closes"), ("/bin/false", "500"), ("", "refuses")],
    ids=["hang", "drip", "flood", "fail", "refuse"],
)
def test_a_bad_notifier_costs_nothing(
    instance: Make, receiver: MakeReceiver, command: str, mood: str
) -> None:
    """Ticks go on, a dead agent is replaced at once, a stop is prompt and leaves no notifier;
    the failure stands in the log once for each notification, without the address's secrets.
    All of it sooner than a notifier's 20 seconds are over."""
    it, phone = instance("works.py"), receiver(mood)
    pids = it.folder / "pids"
    port = closed_port() if mood == "refuses" else phone.port
    it.settings |= {
        "NOTIFY_COMMAND": command.format(place=pids),
        "NOTIFY_URL": f"http://ann:pass-w0rd@127.0.0.1:{port}/topic?auth=tok-en-tok-en",
        "WORK_REPO": str(it.folder / "work.git"),
        "ORCH_REPO_POLL": "0.3s",
        "ORCH_MAX_RESTARTS": "9",
    }
    it.git("init", "-q", "--bare", it.settings["WORK_REPO"])
    it.start()
    it.pid()
    (it.folder / "work.git").rename(it.folder / "away.git")
    it.wait_for_event("notified")
    eventually(lambda: mood == "refuses" or phone.got, LONG)
    eventually(lambda: "{place}" not in command or pids.exists(), LONG)
    for _ in range(3):
        assert it.status()["supervisor"]["last_tick_age_s"] < 10
        before = it.pid()
        kill(before)
        eventually(lambda before=before: it.session()["pid"] not in (None, before), 15, 0.1)
        time.sleep(0.6)  # it has run well again: the next one is replaced at once, too
    if mood in ("closes", "500", "refuses"):
        eventually(lambda: "NOTIFY_URL: not notified" in it.run("logs", "watchdog").out)
    log = (it.state / "logs" / "watchdog.log").read_text()
    assert log.count("not notified") <= 2
    shown = log + "".join(it.run(*words).out for words in (["config"], ["events"], ["status"]))
    for secret in ("pass-w0rd", "tok-en-tok-en"):
        assert secret not in shown
    assert timed(lambda: it.stop()) < 15
    if pids.exists():
        gone([int(pid) for pid in pids.read_text().split()], 1)


def test_what_is_told_at_the_very_end_arrives(instance: Make, receiver: MakeReceiver) -> None:
    """One tick by hand, and a command without a supervisor: the process waits for its notes."""
    it, phone = instance("works.py"), receiver()
    tells(it, phone)
    boot = it.folder / "boot"
    boot.write_text("first\n")
    it.settings["ORCH_BOOT_ID_FILE"] = str(boot)
    assert it.run("watchdog", "--once").code == 0
    boot.write_text("second\n")
    assert it.run("watchdog", "--once").code == 0
    assert causes(it) == ["rebooted"]
    assert phone.titles() == ["cc-ci: the host was rebooted"]
    assert not it.supervisor or not alive(it.supervisor)
    it.stop()
