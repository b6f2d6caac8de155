"""A builder that cheats: the phase is not finished by it, both are told, a person once."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance
from tests.e2e.pairs import PAIR, PATIENCE, check_hand_offs, entries, notes, plan, script, told
from tests.waiting import eventually

pytestmark = pytest.mark.tmux


def settled(it: Instance) -> bool:
    """Nothing is under way: what there is to say has been said, and everybody waits."""
    state = it.status()
    waits = all(s["liveness"] in ("waiting", "working") for s in state["sessions"])
    calm = all((s["log_age_s"] or 0) > 2 for s in state["sessions"])
    return waits and calm and state["pending_handoffs"] == 0


def was_told(it: Instance, role: str) -> bool:
    """Whether the role got a message about the violation."""
    return any("does not count" in text or "rewritten" in text for text in told(it, role))


@pytest.mark.parametrize(
    ("mischief", "breach"),
    [("pass", "REVIEW.md"), ("done", None), ("rewrite", "history")],
)
def test_a_builder_that_cheats_finishes_nothing(
    instance: Make, mischief: str, breach: str | None
) -> None:
    """It writes PASS into REVIEW.md; claims DONE over a failed gate; makes the FAIL undone by
    a force-push. The gate stays failed, and the phase goes on."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"]), ("2", [])))
    script(it, bad=["1/V1"], mischief={"1": mischief})
    it.start()
    eventually(lambda: (it.folder / "mischief-1").exists(), PATIENCE, 0.1)
    said = it.wait_for_event("gate.failed")
    if breach:
        broken = it.wait_for_event("protocol.violation")
        by = "builder" if breach == "REVIEW.md" else "unknown"
        assert (broken["by"], broken["evidence"].get("file")) == (
            by,
            breach if breach == "REVIEW.md" else None,
        )
        for role in ("builder", "adversary"):
            eventually(lambda role=role: was_told(it, role), LONG)
    eventually(lambda: settled(it), LONG, 0.2)
    state = it.status()
    assert state["phase"]["state"] == "running" and not state["phase"]["done"]
    assert not state["phase"]["gates"][0]["passed"]
    assert state["phase"]["gates"][0]["attempt"] == said["attempt"] == 1
    assert entries(it) == ["started 1"]
    assert notes(it).count("protocol violation") == (1 if breach else 0)
    assert len(it.events("protocol.violation")) == (1 if breach else 0)
    check_hand_offs(it)
    assert state["turn"] != []


def test_a_stranger_that_edits_status_is_told_of_once(instance: Make) -> None:
    """Ten commits of somebody else in one push are one violation, and stop nobody."""
    it = instance(**PAIR)
    it.plan(plan(("1", ["V1"])))
    script(it, blocked=["1"])
    it.start()
    eventually(lambda: it.events("handoff.failed"), LONG)  # the BLOCKED was seen
    clone = it.folder / "stranger"
    it.git("clone", "-q", str(it.state / "work.git"), str(clone))
    for n in range(10):
        (clone / "REVIEW.md").write_text(f"## Phase 1\n- V1: PASS #{n + 1}\n- phase: PASS\n")
        it.git("-C", str(clone), "add", "-A")
        it.git("-C", str(clone), "commit", "-qm", "x")
    it.git("-C", str(clone), "push", "-q", "origin", "main")
    broken = it.wait_for_event("protocol.violation")
    assert (broken["by"], broken["evidence"]["count"]) == ("unknown", 10)
    (it.folder / "key").touch()
    it.run("nudge", "builder", "the key is there")
    eventually(lambda: it.status()["phase"]["state"] == "complete", PATIENCE, 0.2)
    assert len(it.events("protocol.violation")) == 1
    assert notes(it).count("protocol violation") == 1
    check_hand_offs(it)
