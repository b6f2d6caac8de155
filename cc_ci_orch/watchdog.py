"""The thread that supervises: observe, decide, write down, apply, wait; again.

A tick never waits for an agent: typing, its proof, a polite exit are steps over several
ticks. Between ticks the watchdog waits for whatever comes first: the next tick is due, a
watched process died, somebody rang (a request, a hook, a signal).
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from cc_ci_orch.core.actions import Reply, StartSession
from cc_ci_orch.core.decide import decide
from cc_ci_orch.core.events import Event
from cc_ci_orch.core.model import Memory, Outcome, Request, Snapshot, Trouble
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.core.step import Decision
from cc_ci_orch.shell.apply import Applier
from cc_ci_orch.shell.observe import Observer
from cc_ci_orch.shell.ports import Clock
from cc_ci_orch.shell.records import EventLog, MemoryFile


class Waiter(Protocol):
    """Waits between ticks."""

    def wait(self, seconds: float) -> None:
        """Until `seconds` have passed, a watched process dies or somebody rings."""

    def ring(self) -> None:
        """End the present or next wait at once. May be called from any thread."""


@dataclass(frozen=True)
class Published:
    """The state after a tick, for whoever asks; a value of its own, never changed."""

    snapshot: Snapshot
    memory: Memory
    at: float


class Watchdog:
    """One instance's watchdog. Only its own thread calls `tick` and `run`."""

    def __init__(
        self,
        observer: Observer,
        applier: Applier,
        memory_file: MemoryFile,
        events: EventLog,
        clock: Clock,
        waiter: Waiter,
        policy: Policy,
        memory: Memory,
        troubles: Callable[[], tuple[Trouble, ...]] = tuple,
        say: Callable[[str], None] = print,
    ) -> None:
        self._observer = observer
        self._applier = applier
        self._memory_file = memory_file
        self._events = events
        self._clock = clock
        self._waiter = waiter
        self._policy = policy
        self._troubles = troubles
        self._say = say
        self._requests: deque[Request] = deque()
        self._outcomes: list[Outcome] = []
        self._tick_trouble: Trouble | None = None
        self._stop = threading.Event()
        self.memory = memory
        self.published: Published | None = None
        self.finished = False
        self.due = time.monotonic()
        """When the next tick begins, or began, on the real clock: for whoever watches us."""

    # ------------------------------------------------------------------ from other threads

    def ask(self, request: Request) -> None:
        """Hand in a request; its answer goes to the applier's `answer`."""
        self._requests.append(request)
        self._waiter.ring()

    def stop(self) -> None:
        """End `run` after the present tick. The agents live on."""
        self._stop.set()
        self._waiter.ring()

    # ------------------------------------------------------------------ its own thread

    def run(self) -> None:
        """Tick until stopped, or until a person has stopped the instance."""
        while not (self._stop.is_set() or self.finished):
            self.due = time.monotonic()
            pause = self.run_once()
            self.due = time.monotonic() + pause
            self._waiter.wait(pause)

    def run_once(self) -> float:
        """One tick, whatever it comes to; the seconds until the next one is due."""
        try:
            decision = self.tick()
        except Exception:
            # The boundary of the tick: supervision goes on, and the cause is written down.
            self._say(traceback.format_exc())
            self._tick_trouble = Trouble("tick", "a tick failed; see `logs watchdog`")
            return self._policy.poll
        self._tick_trouble = None
        if self._outcomes or self.finished:
            return 0.0
        due = self._policy.poll
        if decision.wake is not None:
            due = min(due, decision.wake - self._clock.monotonic())
        return max(due, 0.0)

    def tick(self) -> Decision:
        """Observe, decide, write down, apply."""
        requests = [self._requests.popleft() for _ in range(len(self._requests))]
        outcomes, self._outcomes = self._outcomes, []
        snapshot = self._observer.look(self.memory, requests, outcomes, self._all_troubles())
        decision = decide(snapshot, self.memory, self._policy)
        self.memory = self._with_outbox(decision)
        self._memory_file.save(self.memory)
        self._events.record_all(self.memory.outbox if decision.events else (), self.memory.told)
        self._apply(decision)
        self.published = Published(snapshot, self.memory, self._clock.monotonic())
        self.finished = decision.finished
        return decision

    def recover(self) -> None:
        """Write down the events that a supervisor before us could not; once, at the start."""
        told = self._events.recover(self.memory.outbox, self.memory.told)
        self.memory = replace(self.memory, told=told, outbox=())

    def _with_outbox(self, decision: Decision) -> Memory:
        """The memory that also holds the events that are about to be written."""
        memory, events = decision.memory, decision.events
        if not events:
            return memory
        return replace(memory, told=memory.told + len(events), outbox=events)

    def dry_run(self) -> Decision:
        """Observe and decide; nothing is done or written."""
        return decide(self._observer.look(self.memory), self.memory, self._policy)

    def record(self, event: Event) -> None:
        """An event of the supervisor's own."""
        self._events.record(event)

    def _apply(self, decision: Decision) -> None:
        """Carry the actions out, the answers last: they may end the process that waits."""
        for action in sorted(decision.actions, key=lambda action: isinstance(action, Reply)):
            if isinstance(action, Reply):
                action = self._honest(action)
            outcome = self._applier.apply(action)
            if outcome is None:
                continue
            self._outcomes.append(outcome)
            if outcome.ok and isinstance(action, StartSession) and action.event is not None:
                self._events.record(action.event)
            elif not outcome.ok:
                self._say(f"{outcome.action} {outcome.role}: {outcome.detail}")

    def _honest(self, reply: Reply) -> Reply:
        """What is done but can't be written down holds only as long as this process lives."""
        trouble = self._memory_file.trouble
        if reply.code != 0 or trouble is None:
            return reply
        return replace(
            reply, text=f"{reply.text}; but a later supervisor won't know: {trouble.text}"
        )

    def _all_troubles(self) -> tuple[Trouble, ...]:
        own = (self._tick_trouble, self._memory_file.trouble, self._events.trouble)
        found = {t.key: t for t in (*self._troubles(), *own) if t is not None}
        return tuple(found.values())
