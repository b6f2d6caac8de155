"""The World: the real watchdog over a simulated machine, on a clock that jumps.

A test says who plays which script, lets time pass, makes things happen, and looks at what
came of it. Everything between the ports is the product: decide, Observer, Applier, MemoryFile,
EventLog, Watchdog. What `cli` and the guardian do around them (bring a dead supervisor back,
hand requests in) is done here.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from cc_ci_orch import config, seats
from cc_ci_orch.agents.base import ExitByWords
from cc_ci_orch.core.actions import Notify, Reply
from cc_ci_orch.core.model import Memory, Request, Snapshot
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.shell.apply import Applier
from cc_ci_orch.shell.observe import Observer
from cc_ci_orch.shell.ports import Launch
from cc_ci_orch.shell.prompts import Prompts
from cc_ci_orch.shell.records import EventLog, MemoryFile
from cc_ci_orch.watchdog import Watchdog
from tests.fake_client import Conversations, FakeWitness
from tests.fake_tmux import FakeTerminal
from tests.fakes import FakeClock, FakeFiles, FakeProcesses, FakeWaiter, Mortality, SupervisorDied
from tests.machine import Machine
from tests.parts import Monitor, Pane, Proc
from tests.scripts import WORKER, Act, Agent, Script, exits, script
from tests.sight import BOTH, ROLES, Sight

REPOSITORY = Path(__file__).resolve().parent.parent
ROOT = Path(__file__).resolve().parent / "sim"
COMES_BACK_AFTER = 5.0
"""Seconds from a supervisor's death to the next one's first tick."""

SPINS_AT = 60
"""Ticks without any time between them that are too many."""


@dataclass
class Asked:
    """A request and what became of it."""

    request: Request
    at: float
    replies: list[Reply] = field(default_factory=list)
    dropped: bool = False
    """The supervisor died before it answered: whoever asked saw the connection end."""

    @property
    def open(self) -> bool:
        return not (self.replies or self.dropped)


class TurnObserver(Observer):
    """The product's, told by the story whose turn it is."""

    world: World

    def look(self, *args: Any, **more: Any) -> Snapshot:
        return replace(super().look(*args, **more), turn=self.world.turn)


class World(Sight):
    """One instance with a builder and an adversary."""

    def __init__(
        self,
        backends: Mapping[str, str] | None = None,
        *,
        template: str = "agent {prompt_file}",
        seed: int = 0,
        phases: tuple[PhaseSpec, ...] = (),
        **policy: Any,
    ) -> None:
        backends = backends or {}
        env = {"ORCH_STATE": "/sim/state", "ORCH_TMUX_SOCKET": "/sim/tmux", "PATH": "/bin"}
        env |= {f"{role.upper()}_BACKEND": backends.get(role, "command") for role in ROLES}
        settings = config.load(env | {"LOOP_COMMAND": template}, ROOT)
        self.seats = seats.seats(settings)
        self.policy = replace(settings.policy, **policy)
        self.machine = Machine()
        self.mortality = Mortality()
        self.clock = FakeClock(self.machine)
        self.waiter = FakeWaiter(self.machine)
        self.files = FakeFiles(self.machine, self.mortality)
        self.processes = FakeProcesses(self.machine, self.mortality)
        self.terminal = FakeTerminal(self.machine, self.mortality, self._run)
        self.prompts = Prompts(ROOT, REPOSITORY)
        self.entropy = random.Random(seed)
        self.turn = BOTH
        """Whose turn it is, where there are no phases to tell."""
        self.phases = phases
        self.news: Callable[[], News | None] = lambda: None
        """What is new on the work branch since the commit that the watchdog knows."""
        self.agents = {}
        self.lives = []
        self.cast: dict[str, Callable[[], Script]] = {}
        """Who plays a role from its next process on."""
        self.conversations = Conversations()
        self.witnesses = {
            seat.name: FakeWitness(partial(self.agents.get, seat.name))
            for seat in self.seats
            if seat.spec.traits.has_account
        }
        self.asked: dict[int, Asked] = {}
        self.notes: list[Notify] = []
        self.said: list[str] = []
        self.dog = None
        self.deaths = 0
        self.on_tick: list[Callable[[], None]] = []
        self.on_loss: list[Callable[[], None]] = []
        self.on_ask: list[Callable[[Asked], None]] = []
        self.on_reply: list[Callable[[Asked], None]] = []
        self._ids = itertools.count(1)
        self._back_at: float | None = None
        self._begins = False
        """A person's start waits for a state that can be read."""
        self._spins = (0.0, 0)

    # ------------------------------------------------------------------ what a test says

    def started(self, seconds: float = 5.0) -> World:
        """Everything is up and has been for a moment."""
        self.start_supervisor(begin=True)
        self.wait(seconds)
        return self

    def plays(self, role: str, *acts: Act, **other: Any) -> None:
        """From its next process on, the role is played like this."""
        self.cast[role] = lambda: script(*acts, **other)

    def agent(self, role: str = "builder") -> Agent:
        return self.agents[role]

    def watch(self, monitor: Monitor) -> None:
        self.machine.monitors.append(monitor)

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self._go_on(self.now + seconds, lambda: False)

    def wait_for(self, condition: Callable[[], bool], limit: float) -> float:
        """Let time pass until then; the seconds that it took."""
        begun = self.now
        self._go_on(self.now + limit, condition)
        assert condition(), f"it did not come to pass within {limit:g} s"
        return self.now - begun

    def ask(self, kind: Any, *roles: str, **more: Any) -> Asked:
        """A person asks for something; it is answered in time, if at all."""
        request = Request(next(self._ids), kind, roles, **more)
        asked = self.asked[request.id] = Asked(request, self.now, dropped=self.dog is None)
        for hear in self.on_ask:
            hear(asked)
        if self.dog is not None:
            self.dog.ask(request)
        return asked

    # ------------------------------------------------------------------ the supervisor

    def kill_supervisor(self) -> None:
        """It is gone at once; another one comes."""
        self.deaths += 1
        self.dog = None
        self._back_at = self.now + COMES_BACK_AFTER
        for asked in self.asked.values():
            asked.dropped = asked.dropped or asked.open
        for lost in self.on_loss:
            lost()

    def start_supervisor(self, *, begin: bool = False) -> None:
        """As `start` and the guardian do."""
        memory_file = MemoryFile(self.files, self.clock)
        try:
            memory = memory_file.load()
        except OSError:
            self._back_at = self.now + COMES_BACK_AFTER
            self._begins = self._begins or begin
            return
        begin, self._begins = begin or self._begins, False
        events = EventLog(self.files, self.clock, lambda value: value, self.said.append)
        observer = TurnObserver(
            self.seats,
            self.terminal.panes,
            self.processes,
            self.files,
            self.clock,
            self.machine.boot_id,
            self.policy,
            entropy=lambda: self.entropy.getrandbits(128),
            viewer="cc-ci-watchdog",
            phases=self.phases,
            identity="cc-ci",
            news=lambda: self.news(),
            witnesses=self.witnesses,
            screens=self.terminal.screens,
        )
        observer.world = self
        applier = Applier(
            observer,
            self.terminal,
            self.processes,
            self.files,
            self.prompts,
            lambda seat: {"role": seat.name},
            self._answer,
            self.notes.append,
            viewer=Launch("cc-ci-watchdog", ("tail",), {}, Path("/"), None),
        )
        self.memory_file = memory_file
        self.observer = observer
        self._back_at = None
        self.dog = Watchdog(
            observer,
            applier,
            memory_file,
            events,
            self.clock,
            self.waiter,
            self.policy,
            memory or Memory(),
            tuple,
            self.said.append,
        )
        self.dog.recover()
        if begin or memory is None:
            nothing_ran = memory is None or memory.stopped
            self.ask("start", everything=nothing_ran)

    # ------------------------------------------------------------------ inside

    def _go_on(self, end: float, condition: Callable[[], bool]) -> None:
        """Tick and wait until then, or until the condition holds."""
        boots = self.machine.boots
        while self.now < end and boots == self.machine.boots and not condition():
            self.waiter.end = end
            if self.dog is None:
                back = end if self._back_at is None else min(end, self._back_at)
                self.machine.advance(back - self.now)
                if self._back_at is not None and self.now >= self._back_at:
                    self.start_supervisor()
                continue
            self._tick()

    def _tick(self) -> None:
        assert self.dog is not None
        try:
            due = self.dog.run_once()
        except SupervisorDied:
            self.kill_supervisor()
            return
        for look in self.on_tick:
            look()
        at, ticks = self._spins
        self._spins = (self.now, ticks + 1 if self.now == at else 0)
        assert self._spins[1] < SPINS_AT, "it spins"
        if self.dog.finished:
            self.dog = None
            self._back_at = None
            return
        self.waiter.wait(due)

    def _answer(self, reply: Reply) -> None:
        asked = self.asked[reply.request]
        asked.replies.append(reply)
        for hear in self.on_reply:
            hear(asked)

    def _run(self, launch: Launch, pane: Pane) -> Proc:
        """A program begins in its pane."""
        assert self.machine.server is not None
        role = launch.env.get("ORCH_ROLE", "")
        if not role:
            proc = self.machine.spawn(self.machine.server.pid)
            pane.pid = proc.id.pid
            return proc
        seat = self.seat(role)
        proc = self.machine.spawn(
            self.machine.server.pid,
            mark=f"ORCH_ACTIVITY_FILE={launch.env['ORCH_ACTIVITY_FILE']}",
            role=role,
            conversation=launch.env["ORCH_CONVERSATION"],
        )
        pane.pid = proc.id.pid
        client = isinstance(seat.backend.exit, ExitByWords)
        chosen = self.cast.get(role, lambda: WORKER)()
        refused = self.conversations.refusal(launch) if client else ""
        if refused:
            chosen = script(exits(1), greets=False, last_words=refused)
        agent = Agent(self.machine, proc, pane, chosen, seat.activity, client)
        proc.program = agent
        self.agents[role] = agent
        self.lives.append(agent)
        agent.begin()
        return proc
