"""What the shell can be told to do. Each action names why; `shell/apply.py` carries it out.

Actions that end or replace a process carry an `Expect`: the second look that the shell
takes immediately before acting. A world that has moved on since it was judged (the agent
recovered, another process has the pane, a file can't be read) is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cc_ci_orch.core.events import Event
from cc_ci_orch.core.model import FileStamp, ProcessId, Prompt, Then


@dataclass(frozen=True)
class Expect:
    """What must still be true of the session for an action to go ahead."""

    process: ProcessId
    log: FileStamp | None = None
    signals: Mapping[str, int | str] = field(default_factory=dict)


@dataclass(frozen=True)
class StartSession:
    """Run the role's agent; what is left of an earlier process is ended first."""

    role: str
    mode: Then
    conversation: str
    resume: bool
    prompt: Prompt
    why: str
    event: Event | None = None
    """What to record once it has started."""


@dataclass(frozen=True)
class Type:
    """Type a prompt and Enter."""

    role: str
    prompt: Prompt
    process: ProcessId


@dataclass(frozen=True)
class Press:
    """Press keys, by their tmux names."""

    role: str
    keys: tuple[str, ...]
    process: ProcessId
    dialog: bool = False
    """It answers a dialog; not pressed if that isn't there any more."""


@dataclass(frozen=True)
class AskExit:
    """Ask the agent to exit in its own polite way."""

    role: str
    process: ProcessId
    expect: Expect | None
    why: str


@dataclass(frozen=True)
class Terminate:
    """TERM to the agent's process."""

    role: str
    process: ProcessId
    why: str


@dataclass(frozen=True)
class Kill:
    """KILL to the agent's whole process tree."""

    role: str
    process: ProcessId
    why: str


@dataclass(frozen=True)
class Close:
    """Remove the session of a role that stays down, with what its process left behind."""

    role: str


@dataclass(frozen=True)
class ArmPipe:
    """Connect the pane's output to its log again."""

    role: str


@dataclass(frozen=True)
class RotateLog:
    role: str


@dataclass(frozen=True)
class ShowLog:
    """Open the session that only shows the watchdog's log."""

    role: str = ""


@dataclass(frozen=True)
class HideLog:
    """Remove the session that only shows the watchdog's log."""

    role: str = ""


@dataclass(frozen=True)
class EndServer:
    """End the terminal server, and whatever still runs below it."""

    role: str = ""


@dataclass(frozen=True)
class Notify:
    """Tell a person. `cause` names the occurrence: the same cause is not told twice a minute."""

    cause: str
    title: str
    text: str
    role: str = ""


@dataclass(frozen=True)
class Reply:
    """Answer a request: an exit code and a line for the person who asked."""

    request: int
    code: int
    text: str
    role: str = ""


Action = (
    StartSession
    | Type
    | Press
    | AskExit
    | Terminate
    | Kill
    | Close
    | ArmPipe
    | RotateLog
    | ShowLog
    | HideLog
    | EndServer
    | Notify
    | Reply
)
