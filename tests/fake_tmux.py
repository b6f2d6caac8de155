"""tmux over a `Machine`: what it answers, and what it does with keys and output."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from cc_ci_orch.shell import ports
from cc_ci_orch.shell.ports import CannotTell, Launch, TtyModes
from tests.fakes import Mortality
from tests.machine import Machine
from tests.parts import Pane, Proc

TMUX_TIMEOUT = 5.0
ECHO_DELAY = 0.05


class FakeTerminal:
    """Implements `Terminal`. `run` makes the program of a launch, which begins at once."""

    def __init__(
        self, machine: Machine, mortality: Mortality, run: Callable[[Launch, Pane], Proc]
    ) -> None:
        self._machine = machine
        self._mortality = mortality
        self._run = run
        self._count = 0
        self.echo = True
        self.drawn = 0
        """Bytes that a full-screen client draws of whatever is typed into it."""
        self.answered_at: float | None = None
        """When the last look at the panes was taken; None if that one got no answer."""

    def panes(self) -> list[ports.Pane]:
        self.answered_at = None
        self._ask()
        self.answered_at = self._machine.mono
        server = self._machine.server
        return [_as_seen(pane) for pane in server.panes.values()] if server else []

    def start(self, launch: Launch) -> int:
        self._change()
        machine = self._machine
        server = machine.start_server()
        old = server.panes.pop(launch.session, None)
        if old is not None:
            machine.zombies.pop(old.pid, None)
            if old.pid in machine.procs:
                machine.hang_up(machine.procs[old.pid])
        self._count += 1
        piped = launch.log is not None
        number, now = self._count, int(machine.wall)
        pane = Pane(launch.session, f"%{number}", f"/dev/pts/{number}", 0, launch.log, piped, now)
        server.panes[launch.session] = pane
        proc = self._run(launch, pane)
        self._mortality.point()
        return proc.id.pid

    def pipe(self, pane: str, log: Path) -> None:
        self._change()
        self._find(pane).piped = True

    def type(self, pane: str, text: str, *, leave_mode: bool) -> None:
        self._change()
        self._enter(pane, leave_mode, text, ("Enter",))
        self._mortality.point()

    def keys(self, pane: str, *names: str, leave_mode: bool = False) -> None:
        self._change()
        self._enter(pane, leave_mode, "", names)
        self._mortality.point()

    def screen(self, pane: str) -> str:
        return self.screens([pane])[0]

    def screens(self, panes: Sequence[str]) -> list[str]:
        """A screen is only the pane's name: see `FakeWitness`."""
        self._ask()
        return list(panes)

    def modes(self, tty: str) -> TtyModes | None:
        return TtyModes(echo=self.echo, canonical=self.echo)

    def unread(self, tty: str) -> int | None:
        return None

    def close(self, session: str) -> None:
        self._change()
        server = self._machine.server
        pane = server.panes.pop(session, None) if server else None
        if pane is not None:
            self._machine.zombies.pop(pane.pid, None)
            if pane.pid in self._machine.procs:
                self._machine.hang_up(self._machine.procs[pane.pid])
        self._mortality.point()

    def end_server(self) -> None:
        self._change()
        self._machine.end_server()
        self._mortality.point()

    def server_pid(self) -> int | None:
        self._ask()
        return self._machine.server.pid if self._machine.server else None

    def listener(self) -> int | None:
        return self._machine.server.pid if self._machine.server else None

    def _ask(self) -> None:
        if self._machine.faults.tmux_silent and self._machine.server is not None:
            self._machine.advance(TMUX_TIMEOUT)
            raise CannotTell("tmux: no answer within 5 s")

    def _change(self) -> None:
        self._mortality.point()
        self._ask()

    def _find(self, name: str) -> Pane:
        panes = self._machine.server.panes.values() if self._machine.server else ()
        for pane in panes:
            if pane.name == name:
                return pane
        raise CannotTell(f"tmux: can't find pane: {name}")

    def _enter(self, name: str, leave_mode: bool, text: str, keys: Sequence[str]) -> None:
        """What is typed: the terminal echoes it, the program gets it; copy mode eats keys."""
        pane = self._find(name)
        if leave_mode:
            pane.in_mode = False
        proc = self._machine.procs.get(pane.pid)
        if proc is None or proc.program is None:
            return
        if pane.in_mode:
            keys = ()
        if self.echo or self.drawn:
            size = self.drawn or len(text.encode()) + text.count("\n") + 2 * len(keys)
            machine, pid = self._machine, pane.pid
            machine.at(machine.mono + ECHO_DELAY, lambda: machine.output(pid, size))
        for monitor in self._machine.monitors:
            if text:
                monitor.typed(proc, text)
            for key in keys:
                monitor.pressed(proc, key)
        if text:
            proc.program.typed(text)
        for key in keys:
            proc.program.pressed(key)


def _as_seen(pane: Pane) -> ports.Pane:
    return ports.Pane(
        session=pane.session,
        pane=pane.name,
        pid=pane.pid,
        tty=pane.tty,
        dead=pane.dead,
        exit=pane.exit if pane.dead else None,
        window_activity=pane.activity,
        typed_at=pane.typed_at,
        in_mode=pane.in_mode,
        piped=pane.piped and not pane.dead,
        width=120,
        height=40,
    )
