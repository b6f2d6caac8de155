"""The world -> a Snapshot: the only reader. One tmux command a tick, however many sessions.

What the cheap signals leave in doubt is looked at more closely: only then is the CPU time of
the processes read. A thing that can't be read is UNKNOWN, and nothing is concluded from it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from cc_ci_orch.core import liveness
from cc_ci_orch.core.model import (
    ExitStatus,
    FileStamp,
    Memory,
    Outcome,
    Request,
    RoleMemory,
    Seen,
    SessionView,
    Snapshot,
    Trouble,
)
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.errors import OrchError
from cc_ci_orch.seats import Seat
from cc_ci_orch.shell.ports import CannotTell, Clock, Files, Pane, Processes, Witness

TAIL = 4096
"""Bytes of an ended process's log in which it may say why it ended."""

ACTIVITY = "activity file"

PanesSource = Callable[[], list[Pane]]


class Observer:
    """Makes snapshots, and keeps the panes that it saw last for whoever acts on them."""

    def __init__(
        self,
        seats: Sequence[Seat],
        panes: PanesSource,
        processes: Processes,
        files: Files,
        clock: Clock,
        boot_id: str,
        policy: Policy,
        entropy: Callable[[], int] = lambda: random.SystemRandom().getrandbits(128),
        viewer: str = "",
        foreign: Sequence[str] = (),
        phases: tuple[PhaseSpec, ...] = (),
        identity: str = "",
        news: Callable[[], News | None] = lambda: None,
        witnesses: Mapping[str, Witness] = {},
        screens: Callable[[Sequence[str]], list[str]] = lambda panes: [],
        has: Mapping[str, Callable[[str], bool]] = {},
        unread: Callable[[str], int | None] = lambda tty: None,
    ) -> None:
        self.seats = {seat.name: seat for seat in seats}
        self._list_panes = panes
        self._processes = processes
        self._files = files
        self._clock = clock
        self._boot_id = boot_id
        self._policy = policy
        self._entropy = entropy
        self.viewer = viewer
        self._foreign = frozenset(foreign)
        self._phases = phases
        self._identity = identity
        self._news = news
        self.witnesses = witnesses
        self._screens = screens
        self._has = has
        self._unread = unread
        self.supervising = True
        """False: nobody supervises now; only what a person asks for is to be done."""
        self.panes: Mapping[str, Pane] = {}

    def look(
        self,
        memory: Memory,
        requests: Sequence[Request] = (),
        outcomes: Sequence[Outcome] = (),
        troubles: Sequence[Trouble] = (),
        turn: frozenset[str] = frozenset(),
    ) -> Snapshot:
        """The snapshot of this moment."""
        terminal = self._look_at_panes()
        now = self._clock.monotonic()
        views: Mapping[str, SessionView] = {
            name: self._view(seat, memory.roles.get(name, RoleMemory()), terminal)
            for name, seat in self.seats.items()
        }
        views = self._look_at_screens(views, memory, now)
        views = self._resolve_doubts(views, memory, now)
        return Snapshot(
            mono=now,
            wall=self._clock.wall(),
            boot_id=self._boot_id,
            entropy=self._entropy(),
            terminal=terminal,
            sessions=views,
            roles=tuple(seat.spec for seat in self.seats.values()),
            requests=tuple(requests),
            outcomes=tuple(outcomes),
            turn=turn,
            phases=self._phases,
            identity=self._identity,
            news=self._news(),
            keep_terminal=any(self._lives(name) for name in self._foreign),
            viewer=self._viewer_presence(terminal),
            supervising=self.supervising,
            troubles=(*troubles, *self._terminal_trouble(terminal)),
        )

    def look_again(self, role: str) -> SessionView:
        """A fresh view of one session, for the second look before something is ended."""
        terminal = self._look_at_panes()
        mem = RoleMemory()
        view = self._view(self.seats[role], mem, terminal)
        if role not in self.witnesses or view.running is not Seen.PRESENT:
            return view
        return self._see([view], self._clock.monotonic()).get(role, view)

    # -------------------------------------------------------------------------- the terminal

    def _look_at_panes(self) -> Seen:
        try:
            panes = self._list_panes()
        except (CannotTell, OrchError) as error:
            self._unanswered = str(error)
            return Seen.UNKNOWN
        self.panes = {pane.session: pane for pane in panes}
        return Seen.PRESENT if panes else Seen.ABSENT

    def _lives(self, session: str) -> bool:
        pane = self.panes.get(session)
        return pane is not None and not pane.dead

    def _viewer_presence(self, terminal: Seen) -> Seen:
        if terminal is Seen.UNKNOWN or not self.viewer:
            return Seen.UNKNOWN
        return Seen.PRESENT if self._lives(self.viewer) else Seen.ABSENT

    def _terminal_trouble(self, terminal: Seen) -> tuple[Trouble, ...]:
        if terminal is not Seen.UNKNOWN:
            return ()
        return (Trouble("tmux", f"tmux doesn't answer: {self._unanswered}"),)

    # -------------------------------------------------------------------------- one session

    def _view(self, seat: Seat, mem: RoleMemory, terminal: Seen) -> SessionView:
        view = SessionView(seat.name, terminal)
        if terminal is Seen.UNKNOWN:
            return replace(view, running=Seen.UNKNOWN)
        pane = self.panes.get(seat.session)
        if pane is None:
            return replace(view, presence=Seen.ABSENT, lost=self._is_lost(seat, mem))
        process = None if pane.dead else self._processes.identify(pane.pid)
        view = replace(
            view,
            presence=Seen.PRESENT,
            pane=pane.pane,
            piped=pane.piped,
            window_activity=pane.window_activity,
            in_mode=pane.in_mode,
            typed_ago=self._typed_ago(pane),
        )
        if process is None:
            return replace(view, exit=self._exit(pane), lost=self._says_lost(seat, mem))
        self._processes.watch(process)
        log, readable = self._stamp(seat.log)
        activity, known = self._stamp(seat.activity)
        touched = {ACTIVITY: activity.mtime_ns if activity else 0}
        view = replace(
            view,
            process=process,
            running=Seen.PRESENT,
            log=log,
            log_counts=pane.piped and readable,
            signals=touched if known else {},
            unreadable=() if known else (ACTIVITY,),
        )
        if (witness := self.witnesses.get(seat.name)) is not None:
            return witness.look(view, mem)
        typed = mem.typing is not None and mem.typing.sent_at is not None
        return replace(view, unread=self._unread(pane.tty)) if typed else view

    def _typed_ago(self, pane: Pane) -> float | None:
        return None if pane.typed_at is None else max(0.0, self._clock.wall() - pane.typed_at)

    def _exit(self, pane: Pane) -> ExitStatus | None:
        """What tmux knows, or the kernel, where tmux left a zombie."""
        known = pane.exit
        if known is None or (known.code is None and known.signal is None):
            return self._processes.exit_status(pane.pid)
        return known

    def _is_lost(self, seat: Seat, mem: RoleMemory) -> bool:
        """Whether its client doesn't have the conversation any more, where its files tell."""
        has = self._has.get(seat.name)
        same = mem.conversation_backend == seat.backend.name
        return has is not None and mem.begun and same and not has(mem.conversation or "")

    def _says_lost(self, seat: Seat, mem: RoleMemory) -> bool:
        if self._is_lost(seat, mem):
            return True
        if mem.process is None or not mem.resumed:
            return False
        return seat.backend.says_lost(self._files.tail(seat.log, TAIL))

    def _stamp(self, path: Path) -> tuple[FileStamp | None, bool]:
        try:
            return self._files.stamp(path), True
        except CannotTell:
            return None, False

    # -------------------------------------------------------------------------- closer looks

    def _look_at_screens(
        self, views: Mapping[str, SessionView], memory: Memory, now: float
    ) -> Mapping[str, SessionView]:
        """Look at the screens of those whose client leaves a doubt; one tmux command for all."""
        doubtful = [
            views[name]
            for name, witness in self.witnesses.items()
            if name in views
            and views[name].running is Seen.PRESENT
            and witness.in_doubt(views[name], memory.roles.get(name, RoleMemory()), now)
        ]
        return {**views, **self._see(doubtful, now)} if doubtful else views

    def _see(self, views: Sequence[SessionView], now: float) -> Mapping[str, SessionView]:
        """The views with what their screens tell; {} where tmux doesn't answer now."""
        try:
            shown = self._screens([view.pane or "" for view in views])
        except CannotTell:
            return {}
        return {
            view.role: self.witnesses[view.role].see(view, raw, now)
            for view, raw in zip(views, shown, strict=False)
        }

    def _resolve_doubts(
        self, views: Mapping[str, SessionView], memory: Memory, now: float
    ) -> Mapping[str, SessionView]:
        """Read the CPU time of the processes of those that have been silent for a while."""
        doubtful = [
            view
            for name, view in views.items()
            if liveness.in_doubt(view, memory.roles.get(name, RoleMemory()), self._policy, now)
        ]
        if not doubtful:
            return views
        table = self._processes.snapshot()
        closer = {}
        for view in doubtful:
            assert view.process is not None
            tree = table.tree(view.process)
            if tree:
                below = sum(p.own_cpu + p.reaped_cpu for p in tree[1:]) + tree[0].reaped_cpu
                closer[view.role] = replace(view, cpu=below, children=len(tree) - 1)
        return {**views, **closer}
