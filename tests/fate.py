"""What befalls a World: crashes, reboots, clocks, tmux, and people at their terminals."""

from __future__ import annotations

from abc import ABC, abstractmethod

from tests.machine import Machine
from tests.parts import Pane
from tests.scripts import Agent


class Fate(ABC):
    """The part of `World` by which a story makes things happen."""

    machine: Machine
    agents: dict[str, Agent]
    """The last agent of each role, alive or not."""

    @property
    def now(self) -> float:
        return self.machine.mono

    @abstractmethod
    def pane(self, role: str = "builder") -> Pane: ...

    @abstractmethod
    def kill_supervisor(self) -> None: ...

    def kill_agent(self, role: str = "builder", number: int = 9) -> None:
        self.machine.signal(self.agents[role].proc, number, by_us=False)

    def reboot(self, down: float = 60.0) -> None:
        self.machine.reboot(down)
        self.kill_supervisor()

    def tmux_stalls(self, seconds: float, flushed_after: float = 0.2) -> None:
        """The server stands still, and goes on later as if nothing had been."""
        self.machine.faults.tmux_silent = self.machine.faults.tmux_stuck = True
        self.machine.at(self.now + seconds, lambda: self.tmux_goes_on(flushed_after))

    def tmux_goes_on(self, flushed_after: float = 0.2) -> None:
        self.machine.faults.tmux_silent = False
        self.machine.at(self.now + flushed_after, self.machine.flush)

    def suspend(self, seconds: float) -> None:
        """The laptop is closed: the date moves on, nothing else does."""
        self.machine.wall += seconds

    def leave_unwatched(self, seconds: float) -> None:
        """The supervisor stands still; the agents go on."""
        self.machine.advance(seconds)

    def person_types(self, role: str = "builder", text: str = "") -> None:
        """Somebody is attached, and presses keys."""
        self.pane(role).typed_at = int(self.machine.wall)
        self.agents[role].typed(text)

    def person_leaves(self, role: str = "builder") -> None:
        self.pane(role).typed_at = None
