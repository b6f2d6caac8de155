"""The demo as a person runs it, and its agents by themselves."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cc_ci_orch.cli.demo import summary
from cc_ci_orch.cli.demo.summary import Commits
from cc_ci_orch.plan import load_phases
from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Done, Instance
from tests.waiting import eventually

pytestmark = [pytest.mark.tmux, pytest.mark.timeout(600)]

DEMO = 280.0
"""Seconds for a demo, which takes about 40 where nothing else runs."""


def temporary(it: Instance) -> dict[str, str]:
    """An environment in which the demo makes its folder in that of the test."""
    folder = it.folder / "t"
    folder.mkdir(exist_ok=True)
    return {"TMPDIR": str(folder)}


def left(it: Instance) -> list[str]:
    """The folders of demos that are still there."""
    return [path.name for path in (it.folder / "t").iterdir()]


def events_of(kept: Path) -> list[Any]:
    """The event log of a demo that was kept."""
    return [json.loads(line) for line in (kept / "state" / "events.jsonl").read_text().splitlines()]


def seconds(first: Any, last: Any) -> float:
    """Between two events."""
    begin, end = (datetime.fromisoformat(event["t"]) for event in (first, last))
    return (end - begin).total_seconds()


def said(out: str, what: str) -> str:
    """A line of the summary, which must be ok."""
    line = re.search(rf"^  ok  {what} +(.*)$", out, re.MULTILINE)
    assert line, (what, out)
    return line[1]


def took(line: str) -> float:
    """The time at the end of a line, in seconds."""
    found = re.search(r" in ([0-9.]+) (s|ms)$", line)
    assert found, line
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def demo(it: Instance, *args: str, **env: str) -> Done:
    return it.run("demo", *args, timeout=DEMO, env={**temporary(it), **env})


def test_the_summary_is_true(instance: Make) -> None:
    """What the demo says of itself is what its event log and its repository say; and none of
    the settings of the person who runs it gets in."""
    it = instance(ORCH_ROOT="/nowhere", LOOP_BACKEND="nonsense", RESUME_PHASE="1", GIT_DIR="/no")
    config = "[commit]\n gpgsign = true\n[core]\n hooksPath = /nowhere\n[user]\n name = me\n"
    (it.folder / "home" / ".gitconfig").write_text(config)
    done = demo(it, "--keep")
    assert done.code == 0, done
    assert it.processes() == {}
    kept = Path(re.search(r"^kept: (.*)$", done.out, re.MULTILINE)[1])  # type: ignore[index]
    assert kept.parent == it.folder / "t"
    events = events_of(kept)
    _check_faults(done.out, events)
    _check_nothing_lost(done.out, events, kept)
    _check_that_it_can_fail(events, kept)


def _check_faults(out: str, events: list[Any]) -> None:
    """The three faults: that they were, and how long each lasted."""
    pid = int(re.search(r"kill -9 ([0-9]+)$", out, re.MULTILINE)[1])  # type: ignore[index]
    (died,) = (
        e for e in events if e.get("evidence", {}).get("pid") == pid and "exited" in e["event"]
    )
    assert (died["role"], died["evidence"]["status"]) == ("adversary", "signal 9")
    healed = [e for e in events if e["event"] == "session.healed" and e["t"] >= died["t"]]
    again = next(e for e in healed if e["role"] == "adversary")
    assert took(said(out, "crash")) == pytest.approx(seconds(died, again), abs=0.06)

    again = next(e for e in healed if e["role"] == "builder")
    before = events[: events.index(again)]
    stalled = [e for e in before if e["event"] == "session.stalled" and e["role"] == "builder"][-1]
    assert took(said(out, "stall")) == pytest.approx(seconds(stalled, again), abs=0.06)
    way = [e["event"] for e in before[before.index(stalled) :] if e.get("role") == "builder"]
    assert {"session.nudged", "session.interrupted"} <= set(way)

    failed = next(e for e in events if e["event"] == "gate.failed")
    gate = failed["phase"], failed["gate"]
    verdicts = [e for e in events if e["event"] == "gate.passed"]
    passed = next(e for e in verdicts if (e["phase"], e["gate"]) == gate)
    assert passed["attempt"] > failed["attempt"]
    assert took(said(out, "failed review")) == pytest.approx(seconds(failed, passed), abs=0.06)


def _check_nothing_lost(out: str, events: list[Any], kept: Path) -> None:
    """Hand-offs, phases, gates, commits."""
    seen = [e["handoff"] for e in events if e["event"] == "handoff.seen"]
    delivered = {e["handoff"] for e in events if e["event"] == "handoff.delivered"}
    failed = (e for e in events if e["event"] == "handoff.failed")
    lapsed = {e["handoff"] for e in failed if "lapses" in e["why"]} - delivered
    assert len(seen) == len(set(seen)) and set(seen) == delivered | lapsed
    counts = f"{len(seen)} seen: {len(delivered)} delivered, {len(lapsed)} lapsed, 0 lost"
    assert said(out, "hand-offs") == counts
    for name in ("phase.started", "phase.completed"):
        assert Counter(e["phase"] for e in events if e["event"] == name) == {
            "counters": 1,
            "release": 1,
        }
    assert {e["gate"] for e in events if e["event"] == "gate.passed"} == {
        *("words", "lines", "command", "manual")
    }
    argv = ["git", "-C", str(kept / "state" / "work.git"), "log", "--format=%ae", "main"]
    authors = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.split()
    number = Counter(author.partition("@")[0] for author in authors)
    by = f"{number['builder']} by the builder, {number['adversary']} by the adversary"
    assert said(out, "commits") == f"{by}, all on the branch"
    assert number.total() == len(authors)


def _check_that_it_can_fail(events: list[Any], kept: Path) -> None:
    """Without some of the events the same summary finds what is missing."""
    pid = next(e for e in events if e["event"] == "session.exited")["evidence"]["pid"]
    phases = load_phases(kept / "root")

    def bad(missing: str, *lost: str) -> str:
        rest = [e for e in events if e["event"] != missing]
        commits = Commits({"builder": 1, "adversary": 1}, lost)
        found = [*summary.healed(rest, pid, 1), *summary.kept(rest, phases, commits, [])]
        return " ".join(finding.what for finding in found if not finding.ok)

    assert bad("nothing") == ""
    assert bad("session.exited") == "crash"
    assert bad("session.healed") == "crash stall"
    assert bad("session.stalled") == "stall"
    assert bad("gate.failed") == "failed review"
    assert bad("gate.passed") == "failed review gates"
    assert bad("handoff.delivered") == "hand-offs"
    assert bad("phase.completed") == bad("phase.started") == "phases"
    assert bad("nothing", "a commit") == "commits"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_the_middle(instance: Make, number: signal.Signals) -> None:
    """Ctrl-C and its like: the demo ends soon, and leaves no process and no folder."""
    it = instance()
    it.settings.update(temporary(it))
    process = it.background("demo")
    eventually(lambda: list((it.folder / "t").glob("*/state/clones/*/STATUS.md")), LONG)
    assert len(it.processes()) > 3
    process.send_signal(number)
    process.communicate(timeout=LONG)
    assert process.returncode == 128 + number
    assert it.processes() == {}
    assert left(it) == []


def test_two_at_once(instance: Make) -> None:
    """Two demos don't meet; both succeed, and leave nothing."""
    it = instance()
    it.settings.update(temporary(it))
    demos = [it.background("demo") for _ in range(2)]
    for process in demos:
        out, err = process.communicate(timeout=DEMO)
        assert process.returncode == 0, (out.decode(), err.decode())
    assert it.processes() == {}
    assert left(it) == []


@pytest.mark.parametrize("missing", ["tmux", "git"])
def test_a_missing_program(instance: Make, missing: str) -> None:
    """Without tmux or git it says so as every command does, and leaves nothing."""
    it = instance()
    (it.folder / "bin").mkdir()
    for name in {"tmux", "git", "dirname", "readlink"} - {missing}:
        (it.folder / "bin" / name).symlink_to(f"/usr/bin/{name}")
    (it.folder / "bin" / "python3").symlink_to(sys.executable)
    done = demo(it, PATH=str(it.folder / "bin"))
    assert (done.code, done.out) == (78, "")
    assert f"{missing}: it is not installed" in done.err
    assert left(it) == []


# ------------------------------------------------------------------ the agents by themselves

PLAN = """\
[[phase]]
id = "0.9"
title = "Two gates"
plan = "phase-1.md"
gates = ["V1", "V2"]

[[phase]]
id = "2-b"
title = "No gates"
plan = "phase-2.md"
"""

ALONE = {
    "LOOP_BACKEND": "demo",
    "ORCH_REPO_POLL": "0.3s",
    "ORCH_IDLE_NUDGE_AFTER": "1s",
    "ORCH_PHASE_DRAIN": "5s",
}


def test_any_plan(instance: Make) -> None:
    """The demo agents go through any plan, and a second time through a phase that is set again."""
    it = instance(**ALONE)
    it.plan(PLAN)
    it.start()
    eventually(lambda: it.status()["phase"]["state"] == "complete", DEMO, 0.5)
    assert it.run("phase", "set", "0.9").code == 0
    eventually(lambda: len(it.events("phase.completed")) == 4, DEMO, 0.5)
    assert [e["phase"] for e in it.events("phase.completed")] == ["0.9", "2-b"] * 2
    passed = [(e["gate"], e["attempt"]) for e in it.events("gate.passed")]
    assert sorted(passed) == [("V1", 1), ("V1", 2), ("V2", 1), ("V2", 2)]
    assert it.events("protocol.violation") == it.events("session.stalled") == []
    it.stop()


def test_a_known_number_is_ignored(instance: Make) -> None:
    """A hand-off seen before is ignored, also by the process that comes after."""
    it = instance(**ALONE)
    it.start("builder")  # alone it can't finish the phase meanwhile
    text = "H-77: gate V1 of phase 1 passed."
    assert it.run("nudge", "builder", text).code == 0
    eventually(lambda: f"< {text}" in it.log(), LONG)
    assert it.run("nudge", "builder", text).code == 0
    eventually(lambda: it.log().count("H-77: seen before, ignored") == 1, LONG)
    assert it.run("restart", "builder").code == 0
    assert it.run("nudge", "builder", text).code == 0
    eventually(lambda: it.log().count("H-77: seen before, ignored") == 2, LONG)
    it.stop()
