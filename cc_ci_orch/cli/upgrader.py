"""`launch-upgrader.py`: one run of the agent that brings pinned versions up to date.

The pane's own process is a small guardian of ours (`work`): it runs the agent as its child,
makes its output readable, writes down and reports how it ended, and closes the session. The
agent dies with it. So no supervisor is needed, and none starts it again.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import Any

from cc_ci_orch.cli import loops, preparing, reading
from cc_ci_orch.cli.compose import Instance, child_env
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.cli.parser import add_lines, parser_of
from cc_ci_orch.cli.versions import PACKAGE
from cc_ci_orch.core.model import Prompt, PromptKind
from cc_ci_orch.core.text import span
from cc_ci_orch.errors import FAILED, NOT_RUNNING, OrchError, TryAgain
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import Launch
from cc_ci_orch.shell.upgrades import ROLE, Run, Upgrades
from cc_ci_orch.status import iso

OVERVIEW = """\
The upgrader: an agent that brings pinned versions up to date. It runs once, to its end.

  run      start it, in a session of its own (the default); with --wait, wait for its end
  status   the present or the last run; exit 0 it runs or went well, 1 it failed, 3 none yet
  logs     what it printed

examples:
  ./launch-upgrader.sh run --wait
  ./launch-upgrader.sh logs -f
  LOOP_BACKEND=opencode ./launch-upgrader.sh

exit codes: 0 done, 1 failed, 2 usage, 3 (status) it never ran, 75 one runs already,
            78 configuration; run --wait: the exit status of the agent, 1 where an exit status
            of 0 hides an error, 128 + N where signal N ended it
"""

COMING_UP = 20.0
"""Seconds in which a run must have begun."""

GRACE = 10.0
"""Seconds that an agent gets to leave after TERM."""


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run one command; the exit code."""
    return loops.run(parse, argv, env)


def parse(argv: Sequence[str]) -> Namespace:
    """The command and its arguments; prints help or an error and exits where that is asked."""
    parser = parser_of("launch-upgrader.sh", OVERVIEW)
    parser.add_argument(
        "what", nargs="?", choices=("run", "status", "logs"), default="run",
        metavar="run|status|logs", help="what to do (default: run)",
    )  # fmt: skip
    parser.add_argument("--wait", action="store_true", help="run: wait for its end")
    parser.add_argument("--json", action="store_true", help="status: for programs")
    add_lines(parser)
    parser.add_argument("--raw", action="store_true", help="logs: the bytes as they were printed")
    args = parser.parse_args(argv)
    args.run, args.without_config, args.role = f"upgrader:{args.what}", False, ROLE
    return args


# -------------------------------------------------------------------------------------- run


def run(call: Call) -> int:
    """Start it, unless it runs; with --wait, wait for its end."""
    instance = Instance(call.config, call.program_root)
    seat, upgrades = instance.upgrades.seat, instance.upgrades
    instance.prompts.render(Prompt(PromptKind.KICKOFF), seat.role.prompt, {})
    preparing.prepare_folders(instance)
    with Lock(call.config.state / "upgrader.start.lock"):
        _refuse_second(upgrades)
        preparing.prepare_clones(instance, [seat], call.say)
        preparing.require_programs(instance, [seat])
        upgrades.settle(instance.report)
        upgrades.clear()
        before = upgrades.last()
        _launch(call, instance)
        begun = _wait_for_begin(upgrades, before)
    if not call.args.wait:
        call.say(f"the upgrader has begun ({begun.backend}); ./launch-upgrader.sh logs -f")
        return 0
    return _wait_for_end(call, instance)


def _refuse_second(upgrades: Upgrades) -> None:
    pid = upgrades.pid()
    if pid is None:
        return
    last = upgrades.last()
    since = f", since {iso(last.started)}" if last is not None and last.ended is None else ""
    raise TryAgain(
        f"can't start the upgrader: it runs already (process {pid}{since})",
        "./launch-upgrader.sh status",
    )


def _launch(call: Call, instance: Instance) -> None:
    seat = instance.upgrades.seat
    argv = (sys.executable, str(PACKAGE), "upgrade")
    env = child_env(call.config)
    stamp = instance.store.stamp(seat.log)
    if stamp is not None and stamp.size > call.config.policy.log_max:
        instance.store.rotate(seat.log, call.config.policy.log_keep)
    instance.record_socket()
    instance.terminal.start(Launch(seat.session, argv, env, seat.workdir, seat.log))


def _wait_for_begin(upgrades: Upgrades, before: Run | None) -> Run:
    """The new run, as soon as it is written down."""
    deadline = time.monotonic() + COMING_UP
    while (last := upgrades.last()) is None or last == before:
        if time.monotonic() > deadline:
            raise OrchError(
                "can't start the upgrader: nothing was heard of its start",
                f"see {upgrades.seat.log}",
            )
        time.sleep(0.02)
    return last


class _Asked(Exception):
    """Somebody asked us to end."""


def _wait_for_end(call: Call, instance: Instance) -> int:
    """Wait; where we are asked to end (TERM), the run is ended first, politely."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise _Asked

    upgrades = instance.upgrades
    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)
    try:
        while upgrades.pid() is not None:
            time.sleep(0.1)
    except _Asked:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        upgrades.ask_to_end(GRACE)
    last = upgrades.settle(instance.report)
    if last is None:
        return FAILED
    call.say(f"the upgrader: {last.why}")
    return last.status


# ----------------------------------------------------------------------------- status, logs


def status(call: Call) -> int:
    """The present run, or how the last one went."""
    instance = Instance(call.config, call.program_root)
    upgrades = instance.upgrades
    last = upgrades.settle(instance.report) if call.config.state.is_dir() else None
    runs = last is not None and last.ended is None
    if call.args.json:
        call.out(json.dumps(as_dict(upgrades, last), indent=1))
    elif last is None:
        call.say("the upgrader has never run")
    else:
        for line in _told(upgrades, last, instance.clock.wall()):
            call.out(line)
    if last is None:
        return NOT_RUNNING
    return 0 if runs or last.status == 0 else FAILED


def as_dict(upgrades: Upgrades, last: Run | None) -> dict[str, Any] | None:
    """The newest run for programs; None where there is none."""
    if last is None:
        return None
    runs = last.ended is None
    return {
        "running": runs,
        "pid": upgrades.pid() if runs else None,
        "backend": last.backend,
        "model": last.model,
        "conversation": last.conversation,
        "started": iso(last.started),
        "ended": iso(last.ended),
        "status": None if runs else last.status,
        "signal": last.signal,
        "error": last.error or None,
        "said": last.said or None,
        "evidence": dict(last.evidence),
        "log": str(upgrades.seat.log),
    }


def _told(upgrades: Upgrades, last: Run, now: float) -> list[str]:
    model = f", {last.model}" if last.model else ""
    if last.ended is None:
        took = span(max(0.0, now - last.started))
        where = f"process {upgrades.pid()}, {last.backend}{model}"
        return [f"the upgrader has been running for {took} ({where})"]
    lines = [f"the last run began {iso(last.started)} ({last.backend}{model}): {last.why}"]
    lines += [f"  {line}" for line in last.said.splitlines()[-5:]]
    return [*lines, f"  log: {upgrades.seat.log}"]


def logs(call: Call) -> int:
    """What it printed."""
    return reading.logs(call)
