"""What came of a demo: what was done to it, what was noticed and healed, and that nothing is lost.

All of it is read from the event log and the repositories, none from what the demo meant to do;
only which process it killed, and which it made hang, it has to say itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cc_ci_orch.core.phases import PhaseSpec

Event = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """One line of the summary; not `ok`: this should not be so."""

    ok: bool
    what: str
    text: str


@dataclass(frozen=True)
class Commits:
    """The work branch after the end."""

    by_role: Mapping[str, int]
    lost: Sequence[str]
    """Commits that were made or seen, and are not on the branch."""


def text(healed: Sequence[Finding], kept: Sequence[Finding], seconds: float) -> str:
    """The summary for a person."""
    bad = [finding.what for finding in (*healed, *kept) if not finding.ok]
    end = f"not as it should be: {', '.join(bad)}" if bad else "all of it healed, nothing lost"
    lines = ["", "what was done, and what came of it", *map(_line, healed)]
    lines += ["", "what must not be lost", *map(_line, kept), "", f"{seconds:.0f} s: {end}"]
    return "\n".join(lines)


def _line(finding: Finding) -> str:
    return f"  {'ok ' if finding.ok else 'BAD'} {finding.what:<14} {finding.text}"


# ---------------------------------------------------------------------------- done and healed


def healed(events: Sequence[Event], killed: int | None, hung: int | None) -> list[Finding]:
    """The three faults, from the event log."""
    return [_crash(events, killed), _stall(events, hung), _review(events)]


def _crash(events: Sequence[Event], killed: int | None) -> Finding:
    if killed is None:
        return Finding(False, "crash", "nobody was killed")
    died = _first(events, "session.exited", pid=killed)
    if died is None:
        return Finding(False, "crash", f"nobody noticed that {killed} was killed")
    again = _first(_after(events, died), "session.healed", role=died["role"])
    if again is None:
        return Finding(False, "crash", f"the {died['role']} was not replaced")
    return Finding(
        True, "crash", f"{died['role']}: exited, healed ({_how(again)}) in {_took(died, again)}"
    )


def _stall(events: Sequence[Event], hung: int | None) -> Finding:
    if hung is None:
        return Finding(False, "stall", "nobody was made to hang")
    for stalled in events:
        if stalled["event"] != "session.stalled":
            continue
        role = stalled["role"]
        later = [e for e in _after(events, stalled) if e.get("role") == role]
        again = _first(later, "session.healed")
        steps = later[: later.index(again)] if again else []
        if again and not any(step["event"] == "session.recovered" for step in steps):
            names = ["stalled", *(step["event"].removeprefix("session.") for step in steps
                                  if step["event"] in LADDER), "healed"]  # fmt: skip
            way, took = ", ".join(dict.fromkeys(names)), _took(stalled, again)
            return Finding(True, "stall", f"{role}: {way} ({_how(again)}) in {took}")
    return Finding(False, "stall", "no stall was noticed and healed")


LADDER = ("session.nudged", "session.interrupted")


def _review(events: Sequence[Event]) -> Finding:
    failed = _first(events, "gate.failed")
    if failed is None:
        return Finding(False, "failed review", "no claim has failed")
    later = [e for e in _after(events, failed) if _gate(e) == _gate(failed)]
    passed = _first(later, "gate.passed")
    name = failed["gate"]
    if passed is None:
        return Finding(False, "failed review", f"{name} #{failed['attempt']} was never made good")
    return Finding(
        True,
        "failed review",
        f"{name}: #{failed['attempt']} FAIL, #{passed['attempt']} PASS in {_took(failed, passed)}",
    )


def _how(healed: Event) -> str:
    return "resumed" if healed["evidence"].get("resumed") else "afresh"


# ------------------------------------------------------------------------------- nothing lost


def kept(
    events: Sequence[Event], phases: Sequence[PhaseSpec], commits: Commits, left: Sequence[int]
) -> list[Finding]:
    """What must be so after the end, whatever was done."""
    broken = sum(1 for event in events if event["event"] == "protocol.violation")
    return [
        _handoffs(events),
        _phases(events, phases),
        _gates(events, phases),
        Finding(not broken, "rules", f"{broken} violations of the protocol"),
        _commits(commits),
        Finding(not left, "processes", f"{len(left)} left running after the stop"),
    ]


def _handoffs(events: Sequence[Event]) -> Finding:
    seen = [e["handoff"] for e in events if e["event"] == "handoff.seen"]
    delivered = {e["handoff"] for e in events if e["event"] == "handoff.delivered"}
    lapsed = {e["handoff"] for e in events if e["event"] == "handoff.failed" and "laps" in e["why"]}
    lapsed -= delivered
    lost = [name for name in seen if name not in delivered | lapsed]
    twice = [name for name, times in Counter(seen).items() if times > 1]
    text = f"{len(seen)} seen: {len(delivered)} delivered, {len(lapsed)} lapsed, {len(lost)} lost"
    return Finding(bool(seen) and not lost and not twice, "hand-offs", text)


def _phases(events: Sequence[Event], phases: Sequence[PhaseSpec]) -> Finding:
    begun = Counter(e["phase"] for e in events if e["event"] == "phase.started")
    over = Counter(e["phase"] for e in events if e["event"] == "phase.completed")
    once = {phase.id: 1 for phase in phases}
    text = f"{sum(over.values())} of {len(phases)} completed, each once: {', '.join(over) or '-'}"
    return Finding(begun == once and over == once, "phases", text)


def _gates(events: Sequence[Event], phases: Sequence[PhaseSpec]) -> Finding:
    judged = {_gate(e): e["event"] for e in events if e["event"] in ("gate.passed", "gate.failed")}
    wanted = [(phase.id, gate) for phase in phases for gate in phase.gates]
    passed = [gate for gate in wanted if judged.get(gate) == "gate.passed"]
    return Finding(passed == wanted, "gates", f"{len(passed)} of {len(wanted)} passed")


def _commits(commits: Commits) -> Finding:
    by = ", ".join(f"{number} by the {role}" for role, number in commits.by_role.items())
    lost = (
        f"; not on the branch: {', '.join(commits.lost)}" if commits.lost else ", all on the branch"
    )
    return Finding(all(commits.by_role.values()) and not commits.lost, "commits", by + lost)


# ------------------------------------------------------------------------------------- events


def _gate(event: Event) -> tuple[str, str]:
    return event.get("phase", ""), event.get("gate", "")


def _first(
    events: Iterable[Event], name: str, role: str | None = None, pid: int | None = None
) -> Event | None:
    for event in events:
        fits = event["event"] == name and role in (None, event.get("role"))
        if fits and pid in (None, event.get("evidence", {}).get("pid")):
            return event
    return None


def _after(events: Sequence[Event], event: Event) -> Sequence[Event]:
    return events[events.index(event) + 1 :]


def _took(first: Event, last: Event) -> str:
    begin, end = (datetime.fromisoformat(event["t"]) for event in (first, last))
    seconds = (end - begin).total_seconds()
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
