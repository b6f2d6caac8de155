"""The ports of the product over a `Machine`: what the supervisor sees and can do of it.

Before and after everything that a port changes, the supervisor may die (`Mortality`).
"""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from signal import SIGKILL, SIGTERM
from typing import Any, TypeVar

from cc_ci_orch.core.model import ExitStatus, FileStamp, ProcessId
from cc_ci_orch.shell.ports import CannotTell, ProcessInfo
from tests.machine import Machine
from tests.parts import Blob

T = TypeVar("T")

KILL_WAIT = 1.0
PREVIOUS = ".previous"


class SupervisorDied(BaseException):
    """The supervisor is killed at this very point."""


class Mortality:
    """Lets the supervisor die at one of the coming points, as a SIGKILL would."""

    def __init__(self) -> None:
        self.points = 0
        self.dies_at: int | None = None

    def point(self) -> None:
        self.points += 1
        if self.dies_at is not None and self.points >= self.dies_at:
            self.dies_at = None
            raise SupervisorDied


class FakeClock:
    """Implements `Clock`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def wall(self) -> float:
        return self._machine.wall

    def monotonic(self) -> float:
        return self._machine.mono


class FakeWaiter:
    """Implements the watchdog's `Waiter`: time jumps to whatever comes first."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.end = float("inf")
        """When the story itself goes on (mono)."""

    def wait(self, seconds: float) -> None:
        self._machine.advance(min(seconds, self.end - self._machine.mono), awake=True)
        self._machine.woken = False

    def ring(self) -> None:
        self._machine.woken = True


class FakeTable:
    """Implements `Table`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def tree(self, process: ProcessId) -> list[ProcessInfo]:
        if self._machine.find(process) is None:
            return []
        tree = self._machine.tree(process.pid)
        return [ProcessInfo(p.id, p.parent, p.own_cpu, p.reaped_cpu) for p in tree]

    def with_argument(self, word: str) -> list[ProcessId]:
        procs = self._machine.procs.values()
        return [proc.id for proc in procs if word and proc.conversation == word]

    def marked(self, mark: str) -> list[ProcessId]:
        carriers = self._machine.marked(mark)
        return [proc.id for carrier in carriers for proc in self._machine.tree(carrier.id.pid)]


class FakeProcesses:
    """Implements `Processes`."""

    def __init__(self, machine: Machine, mortality: Mortality) -> None:
        self._machine = machine
        self._mortality = mortality

    def identify(self, pid: int) -> ProcessId | None:
        proc = self._machine.procs.get(pid)
        return proc.id if proc else None

    def alive(self, process: ProcessId) -> bool:
        return self._machine.find(process) is not None

    def exit_status(self, pid: int) -> ExitStatus | None:
        return self._machine.zombies.get(pid)

    def watch(self, process: ProcessId) -> None:
        if self.alive(process):
            self._machine.watched.add(process)

    def snapshot(self) -> FakeTable:
        return FakeTable(self._machine)

    def end(self, processes: Sequence[ProcessId], *, grace: float) -> list[ProcessId]:
        self._mortality.point()
        if grace > 0:
            self._send(processes, SIGTERM)
            self._machine.advance(grace)
        self._send(processes, SIGKILL)
        if any(map(self.alive, processes)):
            self._machine.advance(KILL_WAIT)
        self._mortality.point()
        return [process for process in processes if self.alive(process)]

    def signal(self, process: ProcessId, signal: int) -> None:
        self._mortality.point()
        self._send([process], signal)
        self._mortality.point()

    def _send(self, processes: Sequence[ProcessId], number: int) -> None:
        for process in processes:
            proc = self._machine.find(process)
            if proc is not None:
                self._machine.signal(proc, number)


class FakeFiles:
    """Implements `Files`."""

    def __init__(self, machine: Machine, mortality: Mortality) -> None:
        self._machine = machine
        self._mortality = mortality
        self.set_aside: list[str] = []

    def stamp(self, path: Path) -> FileStamp | None:
        if self._machine.faults.state_unreadable:
            raise CannotTell(f"{path}: Input/output error")
        blob = self._machine.files.get(path)
        return FileStamp(blob.size, blob.mtime_ns) if blob else None

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        self._mortality.point()
        self._need_space()
        old = self._machine.json.get(name)
        if old is not None:
            self._machine.json[name + PREVIOUS] = old
        self._machine.json[name] = json.dumps(dict(value))
        self._mortality.point()

    def load(self, name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        self._need_reading()
        for version in (name, name + PREVIOUS):
            text = self._machine.json.get(version)
            if text is None:
                continue
            try:
                return read(json.loads(text))
            except ValueError:
                self.set_aside.append(text)
                del self._machine.json[version]
        return None

    def peek(self, name: str) -> Mapping[str, Any] | None:
        return self.load(name, dict)

    def append(self, name: str, line: str) -> None:
        self._mortality.point()
        self._need_space()
        self._machine.lines.setdefault(name, []).append(line)

    def write(self, path: Path, text: str) -> None:
        self._mortality.point()
        self._need_space()
        self._machine.files[path] = Blob(len(text.encode()), int(self._machine.wall * 1e9))

    def tail(self, path: Path, size: int) -> str:
        blob = self._machine.files.get(path)
        return blob.text[-size:] if blob else ""

    def end(self, name: str, size: int) -> str:
        return "\n".join(self._machine.lines.get(name, ()))[-size:]

    def rotate(self, path: Path, keep: int) -> None:
        self._mortality.point()
        self._need_space()
        self._machine.files[path] = Blob(0, int(self._machine.wall * 1e9))

    def _need_space(self) -> None:
        if self._machine.faults.disk_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def _need_reading(self) -> None:
        if self._machine.faults.state_unreadable:
            raise OSError(errno.EIO, "Input/output error")
