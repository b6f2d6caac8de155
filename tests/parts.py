"""What a `Machine` is made of: processes, panes, files, and what can be wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cc_ci_orch.core.model import ExitStatus, ProcessId


@dataclass
class Faults:
    """What is wrong with the machine just now."""

    tmux_silent: bool = False
    """The tmux server answers nobody."""
    tmux_stuck: bool = False
    """The tmux server takes no output from its panes."""
    disk_full: bool = False
    state_unreadable: bool = False
    """The state folder can't be read, nor the files in it looked at."""
    zombies: bool = False
    """Nobody notices that a pane's process ended: it stays a zombie, the pane is not dead."""
    slow_death: float = 0.0
    """Seconds from KILL to death."""


class Program(Protocol):
    """What runs in a pane."""

    def live(self, until: float) -> None:
        """Do what is done up to then, if nothing happens meanwhile."""

    def shift(self, seconds: float) -> None:
        """So much time passed in which nothing ran."""

    def signalled(self, number: int) -> bool:
        """A signal that can be caught; True if it ends the process."""

    def typed(self, text: str) -> None: ...

    def pressed(self, key: str) -> None: ...


@dataclass
class Proc:
    """A living process."""

    id: ProcessId
    parent: int
    mark: str = ""
    role: str = ""
    conversation: str = ""
    """Of an agent's own process; empty for the tools that it starts."""
    program: Program | None = None
    """None for a tool that a program started."""
    own_cpu: float = 0.0
    reaped_cpu: float = 0.0
    cpu_rate: float = 0.0
    detached: bool = False
    """In a session of its own: no hang-up reaches it."""
    dying: bool = False


@dataclass
class Pane:
    session: str
    name: str
    tty: str
    pid: int
    log: Path | None
    piped: bool
    activity: int
    dead: bool = False
    exit: ExitStatus | None = None
    typed_at: int | None = None
    in_mode: bool = False
    unread: int = 0
    """Bytes that a server which stands still has not taken yet."""


@dataclass
class Blob:
    size: int = 0
    mtime_ns: int = 0
    text: str = ""
    """The last words, where they matter."""


@dataclass
class Server:
    pid: int
    panes: dict[str, Pane] = field(default_factory=dict)


class Monitor:
    """Told of what is done to processes; does nothing by itself."""

    def spawned(self, proc: Proc) -> None: ...

    def signalled(self, proc: Proc, number: int) -> None: ...

    def typed(self, proc: Proc, text: str) -> None: ...

    def pressed(self, proc: Proc, key: str) -> None: ...
