"""What Claude Code's own record of a conversation tells: one JSON object a line (2.1.330).

It grows by prompts, answers, tool calls and their results, but also by the client's notes on
each request that it makes, in a hang too. So not its size is progress, but its last record of
work: an answer of the model, or what a tool gave back. An error of the API is a record with a
mark of its own; what an agent quotes of such words has no such mark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

INTERRUPTED = "[Request interrupted by user"

OWN_COMMANDS = ("<local-command-", "<command-name>", "<command-message>", "<bash-")
"""How what was said to the client itself is recorded, also by its menus: the model hears
nothing of it, and a limit stays one."""


class Failure(StrEnum):
    """What ended a turn, by what there is to do about it."""

    LIMIT = "limit"
    LOGIN = "login"
    CREDIT = "credit"
    TOO_LONG = "too long"
    OTHER = "other"


@dataclass(frozen=True)
class ApiError:
    """An error as the client recorded it. Times are of the wall clock."""

    failure: Failure
    text: str
    at: float
    until: float | None = None


@dataclass(frozen=True)
class Trail:
    """What the records up to here come to."""

    prompts: int = 0
    """Prompts that the client took: submitted, or put in its queue."""
    worked: int = 0
    """Where in the file the last record of work ends."""
    open_tools: frozenset[str] = frozenset()
    error: ApiError | None = None
    """What the last turn ended with; None as soon as the conversation goes on."""


def follow(trail: Trail, line: bytes, end: int) -> Trail:
    """The trail with one more record, whose line ends at `end`; an unknown one changes nothing."""
    if not _MATTERS.search(line):
        return trail
    record = parse(line)
    if record is None:
        return trail
    kind = record.get("type")
    if kind == "queue-operation":
        taken = record.get("operation") == "enqueue"
        return replace(trail, prompts=trail.prompts + taken)
    if kind == "user":
        return _user(trail, record, end)
    if kind == "assistant":
        return _assistant(trail, record, end)
    return trail


_MATTERS = re.compile(rb'"type": ?"(?:user|assistant|queue-operation)"')


def parse(line: bytes) -> Mapping[str, Any] | None:
    """One record; None for what is none."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def blocks(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a message; a plain text is one."""
    message = record.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [b for b in content if isinstance(b, dict)] if isinstance(content, list) else []


def text_of(parts: list[Mapping[str, Any]]) -> str:
    return "\n".join(str(part.get("text", "")) for part in parts if part.get("type") == "text")


def _user(trail: Trail, record: Mapping[str, Any], end: int) -> Trail:
    parts = blocks(record)
    results = {str(p.get("tool_use_id")) for p in parts if p.get("type") == "tool_result"}
    if results:
        left = trail.open_tools - results
        cut_off = any(INTERRUPTED in json.dumps(p.get("content")) for p in parts)
        return replace(trail, open_tools=left, worked=trail.worked if cut_off else end)
    if text_of(parts).startswith(INTERRUPTED):
        return replace(trail, open_tools=frozenset())
    own = text_of(parts).startswith(OWN_COMMANDS)
    if own or record.get("isMeta") or record.get("isSidechain"):
        return trail
    typed = record.get("promptSource") != "queued"
    return replace(trail, prompts=trail.prompts + typed, open_tools=frozenset(), error=None)


def _assistant(trail: Trail, record: Mapping[str, Any], end: int) -> Trail:
    if record.get("isApiErrorMessage"):
        return replace(trail, error=_error(record), open_tools=frozenset())
    calls = {str(p.get("id")) for p in blocks(record) if p.get("type") == "tool_use"}
    return replace(trail, worked=end, open_tools=trail.open_tools | calls, error=None)


# ------------------------------------------------------------------------------- errors


def _error(record: Mapping[str, Any]) -> ApiError:
    text = " ".join(text_of(blocks(record)).split())
    at = _time(record.get("timestamp"))
    error, status = record.get("error"), record.get("apiErrorStatus")
    if record.get("apiError") == "usage_limit_reached" or _quota(record).get("resetsAt"):
        until = _quota(record).get("resetsAt")
        stated = float(until) if isinstance(until, int | float) else limit_end(text, at)
        return ApiError(Failure.LIMIT, text, at, stated)
    if error == "rate_limit" or status == 429:
        return ApiError(Failure.LIMIT, text, at, limit_end(text, at))
    if error == "authentication_failed" or status in (401, 403):
        return ApiError(Failure.LOGIN, text, at)
    if error == "billing_error":
        return ApiError(Failure.CREDIT, text, at)
    if text.startswith("Prompt is too long"):
        return ApiError(Failure.TOO_LONG, text, at)
    return ApiError(Failure.OTHER, text, at)


def _quota(record: Mapping[str, Any]) -> Mapping[str, Any]:
    params = record.get("apiErrorParams")
    found = params.get("rate_limit_info") if isinstance(params, dict) else None
    found = found or record.get("quotaLimits")
    return found if isinstance(found, dict) and found.get("status") == "rejected" else {}


def _time(text: object) -> float:
    try:
        return datetime.fromisoformat(str(text)).timestamp()
    except ValueError:
        return 0.0


_RESETS = re.compile(
    r"resets (?:at |on )?"
    r"(?:(?P<month>[A-Z][a-z]{2})[a-z]* (?P<day>\d{1,2})(?:, \d{4})?,? ?(?:at )?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d))? ?(?P<half>am|pm)?(?: ?\((?P<zone>[\w/+-]+)\))?"
)
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


def limit_end(text: str, at: float) -> float | None:
    """The time (wall) that a message of the time `at` means by "resets Nov 26, 6:51pm (UTC)".

    Without a date it is the first such time after `at`, tomorrow's included.
    """
    match = _RESETS.search(text)
    if match is None or (match["half"] is None and match["minute"] is None):
        return None
    hour = int(match["hour"]) % 12 + 12 * (match["half"] == "pm")
    hour = int(match["hour"]) if match["half"] is None else hour
    try:
        zone = ZoneInfo(match["zone"]) if match["zone"] else UTC
    except (KeyError, ValueError, OSError):
        zone = UTC
    try:
        now = datetime.fromtimestamp(at, zone)
        then = now.replace(hour=hour, minute=int(match["minute"] or 0), second=0, microsecond=0)
        if match["month"]:
            then = then.replace(month=_MONTHS.index(match["month"]) + 1, day=int(match["day"]))
            later = then.replace(year=then.year + 1)
        else:
            later = then + timedelta(days=1)
    except ValueError:
        return None
    return (then if then > now - timedelta(minutes=1) else later).timestamp()
