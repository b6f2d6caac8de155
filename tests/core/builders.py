"""A `Story`: the real `decide` against agents that do as they are told, on a clock that jumps.

A test says what an agent does (`works`, `deaf`, `dies_at_once` …), lets time pass, and looks
at what was decided: `done` (actions) and `told` (events), each with its time. The shell in
here is perfect: every action is carried out at once, and its outcome is in the next snapshot.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from cc_ci_orch.core.actions import (
    Action,
    ArmPipe,
    AskExit,
    Close,
    EndServer,
    Kill,
    Notify,
    Press,
    Reply,
    RotateLog,
    StartSession,
    Terminate,
    Type,
)
from cc_ci_orch.core.codec import decode, encode
from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import (
    Account,
    Doing,
    ExitStatus,
    FileStamp,
    Memory,
    Outcome,
    ProcessId,
    Request,
    RoleMemory,
    RoleSpec,
    Seen,
    SessionView,
    Snapshot,
    Traits,
    Trouble,
)
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.core.step import Decision

COMMAND = Traits(
    log_is_progress=True, has_account=False, cpu_always=True, interrupt=("Escape", "C-c")
)
"""A program that says nothing of itself."""

CLIENT = Traits(log_is_progress=False, has_account=True, cpu_always=False)
"""A client with a spinner and an account of itself."""

BUSY = Account(Doing.BUSY, "it is busy")
IDLE = Account(Doing.IDLE, "it is at its prompt")

WAYS_OUT = (AskExit, Terminate, Kill)


def role(name: str = "builder", **changes: Any) -> RoleSpec:
    """A role of the `command` kind."""
    return replace(RoleSpec(name, "command", COMMAND), **changes)


def client(name: str = "builder", **changes: Any) -> RoleSpec:
    """A role of the `claude` kind."""
    return replace(RoleSpec(name, "claude", CLIENT), **changes)


@dataclass
class Agent:
    """What one agent does, and what can be seen of it."""

    process: ProcessId | None = None
    session: bool = False
    exit: ExitStatus | None = None
    log_size: int = 0
    log_counts: bool = True
    piped: bool = True
    window: int = 0
    signals: dict[str, int | str] = field(default_factory=dict)
    cpu: float = 0.0
    cpu_rate: float = 0.0
    children: int | None = None
    account: Account | None = None
    typed_ago: float | None = None
    in_mode: bool = False
    submissions: int | None = None
    lost: bool = False
    readable: bool = True

    works: bool = True
    """Prints something at every look."""
    deaf: bool = False
    """Ends only by KILL."""
    immortal: bool = False
    """Doesn't end at all: the kernel holds it."""
    dies_at_once: bool = False
    cannot_start: str = ""
    heals_by: type[Action] | None = None
    """This action brings it back to work."""
    answers: bool = True
    """Prints something (or accepts it, where `submissions` counts) when it is typed to."""
    echoes: bool = False
    cannot_be_typed: str = ""


@dataclass(frozen=True)
class Did:
    at: float
    action: Action


@dataclass(frozen=True)
class Told:
    at: float
    event: Event


class Story:
    """One instance from the watchdog's point of view."""

    def __init__(self, *roles: RoleSpec, turn: frozenset[str] | None = None, **policy: Any) -> None:
        self.roles = roles or (role(),)
        self.policy = replace(Policy(), **policy)
        self.turn = frozenset(r.name for r in self.roles) if turn is None else turn
        self.agents = {spec.name: Agent() for spec in self.roles}
        self.memory = Memory()
        self.now = 1000.0
        self.wall = 1_700_000_000.0
        self.boot_id = "boot-1"
        self.tmux = True
        self.keep_terminal = False
        self.supervising = True
        self.viewer = Seen.PRESENT
        self.phases: tuple[PhaseSpec, ...] = ()
        self.troubles: tuple[Trouble, ...] = ()
        self.outcomes: list[Outcome] = []
        self.requests: list[Request] = []
        self.done: list[Did] = []
        self.told: list[Told] = []
        self.decision = Decision(self.memory)
        self._pids = count(100)
        self._numbers = count(1)
        self._looked_at = self.now
        self._server = False

    # ------------------------------------------------------------------ what a test says

    def agent(self, name: str = "builder") -> Agent:
        return self.agents[name]

    def mem(self, name: str = "builder") -> RoleMemory:
        return self.memory.roles[name]

    def ask(self, kind: Any, *roles: str, **more: Any) -> int:
        """A person asks for something; the request's number."""
        number = next(self._numbers)
        self.requests.append(Request(number, kind, roles, **more))
        self.tick()
        return number

    def started(self, seconds: float = 5.0) -> Story:
        """Everything is up and has been for a moment; the record begins here."""
        self.ask("start", everything=True)
        self.wait(seconds)
        return self.forget()

    def forget(self) -> Story:
        self.done.clear()
        self.told.clear()
        return self

    def die(self, name: str = "builder", code: int = 1) -> None:
        """The agent's process ends by itself."""
        agent = self.agents[name]
        agent.process, agent.exit = None, ExitStatus(code=code)

    def wait(self, seconds: float) -> Story:
        """Let time pass, with a tick whenever one is due."""
        end = self.now + seconds
        while True:
            self.tick()
            if self.decision.finished:  # the watchdog ends itself here
                self.pass_by(end - self.now)
                return self
            due = self.now + self.policy.poll
            if self.decision.wake is not None:
                due = min(due, self.decision.wake)
            if self.outcomes:
                due = self.now
            due = max(due, self.now + 0.01)
            if due > end:
                self.pass_by(end - self.now)
                return self
            self.pass_by(due - self.now)

    def pass_by(self, seconds: float) -> None:
        """Time passes and nobody looks."""
        self.now += seconds
        self.wall += seconds

    def supervisor_restarts(self) -> None:
        """Another supervisor takes over, with what was written down."""
        self.memory = decode(Memory, encode(self.memory))
        self.outcomes.clear()
        self.requests.clear()

    # ------------------------------------------------------------------ what a test looks at

    def actions(self, *kinds: type[Any], role: str | None = None) -> list[Any]:
        wanted = [d.action for d in self.done if isinstance(d.action, kinds)]
        return [a for a in wanted if role is None or a.role == role]

    def times(self, *kinds: type[Any]) -> list[float]:
        return [d.at for d in self.done if isinstance(d.action, kinds)]

    def events(self) -> list[str]:
        return [t.event.name.value for t in self.told]

    def event(self, name: Name) -> Event:
        """The one event of that name."""
        (found,) = [t.event for t in self.told if t.event.name is name]
        return found

    def when(self, name: Name) -> list[float]:
        return [t.at for t in self.told if t.event.name is name]

    def reply(self, number: int) -> Reply | None:
        """The one answer to a request; None as long as there is none."""
        found = [a for a in self.actions(Reply) if a.request == number]
        assert len(found) <= 1
        return found[0] if found else None

    # ------------------------------------------------------------------ the world

    def tick(self) -> Decision:
        self._let_agents_act()
        snapshot = self.snapshot()
        self.requests, self.outcomes = [], []
        self.decision = decide(snapshot, self.memory, self.policy)
        self.memory = self.decision.memory
        self.told += [Told(self.now, event) for event in self.decision.events]
        for action in self.decision.actions:
            self.done.append(Did(self.now, action))
            outcome = self._carry_out(action)
            if outcome is not None:
                self.outcomes.append(outcome)
        return self.decision

    def snapshot(self) -> Snapshot:
        terminal = Seen.PRESENT if self._server else Seen.ABSENT
        return Snapshot(
            mono=self.now,
            wall=self.wall,
            boot_id=self.boot_id,
            entropy=int(self.now * 1000) << 64,
            terminal=terminal if self.tmux else Seen.UNKNOWN,
            sessions=dict(self._views()),
            roles=self.roles,
            requests=tuple(self.requests),
            outcomes=tuple(self.outcomes),
            turn=self.turn,
            keep_terminal=self.keep_terminal,
            supervising=self.supervising,
            phases=self.phases,
            viewer=self.viewer,
            troubles=self.troubles,
        )

    def _views(self) -> Iterator[tuple[str, SessionView]]:
        for name, agent in self.agents.items():
            yield name, self.view(name, agent)

    def view(self, name: str, agent: Agent) -> SessionView:
        if not self.tmux or not agent.readable:
            return SessionView(name, Seen.UNKNOWN, running=Seen.UNKNOWN)
        if not agent.session:
            return SessionView(name, Seen.ABSENT)
        view = SessionView(
            name, Seen.PRESENT, pane="%1", piped=agent.piped, typed_ago=agent.typed_ago
        )
        if agent.process is None:
            return replace(view, exit=agent.exit, lost=agent.lost)
        return replace(
            view,
            process=agent.process,
            running=Seen.PRESENT,
            log=FileStamp(agent.log_size, agent.log_size),
            log_counts=agent.log_counts and agent.piped,
            window_activity=agent.window,
            signals=dict(agent.signals),
            cpu=agent.cpu,
            children=agent.children,
            account=agent.account,
            in_mode=agent.in_mode,
            submissions=agent.submissions,
        )

    def _let_agents_act(self) -> None:
        passed, self._looked_at = self.now - self._looked_at, self.now
        for agent in self.agents.values():
            if agent.process is not None:
                agent.cpu += agent.cpu_rate * passed
                if agent.works and passed > 0:
                    agent.log_size += 10
                    agent.window = int(self.wall)

    def _carry_out(self, action: Action) -> Outcome | None:
        if isinstance(action, (Reply, Notify)):
            return None
        name = type(action).__name__
        if isinstance(action, EndServer):
            self._end_server()
            return Outcome("", name, ok=True)
        agent = self.agents.get(action.role)
        if agent is None:  # the viewer's session
            self.viewer = Seen.PRESENT
            return Outcome(action.role, name, ok=True)
        if agent.heals_by is type(action):
            agent.works = True
        match action:
            case StartSession():
                return self._start(action, agent)
            case AskExit() | Terminate() if not agent.deaf:
                agent.process, agent.exit = None, ExitStatus(signal=15)
            case Kill() if not agent.immortal:
                agent.process, agent.exit = None, ExitStatus(signal=9)
            case Close():
                agent.session = False
            case ArmPipe():
                agent.piped = True
            case RotateLog():
                agent.log_size = 0
            case Type() | Press():
                return self._typed(action, agent)
        return Outcome(action.role, name, ok=True)

    def _start(self, action: StartSession, agent: Agent) -> Outcome:
        assert agent.process is None, "two processes in one session"
        if agent.cannot_start:
            return Outcome(action.role, "StartSession", ok=False, detail=agent.cannot_start)
        if action.event is not None:
            self.told.append(Told(self.now, action.event))
        process = ProcessId(next(self._pids), int(self.now))
        self._server = agent.session = True
        agent.process = None if agent.dies_at_once else process
        agent.exit = ExitStatus(code=1) if agent.dies_at_once else None
        return Outcome(action.role, "StartSession", ok=True, process=process)

    def _typed(self, action: Type | Press, agent: Agent) -> Outcome:
        name = type(action).__name__
        if agent.cannot_be_typed:
            return Outcome(action.role, name, ok=False, detail=agent.cannot_be_typed)
        echo = 20 if agent.echoes else 0
        agent.log_size += echo
        agent.window = int(self.wall) if echo else agent.window
        if agent.answers and isinstance(action, Type):
            if agent.submissions is None:
                agent.log_size += 5
            else:
                agent.submissions += 1
        return Outcome(action.role, name, ok=True, echo=echo)

    def _end_server(self) -> None:
        self._server, self.tmux = False, True
        for agent in self.agents.values():
            agent.process, agent.session = None, False
