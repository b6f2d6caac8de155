"""The programs of the simulation: agents that play a script, act by act.

An agent is of one of two kinds. A *command* says nothing of itself: what it prints is its
work. A *client* (as claude is) has an account of itself and counts its tokens, and its spinner
draws whatever it does, but for when it is idle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from signal import SIGHUP
from typing import Any

from cc_ci_orch.core.model import Account, Doing, ExitStatus
from tests.machine import Machine
from tests.parts import Pane, Proc

FOREVER = math.inf
GREETING_AFTER = 0.3
LEAVES_AFTER = 0.2
NUDGE = "nudge"


class Kind(StrEnum):
    WORK = "works and prints"
    COMPUTE = "works in silence, a child uses the CPU"
    SLEEP = "has a tool open whose child waits"
    TOUCH = "works in silence and touches its activity file"
    HANG = "hangs"
    IDLE = "is idle at its prompt"
    RETRY = "retries an API error"
    LIMITED = "is limited"
    BLOCKED = "shows a dialog"
    EXIT = "ends"


WORKING = frozenset({Kind.WORK, Kind.COMPUTE, Kind.SLEEP, Kind.TOUCH})

_DOING = {
    Kind.IDLE: Doing.IDLE,
    Kind.RETRY: Doing.RETRYING,
    Kind.LIMITED: Doing.LIMITED,
    Kind.BLOCKED: Doing.BLOCKED,
}


@dataclass(frozen=True)
class Act:
    """What an agent does for a while. Unless it says otherwise, input changes nothing."""

    kind: Kind
    seconds: float = FOREVER
    every: float = 7.0
    """Between two outputs, or touches."""
    code: int = 0
    deaf: bool = False
    """Nothing reaches it but KILL."""
    woken_by: frozenset[str] = frozenset()
    """Inputs that bring it back to work: NUDGE, or keys."""
    killed_by: frozenset[str] = frozenset()
    until: float | None = None
    """The end of a limit (wall), where it is stated."""


def works(seconds: float = FOREVER, every: float = 7.0) -> Act:
    return Act(Kind.WORK, seconds, every)


def computes(seconds: float = FOREVER) -> Act:
    return Act(Kind.COMPUTE, seconds)


def touches(seconds: float = FOREVER, every: float = 60.0) -> Act:
    return Act(Kind.TOUCH, seconds, every)


def hangs(*woken_by: str, dies_of: Iterable[str] = ()) -> Act:
    return Act(Kind.HANG, woken_by=frozenset(woken_by), killed_by=frozenset(dies_of))


def wedged() -> Act:
    """Deaf to all but KILL."""
    return Act(Kind.HANG, deaf=True)


def idles(seconds: float = FOREVER) -> Act:
    return Act(Kind.IDLE, seconds, woken_by=frozenset({NUDGE}))


def exits(code: int = 0) -> Act:
    return Act(Kind.EXIT, 0.0, code=code)


@dataclass(frozen=True)
class Script:
    """A program's life: its acts, one after the other. The last one goes on for ever."""

    acts: tuple[Act, ...]
    greets: bool = True
    leaves_behind: bool = False
    """Starts a tool in a session of its own, that outlives it."""
    swallows: int = 0
    """So many Enters are lost."""
    last_words: str = ""


def script(*acts: Act, **other: object) -> Script:
    return Script(acts, **other)  # type: ignore[arg-type]


WORKER = script(works())


@dataclass
class Agent:
    """A living agent; implements `Program`. `client`: it is one that gives an account."""

    machine: Machine
    proc: Proc
    pane: Pane
    script: Script
    activity: Path
    client: bool = False
    prompts: list[str] = field(default_factory=list)
    """What was submitted to it."""
    draft: str = ""
    submissions: int = 0
    tokens: int = 0
    progress_at: float = -FOREVER
    """When it last did something that can be seen to be work (mono)."""
    shown_at: float = -FOREVER
    """The same, but for the CPU that it used: its last output, or touch."""
    tool: Proc | None = None
    _acts: tuple[Act, ...] = ()
    _since: float = 0.0
    _lived: float = 0.0
    _swallowed: int = 0

    def begin(self) -> None:
        self._lived = self.machine.mono
        self.progress_at = self.machine.mono
        if self.script.greets:
            self.later(GREETING_AFTER, lambda: self._print(30))
        if self.script.leaves_behind:
            self._spawn_tool(detached=True)
        self.play(*self.script.acts)

    @property
    def act(self) -> Act:
        return self._acts[0]

    @property
    def alive(self) -> bool:
        return self.machine.find(self.proc.id) is self.proc

    @property
    def acts(self) -> bool:
        """It lives, and isn't just dying."""
        return self.alive and not self.proc.dying

    @property
    def working(self) -> bool:
        return self.acts and self.act.kind in WORKING

    # ------------------------------------------------------------------ acts

    def play(self, *acts: Act) -> None:
        """From now on it does this."""
        self._acts = acts
        self._enter()

    def later(self, seconds: float, do: Callable[[], object]) -> None:
        """Do it then, if this process still lives."""
        self.machine.at(self.machine.mono + seconds, lambda: self.acts and do())

    def _enter(self) -> None:
        acts, act = self._acts, self.act
        self._since = self._lived = self.machine.mono
        self._end_tool()
        if act.kind is Kind.EXIT:
            self.later(0.0, lambda: self._leave(ExitStatus(code=act.code)))
        elif act.kind in (Kind.COMPUTE, Kind.SLEEP):
            rate = 0.5 if act.kind is Kind.COMPUTE else 0.0
            self.tool = self._spawn_tool(cpu_rate=rate)
        if act.seconds < FOREVER and act.kind is not Kind.EXIT:
            self.later(act.seconds, lambda: self._next(acts))

    def _next(self, acts: tuple[Act, ...]) -> None:
        if self._acts is acts:
            self.play(*(acts[1:] or WORKER.acts))

    def _spawn_tool(self, **more: Any) -> Proc:
        proc = self.proc
        return self.machine.spawn(proc.id.pid, mark=proc.mark, role=proc.role, **more)

    def _end_tool(self) -> None:
        if self.tool is not None and self.machine.find(self.tool.id) is self.tool:
            self.machine.die(self.tool, ExitStatus(code=0))
        self.tool = None

    def _leave(self, exit: ExitStatus) -> None:
        if self.script.last_words and self.pane.log is not None:
            self.machine.grow(self.pane.log, 40, self.script.last_words)
        self.machine.die(self.proc, exit)

    # ------------------------------------------------------------------ Program

    def live(self, until: float) -> None:
        act = self.act
        begun, self._lived = self._lived, until
        match act.kind:
            case Kind.WORK | Kind.TOUCH:
                times = self._times(act.every, begun, until)
                if times and act.kind is Kind.WORK:
                    self._print(30 * times)
                elif times:
                    self.machine.grow(self.activity, 0)
                    self._show()
            case Kind.COMPUTE | Kind.SLEEP:
                self._progress()
        if self.client and act.kind not in (Kind.IDLE, Kind.LIMITED):
            self.machine.output(self.proc.id.pid, 20 * self._times(1.0, begun, until))

    def shift(self, seconds: float) -> None:
        self._since += seconds
        self._lived += seconds
        self.progress_at += seconds
        self.shown_at += seconds

    def _times(self, every: float, begun: float, until: float) -> int:
        """How many multiples of `every` since the act began lie in begun..until."""
        return int((until - self._since) / every) - int((begun - self._since) / every)

    def _print(self, size: int) -> None:
        self.tokens += size
        self._show()
        self.machine.output(self.proc.id.pid, size)

    def _show(self) -> None:
        self._progress()
        self.shown_at = self.progress_at

    def _progress(self) -> None:
        self.progress_at = max(self._lived, self.machine.mono)

    def signalled(self, number: int) -> bool:
        if number == SIGHUP:
            return not self.act.deaf
        if not self.act.deaf:
            self.later(LEAVES_AFTER, lambda: self._leave(ExitStatus(code=128 + number)))
        return False

    def typed(self, text: str) -> None:
        if not self.act.deaf:
            self.draft += text

    def pressed(self, key: str) -> None:
        if self.act.deaf:
            return
        if key in self.act.killed_by:
            self.later(0.05, lambda: self._leave(ExitStatus(signal=2)))
        elif key in self.act.woken_by:
            self._wake()
        elif key == "Enter" and self._swallowed < self.script.swallows:
            self._swallowed += 1
        elif key == "Enter" and self.draft:
            self._submit()

    def _submit(self) -> None:
        text, self.draft = self.draft, ""
        self.prompts.append(text)
        if self.client and text == "/exit":
            self.later(LEAVES_AFTER, lambda: self._leave(ExitStatus(code=0)))
        elif self.act.kind in WORKING or NUDGE in self.act.woken_by:
            self.submissions += 1
            self._print(20)
            self._wake()

    def _wake(self) -> None:
        """Back to work; one that was idle does a turn, and is idle again."""
        if self.act.kind is Kind.IDLE and self.client:
            self.play(works(600.0), idles())
        elif self.act.kind not in WORKING:
            self.play(works())

    # ------------------------------------------------------------------ what a client tells

    def account(self) -> Account:
        kind = self.act.kind
        return Account(
            _DOING.get(kind, Doing.BUSY),
            f"the client {kind}",
            until=self.act.until,
            tool_open=kind in (Kind.COMPUTE, Kind.SLEEP),
            queues=True,
        )
