"""nudge, hold, release: steering the agents."""

from __future__ import annotations

import sys

from cc_ci_orch.agents.base import plain
from cc_ci_orch.cli import talk
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core.model import Request
from cc_ci_orch.errors import TryAgain, UsageError

LONGEST = 256 * 1024
"""Bytes of a nudge: more than any agent reads at once."""

LONGEST_LINE = 4000
"""Bytes: a terminal that reads line by line takes 4,095 of a line and drops the rest."""

PROVING = 60.0
"""Seconds for a nudge: those before it, and two tries of the longest `submit_wait`."""


def nudge(call: Call) -> int:
    """Type a prompt and prove that it was submitted."""
    role = call.args.role
    talk.check_roles(call, [role], also=talk.ORCHESTRATOR)
    text = _text(call)
    timeout = PROVING + 4 * call.config.policy.submit_wait
    answer = talk.ask(call, Request(0, "nudge", (role,), text=text), timeout)
    if answer is None:
        raise TryAgain(
            f"can't nudge {role}: no supervisor runs, and a prompt typed later does harm",
            "./launch.sh start",
        )
    code, words = talk.answer_of(answer)
    call.say(words)
    return code


def _text(call: Call) -> str:
    """What to type, "" for the text for an idle role; UsageError for what no terminal takes."""
    if call.args.text is None:
        return ""
    if call.args.text == "-":
        data = sys.stdin.buffer.read(LONGEST + 1)
        text = data.decode("utf-8", "replace").removesuffix("\n")
    else:
        text = call.args.text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if len(text.encode()) > LONGEST:
        raise UsageError(f"can't nudge {call.args.role}: more than {LONGEST} bytes")
    text = plain(text)
    if not text.strip():
        raise UsageError(f"can't nudge {call.args.role}: there is no text")
    for number, line in enumerate(text.split("\n"), 1):
        if len(line.encode()) > LONGEST_LINE:
            raise UsageError(
                f"can't nudge {call.args.role}: line {number} has more than {LONGEST_LINE} bytes",
                "break the line",
            )
    return text


def hold(call: Call) -> int:
    """Leave a role alone."""
    return _mark(call, Request(0, "hold", (call.args.role,)))


def release(call: Call) -> int:
    """End a hold."""
    return _mark(call, Request(0, "release", (call.args.role,)))


def _mark(call: Call, request: Request) -> int:
    talk.check_roles(call, request.roles, also=talk.ORCHESTRATOR)
    answer = talk.ask(call, request)
    if answer is None:
        reply = talk.carry_out(call, request)
        code, text = reply.code, reply.text
    else:
        code, text = talk.answer_of(answer)
    call.say(f"{call.args.role}: {text}")
    return code
