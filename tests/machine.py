"""A computer in memory: clocks, processes, a tmux server and a disk, and what can fail in them.

Time passes only in `advance`; between two events everything that runs simply goes on. The
ports that the product sees of it are in `fakes.py` and `fake_tmux.py`, the programs that run on
it in `scripts.py`. A `Monitor` is told of all that is done to processes.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from pathlib import Path
from signal import SIGHUP, SIGKILL
from typing import Any

from cc_ci_orch.core.model import ExitStatus, ProcessId
from tests.parts import Blob, Faults, Monitor, Pane, Proc, Server

FIRST_PID = 300


class Machine:
    """One machine, and one tmux server on it."""

    def __init__(self) -> None:
        self.mono = 1000.0
        self.wall = 1_800_000_000.0
        self.boots = 1
        self.faults = Faults()
        self.procs: dict[int, Proc] = {}
        self.zombies: dict[int, ExitStatus] = {}
        self.server: Server | None = None
        self.files: dict[Path, Blob] = {}
        self.json: dict[str, str] = {}
        self.lines: dict[str, list[str]] = {}
        self.watched: set[ProcessId] = set()
        self.woken = False
        """Somebody who waits is to look: a watched process died, or a bell rang."""
        self.monitors: list[Monitor] = []
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._numbers = itertools.count(1)
        self._pids = itertools.count(FIRST_PID)

    @property
    def boot_id(self) -> str:
        return f"boot-{self.boots}"

    # ------------------------------------------------------------------ time

    def at(self, when: float, do: Callable[[], object]) -> None:
        """Have something done at that time (mono), unless the machine goes down before."""
        heapq.heappush(self._events, (when, next(self._numbers), do))

    def advance(self, seconds: float, *, awake: bool = False) -> None:
        """Let time pass; if `awake`, only until somebody who waits is to look."""
        until = self.mono + max(0.0, seconds)
        while not (awake and self.woken):
            if not self._events or self._events[0][0] > until:
                self._pass(until)
                return
            due, _, do = heapq.heappop(self._events)
            self._pass(due)
            do()

    def freeze(self, seconds: float) -> None:
        """Both clocks move on, and nothing runs meanwhile."""
        self.mono += seconds
        self.wall += seconds
        self._events = [(when + seconds, number, do) for when, number, do in self._events]
        for proc in self.procs.values():
            if proc.program is not None:
                proc.program.shift(seconds)

    def _pass(self, until: float) -> None:
        passed = until - self.mono
        if passed <= 0:
            return
        self.mono = until
        self.wall += passed
        for proc in list(self.procs.values()):
            proc.own_cpu += proc.cpu_rate * passed
            if proc.program is not None and not proc.dying:
                proc.program.live(until)

    # ------------------------------------------------------------------ processes

    def spawn(self, parent: int, **what: Any) -> Proc:
        pid = next(self._pids)
        proc = Proc(ProcessId(pid, int(self.mono * 100)), parent, **what)
        self.procs[pid] = proc
        for monitor in self.monitors:
            monitor.spawned(proc)
        return proc

    def find(self, process: ProcessId) -> Proc | None:
        proc = self.procs.get(process.pid)
        return proc if proc is not None and proc.id == process else None

    def children(self, pid: int) -> list[Proc]:
        return [proc for proc in self.procs.values() if proc.parent == pid]

    def tree(self, pid: int) -> list[Proc]:
        """The process and what descends from it."""
        found = [self.procs[pid]] if pid in self.procs else []
        for child in self.children(pid):
            found += self.tree(child.id.pid)
        return found

    def marked(self, mark: str) -> list[Proc]:
        return [proc for proc in self.procs.values() if mark and proc.mark == mark]

    def signal(self, proc: Proc, number: int, *, by_us: bool = True) -> None:
        """Send a signal; `by_us`: the supervisor does, so the monitors hear of it."""
        if by_us:
            for monitor in self.monitors:
                monitor.signalled(proc, number)
        if number == SIGKILL:
            if not proc.dying and self.faults.slow_death:
                proc.dying = True
                self.at(self.mono + self.faults.slow_death, lambda: self._die_late(proc))
            elif not proc.dying:
                self.die(proc, ExitStatus(signal=9))
        elif proc.program is None or proc.program.signalled(number):
            self.die(proc, ExitStatus(signal=number))

    def _die_late(self, proc: Proc) -> None:
        if self.find(proc.id) is proc:
            self.die(proc, ExitStatus(signal=9))

    def die(self, proc: Proc, exit: ExitStatus) -> None:
        """It ends. Tools in its session get the hang-up; detached ones live on."""
        del self.procs[proc.id.pid]
        if self.server is not None and proc.id.pid == self.server.pid:
            self.end_server()
        parent = self.procs.get(proc.parent)
        if parent is not None:
            parent.reaped_cpu += proc.own_cpu + proc.reaped_cpu
        pane = self.pane_of(proc.id.pid)
        for child in self.children(proc.id.pid):
            child.parent = 1
            if not child.detached and pane is not None:
                self.die(child, ExitStatus(signal=SIGHUP))
        if pane is not None:
            if self.faults.zombies:
                self.zombies[proc.id.pid] = exit
            else:
                pane.dead, pane.exit = True, exit
        if proc.id in self.watched:
            self.watched.discard(proc.id)
            self.woken = True

    # ------------------------------------------------------------------ the terminal server

    def pane_of(self, pid: int) -> Pane | None:
        panes = self.server.panes.values() if self.server else ()
        return next((pane for pane in panes if pane.pid == pid and not pane.dead), None)

    def start_server(self) -> Server:
        if self.server is None:
            self.server = Server(self.spawn(1).id.pid)
        return self.server

    def end_server(self) -> None:
        """The server goes, however; what ran in its panes gets the hang-up."""
        if self.server is None:
            return
        server, self.server = self.server, None
        self.faults.tmux_silent = self.faults.tmux_stuck = False
        if (proc := self.procs.get(server.pid)) is not None:
            self.die(proc, ExitStatus(code=0))
        for pane in server.panes.values():
            self.zombies.pop(pane.pid, None)
            inside = self.procs.get(pane.pid)
            if inside is not None:
                inside.parent = 1
                self.hang_up(inside)

    def hang_up(self, proc: Proc) -> None:
        """The terminal of a process is gone."""
        for child in self.children(proc.id.pid):
            if not child.detached:
                self.die(child, ExitStatus(signal=SIGHUP))
        self.signal(proc, SIGHUP, by_us=False)

    def output(self, pid: int, size: int) -> None:
        """A program, or its terminal's echo, prints."""
        pane = self.pane_of(pid)
        if pane is None or size <= 0:
            return
        if self.faults.tmux_stuck:
            pane.unread += size
            return
        pane.activity = int(self.wall)
        if not pane.piped or pane.log is None:
            return
        if self.faults.disk_full:  # the pipe's writer ends at its first failure
            pane.piped = False
            return
        self.grow(pane.log, size)

    def flush(self) -> None:
        """A server that stood still goes on, and takes what has been printed meanwhile."""
        self.faults.tmux_stuck = False
        for pane in self.server.panes.values() if self.server else ():
            size, pane.unread = pane.unread, 0
            self.output(pane.pid, size)

    # ------------------------------------------------------------------ the disk

    def grow(self, path: Path, size: int, text: str = "") -> None:
        blob = self.files.setdefault(path, Blob())
        blob.size += size
        blob.mtime_ns = int(self.wall * 1e9)
        blob.text = (blob.text + text)[-4096:]

    # ------------------------------------------------------------------ great events

    def reboot(self, down: float = 60.0) -> None:
        """Everything ends; the disk stays."""
        self.procs.clear()
        self.zombies.clear()
        self.watched.clear()
        self._events.clear()
        self.server = None
        self.boots += 1
        self.wall += down
        self.mono = 20.0
        self._pids = itertools.count(FIRST_PID)
        self.woken = True
