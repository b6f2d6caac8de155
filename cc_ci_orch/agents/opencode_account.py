"""opencode's account of itself, from what its HTTP API says.

`/session/status` is the state (absent: idle), `/event` the progress, `/permission` and
`/question` what it waits for a person for, the records of messages the errors. The sessions
of subagents, children of the role's own, work for it (opencode 1.18.33).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cc_ci_orch.core.model import Account, Doing

NEEDED = "a person is needed"

LONG_WAIT = 120.0
"""Seconds to the next try from which on a retry is a limit that says when it ends."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Failure:
    """How a turn ended in an error."""

    name: str
    text: str
    status: int | None = None


@dataclass(frozen=True)
class Talk:
    """What the newest messages of a conversation come to."""

    prompts: frozenset[str] = frozenset()
    """Ids of the messages that somebody submitted."""
    open_tools: frozenset[str] = frozenset()
    error: Failure | None = None
    mark: str = ""
    """Changes with every answer, tool call and result in it."""
    begun: str = ""
    """Changes when the model is asked, and when its answer begins."""
    worked: bool = False
    """Whether there has been any answer or tool call in it."""
    unasked: bool = False
    """The newest message is a prompt about which the model hasn't been asked yet."""


@dataclass(frozen=True)
class Sight:
    """All that the API said at one moment about the sessions that are the role's."""

    conversation: str = ""
    status: Mapping[str, Record] = field(default_factory=dict)
    permissions: tuple[Record, ...] = ()
    questions: tuple[Record, ...] = ()
    talk: Talk | None = None
    """None: the conversation is not known, or its messages weren't read yet."""
    tool_open: bool = False


def mapping(value: object) -> Record:
    """The value where it is an object; else an empty one."""
    return value if isinstance(value, Mapping) else {}


def records(value: object) -> list[Record]:
    """The objects of a list; [] for anything else."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


# ------------------------------------------------------------------------------- messages


def read_talk(messages: Sequence[Record]) -> Talk:
    """What the newest messages, oldest first, come to."""
    prompts = [m for m in messages if _role(m) == "user" and submitted(m)]
    answers = [m for m in messages if _role(m) == "assistant"]
    last = answers[-1] if answers else {}
    parts = records(last.get("parts"))
    told = next((m for m in reversed(answers) if _work(m)), {})
    work = _work(told)
    failed = failure(mapping(last.get("info")).get("error"))
    answered = bool(messages) and _role(messages[-1]) == "assistant"
    state = mapping(work[-1].get("state")).get("status", "") if work else ""
    return Talk(
        frozenset(_id(m) for m in prompts),
        frozenset(str(p.get("id")) for p in parts if tool_runs(p)),
        failed if answered else None,
        f"{_id(told)} {len(work)} {state}",
        f"{_id(last)} {len(parts)}",
        worked=bool(work),
        unasked=bool(messages) and not answered and (not last or _ended(last)),
    )


def _work(message: Record) -> list[Record]:
    """The parts of an answer that are one. That it begins is none: it does so in a hang, too."""
    return [p for p in records(message.get("parts")) if p.get("type") in ("text", "tool")]


def submitted(message: Record) -> bool:
    """Whether somebody's words stand in it; the client makes messages of its own, too."""
    return any(
        p.get("type") == "text" and not p.get("synthetic") for p in records(message.get("parts"))
    )


def _ended(answer: Record) -> bool:
    info = mapping(answer.get("info"))
    return bool(info.get("error")) or "completed" in mapping(info.get("time"))


def _role(message: Record) -> str:
    return str(mapping(message.get("info")).get("role", ""))


def _id(message: Record) -> str:
    return str(mapping(message.get("info")).get("id", ""))


def tool_runs(part: Record) -> bool:
    """Whether a part of a message is a tool call without a result."""
    state = mapping(part.get("state")).get("status")
    return part.get("type") == "tool" and state in ("pending", "running")


def failure(error: object) -> Failure | None:
    """An error of a message or of the event `session.error`; None where there is none."""
    value = mapping(error)
    if not value:
        return None
    data = mapping(value.get("data"))
    status = data.get("statusCode")
    text = str(data.get("message") or value.get("name") or "unknown error")
    return Failure(
        str(value.get("name", "")),
        " ".join(text.split()),
        status if isinstance(status, int) else None,
    )


_NO_WORK = ("step-start", "retry", "snapshot", "patch")
"""Parts that come when an answer begins, and then may never go on."""


def is_progress(event: Record, prompts: Container[str]) -> bool:
    """Whether an event of `/event` is work: a token, a tool call, its output, its result.

    Not so our own prompts, and what an interrupt leaves.
    """
    properties = mapping(event.get("properties"))
    if event.get("type") == "message.part.delta":
        return properties.get("messageID") not in prompts
    if event.get("type") != "message.part.updated":
        return False
    part = mapping(properties.get("part"))
    state = mapping(part.get("state"))
    if part.get("messageID") in prompts or part.get("type") in _NO_WORK:
        return False
    if part.get("type") == "text" and ("time" not in part or not part.get("text")):
        return False  # a prompt, or the beginning of an answer
    return not (state.get("status") == "error" and "abort" in str(state.get("error", "")).lower())


# -------------------------------------------------------------------------------- judging


def account(sight: Sight, wall: float) -> Account | None:
    """What the client does; None where it has no conversation yet."""
    if sight.permissions:
        asked = sight.permissions[0]
        what = " ".join(map(str, asked.get("patterns") or ()))
        return Account(
            Doing.BLOCKED, f"it waits for a permission: {asked.get('permission')} ({what[:120]})"
        )
    if sight.questions:
        asks = [str(q.get("question", "")) for q in records(sight.questions[0].get("questions"))]
        return Account(Doing.BLOCKED, f"it waits for an answer: ({' / '.join(asks)[:120]})")
    if sight.talk is None:
        return None
    own = mapping(sight.status.get(sight.conversation))
    if own.get("type") == "retry":
        return _retrying(own, wall)
    if sight.status:
        why = "a tool call is open" if sight.tool_open else "it says that it is busy"
        if not own:
            why = "a subagent of it is busy"
        return Account(Doing.BUSY, why, tool_open=sight.tool_open, queues=True)
    return _at_rest(sight.talk)


def _retrying(status: Record, wall: float) -> Account:
    text = " ".join(str(status.get("message", "")).split())[:160]
    following = status.get("next")
    until = float(following) / 1000 if isinstance(following, (int, float)) else 0.0
    if until - wall >= LONG_WAIT:
        return Account(Doing.LIMITED, f"it waits: {text}", until=until, queues=True)
    if _LIMIT.search(text):
        return Account(Doing.LIMITED, f"its usage limit is reached: {text}", queues=True)
    if _CREDIT.search(text):
        why = f"{NEEDED}: it has no credit ({text})"
        return Account(Doing.BLOCKED, why, queues=True, recheck=True)
    timed_out = bool(_TIMEOUT.search(text))
    return Account(Doing.RETRYING, f"it tries again: {text}", queues=True, timed_out=timed_out)


def _at_rest(talk: Talk) -> Account:
    error = talk.error
    if error is None:
        return Account(Doing.IDLE, "it is at its prompt")
    text = error.text[:160]
    if error.name == "MessageAbortedError":
        return Account(Doing.IDLE, "its last turn was interrupted")
    if error.name == "ContextOverflowError":
        # One that never worked shows that a fresh one won't, either.
        return Account(Doing.BLOCKED, f"its conversation is too long ({text})", spent=talk.worked)
    if error.status == 402 or _CREDIT.search(text):
        return Account(Doing.BLOCKED, f"{NEEDED}: it has no credit ({text})", recheck=True)
    if error.name == "ProviderAuthError" or error.status in (401, 403):
        return Account(Doing.BLOCKED, f"{NEEDED}: its login fails ({text})", recheck=True)
    if "NotFound" in error.name or error.status == 404:
        return Account(Doing.BLOCKED, f"{NEEDED}: its model isn't there ({text})", recheck=True)
    if error.status == 429 or _LIMIT.search(text):
        return Account(Doing.LIMITED, text)
    return Account(Doing.IDLE, f"its last turn ended with an error: {text}")


_LIMIT = re.compile(r"\b(usage|session|weekly|daily|monthly|\d+-hour|quota) limit\b", re.I)
_CREDIT = re.compile(
    r"\b(credit balance|insufficient (balance|credits?|funds|quota)|billing)\b", re.I
)
_TIMEOUT = re.compile(r"tim(ed|e) ?-?out", re.I)
