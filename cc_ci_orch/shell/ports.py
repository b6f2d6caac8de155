"""The world as the rest of the program sees it: one Protocol a tool.

A call has three outcomes, never two: a value, `None` where the thing is *absent*, and
`CannotTell` where the tool did not answer. `CannotTell` must never be read as "dead".
The real adapters stand beside this file; the simulation brings its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from cc_ci_orch.core.model import ExitStatus, FileStamp, ProcessId, RoleMemory, SessionView

T = TypeVar("T")


class CannotTell(Exception):
    """The tool didn't answer, or its answer can't be read; the message says which and why."""


@dataclass(frozen=True)
class Pane:
    """One of our panes, as `tmux list-panes` saw it. Times are seconds of the wall clock."""

    session: str
    pane: str  # tmux's own name for it: %12
    pid: int
    tty: str
    dead: bool
    exit: ExitStatus | None  # only of a dead one, and not of every one
    window_activity: int
    typed_at: int | None  # when a person who is attached last pressed a key; None: nobody has
    in_mode: bool  # copy mode or the like: keys don't reach the program
    piped: bool
    width: int
    height: int


@dataclass(frozen=True)
class TtyModes:
    """How a terminal treats what is typed: who echoes it, and whether it waits for a whole line."""

    echo: bool
    canonical: bool


@dataclass(frozen=True)
class Launch:
    """What to run in a session: argv and the whole environment, never through a shell."""

    session: str
    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    log: Path | None
    """Where its output goes; None: nowhere but to the screen."""


class Clock(Protocol):
    def wall(self) -> float:
        """Seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds that only go forward; the same scale for every process of one boot."""


class Terminal(Protocol):
    """A tmux server of our own. Every method costs one tmux process and raises CannotTell."""

    def panes(self) -> list[Pane]:
        """Every pane of the server; [] where no server runs."""

    def start(self, launch: Launch) -> int:
        """Run it in its session, made or respawned, and return its pid.

        Whatever ran there must be gone already.

        Starts the server where none runs. The pane's output goes to `launch.log`.
        """

    def pipe(self, pane: str, log: Path) -> None:
        """Append the pane's output to `log` from now on."""

    def type(self, pane: str, text: str, *, leave_mode: bool) -> None:
        """Paste `text` byte for byte, framed where the program asked for it, then Enter."""

    def keys(self, pane: str, *names: str, leave_mode: bool = False) -> None:
        """Press keys by their tmux names: Enter, Escape, C-c."""

    def screen(self, pane: str) -> str:
        """What the pane shows, without colours."""

    def screens(self, panes: Sequence[str]) -> list[str]:
        """What each of the panes shows, with its colours as escapes; one tmux process for all."""

    def modes(self, tty: str) -> TtyModes | None:
        """The modes of a pane's terminal; None if they can't be told. Costs no tmux process."""

    def unread(self, tty: str) -> int | None:
        """Bytes that were typed into it, Enter and all, and that no program has read yet (where
        it waits for whole lines, one without its Enter doesn't count); None if unknown."""

    def close(self, session: str) -> None:
        """Remove the session, if it is there; its process should be gone already."""

    def end_server(self) -> None:
        """End the server, if it runs, and remove what it leaves."""

    def server_pid(self) -> int | None:
        """The server's process, None where none runs."""

    def listener(self) -> int | None:
        """As `server_pid`, of a server that gives no answer too. Costs no tmux process."""


@dataclass(frozen=True)
class ProcessInfo:
    """One living process (never a zombie), from /proc."""

    id: ProcessId
    parent: int
    own_cpu: float  # seconds that it used itself
    reaped_cpu: float  # seconds that its ended children used


class Table(Protocol):
    """All living processes, as one pass over /proc saw them."""

    def tree(self, process: ProcessId) -> list[ProcessInfo]:
        """The process and all its descendants, it first; [] where it is gone."""

    def with_argument(self, word: str) -> list[ProcessId]:
        """Living processes with exactly that word on their command line."""

    def marked(self, mark: str) -> list[ProcessId]:
        """Living processes that carry `mark` (NAME=value) in their environment, and what
        descends from them: what an agent left behind, however it detached itself."""


class Processes(Protocol):
    """Processes by (pid, start time), so that a reused pid is never taken for its predecessor."""

    def identify(self, pid: int) -> ProcessId | None:
        """The living process of that pid; None if it is gone or a zombie."""

    def alive(self, process: ProcessId) -> bool:
        """False for a zombie and for another process that has the pid now."""

    def exit_status(self, pid: int) -> ExitStatus | None:
        """How a process that is a zombie ended, where the kernel tells."""

    def watch(self, process: ProcessId) -> None:
        """Wake `wait` as soon as it dies. Watching twice, or a dead one, is no error."""

    def snapshot(self) -> Table:
        """One pass over /proc, to be asked for many roles."""

    def end(self, processes: Sequence[ProcessId], *, grace: float) -> list[ProcessId]:
        """TERM (skipped if grace is 0), `grace` seconds, KILL; returns what is still alive."""

    def signal(self, process: ProcessId, signal: int) -> None:
        """Send it if that very process still lives."""


class Files(Protocol):
    """The state folder. Writes are whole or not at all."""

    def stamp(self, path: Path) -> FileStamp | None:
        """Size and mtime; None where the file is absent."""

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace a JSON file atomically and durably; raises OSError, the old one intact."""

    def load(self, name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        """What `read` makes of it. A corrupt one (`read` raises ValueError) is set aside with
        its date, and the version before it is used."""

    def peek(self, name: str) -> Mapping[str, Any] | None:
        """The JSON object; nothing is set aside. ValueError or OSError if it can't be read."""

    def append(self, name: str, line: str) -> None:
        """Append one whole line or nothing; raises OSError."""

    def write(self, path: Path, text: str) -> None:
        """Replace a text file atomically; raises OSError."""

    def tail(self, path: Path, size: int) -> str:
        """The last `size` bytes of a file as text; "" where it can't be read."""

    def end(self, name: str, size: int) -> str:
        """As `tail`, of a file of the state folder; where it was just rotated, of that one."""

    def rotate(self, path: Path, keep: int) -> None:
        """Move a session's log aside by copy and truncate; raises OSError, the log intact."""


@dataclass(frozen=True)
class Opening:
    """What a backend's reader of evidence made for a process that is to be started."""

    conversation: str
    port: int = 0
    """Where its API is to be; 0: nowhere."""
    env: Mapping[str, str] = field(default_factory=dict)
    """What it gets in its environment besides."""


class Witness(Protocol):
    """A backend's reader of exact evidence about one role's session, beside tmux and /proc.

    A screen is what a pane shows, with its colours as escapes.
    """

    def look(self, view: SessionView, mem: RoleMemory) -> SessionView:
        """The view of a living process with the client's own account; cheap, for each tick."""

    def in_doubt(self, view: SessionView, mem: RoleMemory, now: float) -> bool:
        """Whether the screen has to be looked at, too."""

    def see(self, view: SessionView, raw: str, now: float) -> SessionView:
        """The view with what its screen tells."""

    def before_start(self, conversation: str) -> Opening:
        """Make what a new process needs; raises CannotTell where it must not be started."""

    def submit(self, text: str) -> bool:
        """Hand it a prompt by a way of its own; False: it has none, so the prompt is typed.

        Raises CannotTell where it isn't known to have been taken."""

    def refuses(self, raw: str) -> str:
        """Why nothing can be typed at this screen; "" where it can."""

    def typed(self, text: str) -> None:
        """Remember what was typed last."""

    def ours(self, raw: str) -> bool:
        """Whether what stands in its box is what was typed last, and never submitted."""

    def takes_enter(self, raw: str) -> bool:
        """Whether Enter would submit what stands in its box, and do nothing else."""

    def answer(self, raw: str) -> str | None:
        """The one key to press at the known dialog of this screen."""
