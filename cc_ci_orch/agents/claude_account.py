"""Claude Code's account of itself, from all that it tells: status file, hooks, record, screen.

The status file is the best state, the record the only word on errors and limits. The hooks
stand in for the status file where there is none, and show the work of subagents. The screen
is looked at only in doubt: for retries, which nothing else shows, and for dialogs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cc_ci_orch.agents.claude_screen import Screen
from cc_ci_orch.agents.claude_transcript import Failure, Trail
from cc_ci_orch.core.model import Account, Doing

NEEDED = "a person is needed"

HOOKS = (
    *("SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "PostToolUseFailure"),
    *("Stop", "StopFailure", "PermissionRequest", "Notification", "SessionEnd"),
)


@dataclass(frozen=True)
class Status:
    """The session-status file `sessions/PID.json`."""

    pid: int
    started: int
    conversation: str
    state: str
    waiting_for: str = ""


def read_status(text: str) -> Status | None:
    """None for a file that says nothing that we know."""
    try:
        value: Mapping[str, Any] = json.loads(text)
        return Status(
            int(value["pid"]),
            int(value.get("procStart") or 0),
            str(value["sessionId"]),
            str(value.get("status") or ""),
            str(value.get("waitingFor") or ""),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


@dataclass(frozen=True)
class Hooks:
    """What the lines of the hooks come to. Each line is the name of an event."""

    state: str = ""
    prompts: int = 0
    open_tools: int = 0
    worked: int = 0
    """Where in the file the last event of a tool ends."""


def follow_hook(hooks: Hooks, line: bytes, end: int) -> Hooks:
    """One line more."""
    match line.decode("ascii", "replace").strip():
        case "SessionStart" | "Stop" | "StopFailure":
            return replace(hooks, state="idle", open_tools=0)
        case "UserPromptSubmit":
            return replace(hooks, state="busy", prompts=hooks.prompts + 1)
        case "PreToolUse":
            return replace(hooks, state="busy", open_tools=hooks.open_tools + 1, worked=end)
        case "PostToolUse" | "PostToolUseFailure":
            left = max(hooks.open_tools - 1, 0)
            return replace(hooks, state="busy", open_tools=left, worked=end)
        case "PermissionRequest":
            return replace(hooks, state="waiting")
        case _:
            return hooks


def settings(hooks_file: str) -> dict[str, Any]:
    """The settings of one session, beside the user's own: hooks, and no unasked questions.

    A hook's own payload is read, so that the client never writes to a closed pipe, and not
    kept: its name is all that is wanted, and one short line is always written whole.
    """
    quoted = "'" + hooks_file.replace("'", "'\\''") + "'"

    def hook(name: str) -> list[dict[str, Any]]:
        command = f"echo {name} >> {quoted}; exec cat > /dev/null"
        return [{"hooks": [{"type": "command", "command": command, "timeout": 10}]}]

    return {
        "skipDangerousModePermissionPrompt": True,
        "feedbackSurveyRate": 0,
        "awaySummaryEnabled": False,
        "hooks": {name: hook(name) for name in HOOKS},
    }


def account(status: Status | None, hooks: Hooks, trail: Trail) -> Account | None:
    """What the client does, as far as its files tell; None: not yet."""
    state = status.state if status is not None else hooks.state
    if state == "waiting":
        what = status.waiting_for if status is not None else ""
        return Account(Doing.BLOCKED, f"it waits for a person: {what or 'a permission'}")
    if state == "busy":
        tool_open = bool(trail.open_tools)
        why = "a tool call is open" if tool_open else "it says that it is busy"
        return Account(Doing.BUSY, why, tool_open=tool_open, queues=True)
    if state not in ("idle", "shell"):
        return None
    error = trail.error
    if error is None:
        more = ", and a command of its own runs in the background" if state == "shell" else ""
        return Account(Doing.IDLE, f"it is at its prompt{more}")
    text = error.text[:160]
    match error.failure:
        case Failure.LIMIT:
            return Account(Doing.LIMITED, text, until=error.until)
        case Failure.LOGIN:
            return Account(Doing.BLOCKED, f"{NEEDED}: its login fails ({text})", recheck=True)
        case Failure.CREDIT:
            return Account(Doing.BLOCKED, f"{NEEDED}: it has no credit ({text})", recheck=True)
        case Failure.TOO_LONG:
            spent = trail.worked > 0  # one that never worked shows that a fresh one won't, either
            return Account(Doing.BLOCKED, f"its conversation is too long ({text})", spent=spent)
        case _:
            return Account(Doing.IDLE, f"its last turn ended with an error: {text}")


def with_screen(known: Account | None, screen: Screen, answered: bool) -> Account | None:
    """The account after a look at the screen; `answered`: its dialog is one that we answer."""
    if screen.dialog is not None:
        if answered:
            return Account(Doing.BUSY, "it shows a dialog that is being answered")
        return Account(Doing.BLOCKED, f"it shows a dialog: {title(screen)}")
    if screen.box is None:
        return known
    if known is None:
        if screen.busy:
            known = Account(Doing.BUSY, "its screen says that it is busy", queues=True)
        elif screen.limited:
            return Account(Doing.LIMITED, "its screen says that its usage limit is reached")
        else:
            return Account(Doing.IDLE, "it shows its prompt")
    if known.doing is Doing.BUSY and _LOGIN.match(screen.retrying):
        why = f"{NEEDED}: its login fails ({screen.retrying[:120]})"
        return Account(Doing.BLOCKED, why, queues=True)
    if known.doing is Doing.BUSY and screen.retrying:
        why = f"it tries again: {screen.retrying[:120]}"
        return Account(Doing.RETRYING, why, queues=True, timed_out=screen.timed_out)
    return known


_LOGIN = re.compile(r"40[13]\b|.*\b(?:invalid x-api-key|OAuth token)\b")
"""What it tries again in vain: until somebody logs in, or mends the key, nothing changes."""


def title(screen: Screen) -> str:
    """What a dialog asks, in one line: its first words, and the rows."""
    assert screen.dialog is not None
    lines = [line.strip("─╌ ") for line in screen.dialog.text.splitlines()]
    words = [line for line in lines if line]
    first = words[0] if words else "no title"
    last = f" … {words[-1]}" if len(words) > 1 else ""
    return f"{first}{last} ({' / '.join(screen.dialog.rows)})"[:200]
