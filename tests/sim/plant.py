"""A `Plant`: the real watchdog with its real records, on a work branch in memory, and a
supervisor that can die at any step of a tick and comes back with what was written down.

Agents are idle clients that accept what is typed to them. What they were told is `heard`;
what became of it all is in `log`, the event log as it stands on the disk.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from cc_ci_orch.core.actions import Action, Notify, Reply, StartSession, Type
from cc_ci_orch.core.model import FileStamp, Memory, Outcome, Request, RoleSpec, Snapshot, Trouble
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.step import Decision
from cc_ci_orch.shell.records import EVENTS, EventLog, MemoryFile
from cc_ci_orch.watchdog import Watchdog
from tests.core.builders import IDLE, Did, Story, client
from tests.histories import IDENTITY, Branch

T = TypeVar("T")

NUMBER = re.compile(r"^(H-\d+): ", re.MULTILINE)


class Crash(BaseException):
    """kill -9."""


class PlantClock:
    def __init__(self, story: Story) -> None:
        self._story = story

    def wall(self) -> float:
        return self._story.wall

    def monotonic(self) -> float:
        return self._story.now


class Plant(Story):
    """`fatal`: the step (of all that write or act) at which the supervisor dies, once."""

    def __init__(
        self, *phases: PhaseSpec, fatal: int = 0, roles: Sequence[RoleSpec] = (), **policy: Any
    ) -> None:
        super().__init__(*(roles or (client("builder"), client("adversary"))), **policy)
        self.phases = phases or (PhaseSpec("1", "One", "1.md", ("V1",)),)
        self.branch = Branch()
        self.steps = 0
        self.fatal = fatal
        self.crashes = 0
        self.disk: dict[str, str] = {}
        self.heard: dict[str, list[str]] = {spec.name: [] for spec in self.roles}
        self.notes: list[str] = []
        self.kickoffs: list[str] = []
        self.replies: dict[int, Reply] = {}
        self.ticks = 0
        for agent in self.agents.values():
            agent.account, agent.submissions, agent.works = IDLE, 0, False
        self.boot()

    # ------------------------------------------------------------------ the supervisor's life

    def boot(self) -> None:
        """A supervisor takes over, with what is on the disk."""
        self.outcomes = []
        clock = PlantClock(self)
        files = MemoryFile(self, clock)
        self.dog = Watchdog(
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            files,
            EventLog(self, clock, lambda value: value, lambda text: None),
            clock,
            self,  # type: ignore[arg-type]
            self.policy,
            files.load() or Memory(),
            say=lambda text: None,
        )
        self.dog.recover()
        self.memory = self.dog.memory

    def step(self) -> None:
        """Something that can be seen afterwards is about to happen, or has just happened."""
        self.steps += 1
        if self.steps == self.fatal:
            raise Crash

    def tick(self) -> Decision:
        self.ticks += 1
        self._let_agents_act()
        try:
            self.decision = self.dog.tick()
        except Crash:
            self.crashes += 1
            self.decision = Decision(self.memory)
            self.boot()
        self.memory = self.dog.memory
        self.outcomes = list(self.dog._outcomes)
        return self.decision

    def ask(self, kind: Any, *roles: str, **more: Any) -> int:
        """A person asks, and asks again where the supervisor died of it."""
        number = next(self._numbers)
        while True:
            crashes = self.crashes
            self.dog.ask(Request(number, kind, roles, **more))
            self.tick()
            if self.crashes == crashes:
                return number

    # ------------------------------------------------------------------ observer and applier

    def look(
        self,
        memory: Memory,
        requests: Sequence[Request] = (),
        outcomes: Sequence[Outcome] = (),
        troubles: Sequence[Trouble] = (),
    ) -> Snapshot:
        return replace(
            self.snapshot(),
            requests=tuple(requests),
            outcomes=tuple(outcomes),
            troubles=tuple(troubles),
            phases=self.phases,
            identity=IDENTITY,
            news=self.news(memory.course.ledger.head),
        )

    def news(self, known: str) -> News | None:
        head = self.branch.head
        if head.id in ("none", known):
            return None
        new, old = self.branch.ancestry(head.id), self.branch.ancestry(known)
        commits = tuple(c for c in self.branch.commits if c.version.id in new - old)
        return News(known, head, commits, rewritten=not old <= new)

    def apply(self, action: Action) -> Outcome | None:
        self.step()
        self.done.append(Did(self.now, action))
        if isinstance(action, Reply):
            self.replies[action.request] = action
        elif isinstance(action, Notify):
            self.notes.append(action.title)
        elif isinstance(action, (StartSession, Type)):
            words = f"{action.prompt.text}\n{action.prompt.more}"
            self.heard[action.role] += NUMBER.findall(words)
        if isinstance(action, StartSession):
            self.kickoffs.append(f"{action.role} {action.prompt.kind} {self.memory.course.phase}")
        if not isinstance(action, Reply):
            outcome = self._carry_out(action)
        if isinstance(action, StartSession):
            self.agents[action.role].submissions = 1  # its first prompt
        self.step()
        return None if isinstance(action, (Notify, Reply)) else outcome

    # ------------------------------------------------------------------ files, clock, waiter

    def save(self, name: str, value: Mapping[str, Any]) -> None:
        self.step()
        self.disk[name] = json.dumps(value)
        self.step()

    def load(self, name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        return read(json.loads(self.disk[name])) if name in self.disk else None

    def peek(self, name: str) -> Mapping[str, Any] | None:
        raise NotImplementedError

    def append(self, name: str, line: str) -> None:
        self.step()
        self.disk[name] = self.disk.get(name, "") + line + "\n"
        self.step()

    def end(self, name: str, size: int) -> str:
        return self.disk.get(name, "")[-size:]

    def stamp(self, path: Path) -> FileStamp | None:
        raise NotImplementedError

    def write(self, path: Path, text: str) -> None:
        raise NotImplementedError

    def tail(self, path: Path, size: int) -> str:
        raise NotImplementedError

    def rotate(self, path: Path, keep: int) -> None:
        raise NotImplementedError

    def ring(self) -> None:
        """Nobody waits: ticks come when the story lets time pass."""

    # ------------------------------------------------------------------ what a test asks

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.disk.get(EVENTS, "").splitlines()]

    def logged(self, *names: str) -> list[str]:
        """Name, phase, gate, attempt and hand-off of the events of these names, in order."""
        keys = ("phase", "gate", "attempt", "handoff")
        return [
            " ".join([e["event"], *(str(e[key]) for key in keys if key in e)])
            for e in self.log
            if e["event"] in names
        ]

    def pending(self) -> list[str]:
        return [handoff.name for mem in self.memory.roles.values() for handoff in mem.inbox]
