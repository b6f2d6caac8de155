"""`launch-orchestrator.py`: the agent that looks after the loops, in a session of its own.

Through the supervisor where one runs, else under its lock. Once started it is healed like a
role without a turn (`core/apart.py`).
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Mapping, Sequence
from typing import Any

from cc_ci_orch import places
from cc_ci_orch.agents.base import Backend
from cc_ci_orch.cli import ending, looking, loops, preparing, talk
from cc_ci_orch.cli.compose import Instance
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.cli.parser import duration, parser_of
from cc_ci_orch.core.ledger import ORCHESTRATOR
from cc_ci_orch.core.model import Prompt, PromptKind, Request
from cc_ci_orch.errors import FAILED, NOT_RUNNING, TRY_AGAIN, ConfigError, OrchError, TryAgain
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.status import SICK
from cc_ci_orch.status_table import sessions_table

OVERVIEW = """\
The orchestrator: the agent that looks after the loops, in a session of its own.

  start    start it, with the conversation that it had (the default)
  attach   attach this terminal to it (detach: C-b d)
  status   what it does; exit 0 well, 1 not well, 3 not running
  stop     end it; it stays down until it is started again

Once started, the watchdog heals it. A reboot takes it down until it is started again.

examples:
  ./launch-orchestrator.sh
  ./launch-orchestrator.sh status --json
  ORCHESTRATOR_MODEL=opus ./launch-orchestrator.sh start

exit codes: 0 done, 1 failed (status: not well), 2 usage, 3 (status) it is not running,
            75 try again later, 78 configuration
"""

COMING_UP = 90.0
"""Seconds that a start may take: its client's own, and another start that goes before."""


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run one command; the exit code."""
    return loops.run(parse, argv, env)


def parse(argv: Sequence[str]) -> Namespace:
    """The command and its arguments; prints help or an error and exits where that is asked."""
    parser = parser_of("launch-orchestrator.sh", OVERVIEW)
    parser.add_argument(
        "what", nargs="?", choices=("start", "attach", "status", "stop"), default="start",
        metavar="start|attach|status|stop", help="what to do (default: start)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="status: for programs")
    parser.add_argument(
        "--grace", type=duration, default=10.0, metavar="TIME",
        help="stop: how long it may take to leave before it is killed (default: 10s)",
    )  # fmt: skip
    args = parser.parse_args(argv)
    args.run, args.without_config = f"orchestrator:{args.what}", False
    return args


def start(call: Call) -> int:
    """Start it, if it isn't running."""
    instance = Instance(call.config, call.program_root)
    seat = instance.orchestrator
    _require(call, seat.backend)
    preparing.require_programs(instance, [seat])
    instance.prompts.render(Prompt(PromptKind.KICKOFF), seat.role.prompt, {})
    places.prepare_state(call.config.state)
    request = Request(0, "start", (ORCHESTRATOR,))
    with Lock(call.config.state / "start.lock"):
        preparing.prepare_folders(instance)
        answer = talk.ask(call, request, COMING_UP)
        if answer is None:
            instance.record_socket()
            reply = talk.carry_out(call, request)
            code, text = reply.code, reply.text
        else:
            code, text = talk.answer_of(answer)
    if code:
        raise TryAgain(text) if code == TRY_AGAIN else OrchError(text, f"see {seat.log}")
    alone = "; no supervisor runs, so nothing heals it until ./launch.sh start"
    call.say(text + (alone if answer is None else ""))
    return 0


def _require(call: Call, backend: Backend) -> None:
    if backend.name == "opencode" and call.config.opencode_url is None:
        raise ConfigError(
            "can't start the orchestrator: OPENCODE_URL: it is unset, and its backend is "
            "opencode; accepted: the URL of an opencode server",
            "OPENCODE_URL=http://127.0.0.1:4096 ./launch-orchestrator.sh",
        )


def attach(call: Call) -> int:
    """Attach this terminal to its session; returns only if that fails."""
    return looking.attach_to(call, ORCHESTRATOR)


def status(call: Call) -> int:
    """What it does; 0 well, 1 not well, 3 not running."""
    state = looking.current_state(call)
    own = [session for session in state["sessions"] if session["role"] == ORCHESTRATOR]
    if call.args.json:
        call.out(json.dumps(own[0] if own else None, indent=1))
    elif own:
        call.out(sessions_table(state, own, colour=looking.colours(sys.stdout)), end="")
    else:
        call.say("the orchestrator has not been started")
    return exit_code(own[0] if own else None)


def exit_code(session: Mapping[str, Any] | None) -> int:
    """0 well, 1 not well, 3 not running, and not meant to."""
    if session is None or (session["wanted"] == "down" and not session["pid"]):
        return NOT_RUNNING
    return 0 if session["pid"] and session["liveness"] not in SICK else FAILED


def stop(call: Call) -> int:
    """End it, and keep it down."""
    request = Request(0, "stop", (ORCHESTRATOR,), grace=call.args.grace)
    if not call.config.state.is_dir():
        call.say("the orchestrator is not running")
        return 0
    answer = talk.ask(call, request, request.grace + COMING_UP)
    if answer is None:
        reply = talk.carry_out(call, request)
        code, text = reply.code, reply.text
        ending.end_empty_server(call)
    else:
        code, text = talk.answer_of(answer)
    call.say(text)
    return code
