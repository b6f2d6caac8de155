"""The first look at a work repository that is years old."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.shell.git import Git
from cc_ci_orch.shell.mirror import Mirror
from tests.core.builders import Story, role

COMMITS = 20_000
PATIENCE = 60.0
"""Seconds; it takes two on an idle machine."""


def history(path: Path) -> None:
    """Every commit is the builder's and changes STATUS.md; now and then it claims anew."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", path], check=True)
    author = b"cc-ci builder <builder@cc-ci.invalid>"
    with subprocess.Popen(
        ["git", "-C", path, "fast-import", "--quiet"], stdin=subprocess.PIPE
    ) as importer:
        assert importer.stdin is not None
        for number in range(COMMITS):
            attempt = number // 500 + 1
            text = b"## Phase 1\n- V1: CLAIMED #%d\n" % attempt + b"words %d\n" % number * 50
            importer.stdin.write(
                b"commit refs/heads/main\ncommitter %s %d +0000\ndata 2\nx\n"
                b"M 644 inline STATUS.md\ndata %d\n%s\n"
                % (author, 1_700_000_000 + number, len(text), text)
            )
        importer.stdin.close()
    assert importer.returncode == 0


@pytest.mark.slow
def test_twenty_thousand_commits_take_seconds(tmp_path: Path) -> None:
    """To fetch and read them, beside the ticks; and to judge them, in one."""
    history(tmp_path / "work.git")
    begun = time.monotonic()
    mirror = Mirror(
        Git(dict(os.environ)), tmp_path / "mirror.git", str(tmp_path / "work.git"), "main"
    )
    news = mirror.news("")
    assert news is not None and len(news.commits) == COMMITS
    story = Story(role(), role("adversary"))
    story.phases = (PhaseSpec("1", "One", "1.md", ("V1",)),)
    snapshot = replace(story.started().snapshot(), news=news, identity="cc-ci")
    decision = decide(snapshot, story.memory, story.policy)
    assert time.monotonic() - begun < PATIENCE
    assert [e.attempt for e in decision.events if e.name.value == "gate.claimed"] == [40]
