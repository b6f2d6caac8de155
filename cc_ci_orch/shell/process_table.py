"""All processes as one pass over /proc saw them (Linux).

A zombie is dead. But a process whose main thread alone has ended shows as one too, and lives.
What is another user's, or vanishes while it is looked at, is skipped without a word.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from cc_ci_orch.core.model import ProcessId
from cc_ci_orch.shell.ports import ProcessInfo

_TICKS = os.sysconf("SC_CLK_TCK")
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD


@dataclass(frozen=True, slots=True)
class Stat:
    """The fields of /proc/PID/stat that are used here, numbered as in proc(5)."""

    id: ProcessId
    alive: bool
    parent: int
    session: int
    kernel: bool
    own_ticks: int
    reaped_ticks: int
    exit_code: int


def _read(path: str) -> bytes | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = chunk = os.read(fd, 65536)
        while len(chunk) == 65536:  # only an environment may be longer
            chunk = os.read(fd, 65536)
            data += chunk
        return data
    except OSError:
        return None
    finally:
        os.close(fd)


def read_stat(pid: int) -> Stat | None:
    """What the kernel says of that process; None where there is none."""
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    # The name in parentheses may hold anything, parentheses too; after it come only numbers.
    f = data[data.rindex(b")") + 2 :].split()
    threads = int(f[17])
    return Stat(
        id=ProcessId(pid, int(f[19])),
        alive=f[0] not in (b"Z", b"X", b"x") or threads > 1,
        parent=int(f[1]),
        session=int(f[3]),
        kernel=bool(int(f[6]) & _KERNEL_THREAD),
        own_ticks=int(f[11]) + int(f[12]),
        reaped_ticks=int(f[13]) + int(f[14]),
        exit_code=int(f[49]) if len(f) > 49 else 0,
    )


class ProcessTable:
    """All living processes as one pass over /proc saw them; answers for many roles at once."""

    def __init__(self) -> None:
        stats = (read_stat(int(name)) for name in os.listdir("/proc") if name.isdigit())
        self._stats = {s.id.pid: s for s in stats if s is not None and s.alive}
        self._environ: dict[int, bytes] = {}

    def tree(self, process: ProcessId) -> list[ProcessInfo]:
        """The process and all its descendants, it first; [] where it is gone."""
        root = self._stats.get(process.pid)
        if root is None or root.id != process:
            return []
        return [_info(self._stats[pid]) for pid in self._descend([process.pid], self._children)]

    def with_argument(self, word: str) -> list[ProcessId]:
        """Those with exactly that word on their command line, but for this process."""
        wanted = b"\0" + os.fsencode(word) + b"\0"
        return [
            stat.id
            for pid, stat in self._stats.items()
            if pid != os.getpid() and wanted in (_read(f"/proc/{pid}/cmdline") or b"")
        ]

    def marked(self, mark: str) -> list[ProcessId]:
        """Those that carry `mark` (NAME=value) in their environment, and all their descendants.

        This process is none of them, even if an agent started it: else all that it started
        would be taken for what that agent left behind.
        """
        wanted = b"\0" + os.fsencode(mark) + b"\0"
        pids = (pid for pid in self._stats if pid != os.getpid())
        carriers = [pid for pid in pids if wanted in self._environment(pid)]
        return [self._stats[pid].id for pid in self._descend(carriers, self._children)]

    def family(self, processes: Iterable[ProcessId]) -> list[ProcessId]:
        """Those that live, their descendants, and all of the sessions that any of them leads.

        Only a leader's descendants can be in its session, and they stay in it when they lose
        their parent. So `processes` may hold dead ones too, but only such as died just now:
        the pid of a leader is free for others once its session is empty.
        """
        known = {process.pid: process for process in processes}
        start = [
            pid
            for pid, stat in self._stats.items()
            if known.get(pid) == stat.id
            or (stat.session in known and stat.session not in self._stats)
        ]
        return [self._stats[pid].id for pid in self._descend(start, self._relations)]

    def ancestors(self, pid: int) -> set[int]:
        """The pid itself and what it descends from."""
        chain: set[int] = set()
        while pid and pid not in chain:
            chain.add(pid)
            stat = self._stats.get(pid)
            pid = stat.parent if stat else 0
        return chain

    def _environment(self, pid: int) -> bytes:
        """Read once a table. During an exec it reads as empty."""
        if pid not in self._environ:
            kernel = self._stats[pid].kernel
            self._environ[pid] = b"\0" + ((not kernel and _read(f"/proc/{pid}/environ")) or b"")
        return self._environ[pid]

    @cached_property
    def _children(self) -> dict[int, list[int]]:
        children: dict[int, list[int]] = {}
        for stat in self._stats.values():
            children.setdefault(stat.parent, []).append(stat.id.pid)
        return children

    @cached_property
    def _relations(self) -> dict[int, list[int]]:
        """Children, and the members of a session by its leader."""
        relations = {pid: list(children) for pid, children in self._children.items()}
        for stat in self._stats.values():
            relations.setdefault(stat.session, []).append(stat.id.pid)
        return relations

    @staticmethod
    def _descend(start: Iterable[int], below: dict[int, list[int]]) -> Iterator[int]:
        seen: set[int] = set()
        waiting = list(start)[::-1]
        while waiting:
            pid = waiting.pop()
            if pid not in seen:
                seen.add(pid)
                yield pid
                waiting.extend(below.get(pid, ()))


def _info(stat: Stat) -> ProcessInfo:
    return ProcessInfo(stat.id, stat.parent, stat.own_ticks / _TICKS, stat.reaped_ticks / _TICKS)
