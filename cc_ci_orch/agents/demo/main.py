"""One demo agent, from its start to its end: look, work until nothing is left, wait, again."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from cc_ci_orch.agents.demo.desk import Desk, Gone
from cc_ci_orch.agents.demo.repository import GitError, Repository
from cc_ci_orch.agents.demo.worker import Adversary, Builder, Bystander, Worker
from cc_ci_orch.core.ledger import ADVERSARY, BUILDER, ORCHESTRATOR
from cc_ci_orch.core.phases import find
from cc_ci_orch.plan import load_phases

TRY_AGAIN = 2.0
"""Seconds after which a step is tried again that git did not let end."""

OUTSIDE = (ORCHESTRATOR, "upgrader")
"""Who works in no clone of the loops."""

_NOTHING_CLAIMED = re.compile(r"^Claims in STATUS\.md now: none$", re.MULTILINE)


def main(argv: Sequence[str]) -> int:
    """Be the agent until asked to leave."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    args = _parse(argv)
    if args.role in OUTSIDE:
        return _look_on(args.role)
    git = Path.cwd() / ".git"
    desk = Desk(git / "demo", args.role)
    repository = Repository(Path.cwd(), args.branch)
    try:
        worker = _begin(args, desk, repository, git / "demo" / "fresh")
        while True:
            _work(worker, repository, desk)
            desk.say("nothing to do now: waiting")
            _wait(desk)
    except Gone:
        return 0


def _look_on(role: str) -> int:
    """Outside the loops the work is somebody's own: nothing is touched there."""
    print(f"{role}: here, and nothing to do in a demo", flush=True)
    if role == ORCHESTRATOR:
        for line in sys.stdin:
            print(f"{role}: heard {len(line)} characters", flush=True)
    return 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo-agent")
    parser.add_argument("role")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--branch", required=True)
    parser.add_argument("--phase", required=True)
    parser.add_argument("--prompt-file", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    return parser.parse_args(argv)


def _begin(args: argparse.Namespace, desk: Desk, repository: Repository, clone: Path) -> Worker:
    """Read the plan and the first prompt; see how things stand."""
    phase = find(load_phases(args.root), args.phase)
    again = "here again" if args.resume else "here"
    desk.say(f"{again}, for phase {phase.id}: {phase.title}; gates: {', '.join(phase.gates)}")
    prompt = args.prompt_file.read_text(encoding="utf-8")
    if repository.recover():
        desk.say("dropped what was left half done")
    repository.pull()
    repository.push()
    desk.hear("\n".join(line for line in prompt.splitlines() if line.startswith("H-")))
    if args.role == BUILDER:
        builder = Builder(phase, repository, desk)
        if not args.resume and _NOTHING_CLAIMED.search(prompt):
            builder.begin_anew()
        return builder
    return Adversary(phase, repository, desk, clone) if args.role == ADVERSARY else Bystander()


def _work(worker: Worker, repository: Repository, desk: Desk) -> None:
    """Step by step until there is nothing to do; what is typed meanwhile is read in between."""
    more = True
    while more:
        try:
            more = worker.step()
            more = desk.read() or more
        except KeyboardInterrupt:
            desk.say("interrupted: looking again")
            repository.recover()
        except GitError as error:
            desk.say(f"{error}; trying again in {TRY_AGAIN:g} s")
            time.sleep(TRY_AGAIN)


def _wait(desk: Desk) -> None:
    try:
        desk.wait()
    except KeyboardInterrupt:
        desk.say("interrupted: looking again")
