"""What must never happen, watched from inside the simulated machine.

The referee knows the truth about the agents, which the watchdog can only guess at from
evidence. It writes violations down; `check` raises the first one. (It can't raise where it
notices them: a tick is a place where exceptions are caught.)
"""

from __future__ import annotations

from collections import defaultdict
from signal import SIGKILL, SIGTERM

from cc_ci_orch.agents.base import ExitByWords
from cc_ci_orch.core.model import Request
from tests.parts import Monitor, Proc
from tests.scripts import Agent
from tests.sight import ROLES
from tests.world import Asked, World

INTERRUPTS = ("Escape", "C-c")
CANCELLING = ("start", "stop", "restart")
"""What a person asks for that begins the accounts of a role anew."""


class Violation(AssertionError):
    """An invariant did not hold."""


class Referee(Monitor):
    """Watches one world; `check` after each tick."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.violations: list[str] = []
        self.spawns: dict[str, list[float]] = defaultdict(list)
        """When the watchdog replaced each role's process, since a person last had a hand in it."""
        self.ours_to_end: set[str] = set()
        """Roles that a person asked to end or replace."""
        self.down: set[str] = set()
        """Roles that a person keeps down."""
        self.held: set[str] = set()
        self.conversation: dict[str, str] = {}
        self._changed: list[tuple[str, str]] = []
        self._lines_seen = 0
        self._boot = world.machine.boots
        world.watch(self)
        world.on_tick.append(self.check)
        world.on_loss.append(self._lost)
        world.on_ask.append(self._asked)
        world.on_reply.append(self._replied)

    # ------------------------------------------------------------------ the verdict

    def blame(self, what: str) -> None:
        machine = self.world.machine
        self.violations.append(f"at {machine.mono:.1f} (boot {machine.boots}): {what}")

    def check(self) -> None:
        """After a tick: what is wrong?"""
        self._check_conversations()
        self._check_said()
        if self.world.files.set_aside:
            self.blame("the memory file was corrupt")
        if self.violations:
            raise Violation(self.violations[0])

    def _check_said(self) -> None:
        said = self.world.said
        for text in said[self._lines_seen :]:
            if text.startswith("Traceback"):
                self.blame(f"a tick failed: {text}")
        self._lines_seen = len(said)

    # ------------------------------------------------------------------ Monitor

    def spawned(self, proc: Proc) -> None:
        if not proc.conversation:
            return
        others = [p for p in self.world.machine.procs.values() if p is not proc]
        if any(p.conversation == proc.conversation for p in others if p.conversation):
            self.blame(f"two processes on one conversation of {proc.role}")
        if any(p.mark == proc.mark for p in others):
            self.blame(f"something of the last {proc.role} still runs beside the next one")
        if proc.role in self.held and proc.role not in self.ours_to_end:
            self.blame(f"{proc.role} is started although a person holds it")
        if proc.role in self.down:
            self.blame(f"{proc.role} is started although a person keeps it down")
        self._count(proc.role)
        before = self.conversation.get(proc.role)
        if before not in (None, proc.conversation):
            self._changed.append((proc.role, proc.conversation))
        self.conversation[proc.role] = proc.conversation
        self.ours_to_end.discard(proc.role)

    def _count(self, role: str) -> None:
        policy, now = self.world.policy, self.world.now
        times = self.spawns[role]
        times.append(now)
        recent = [t for t in times if now - t < policy.restart_period]
        if len(recent) > policy.max_restarts + 1:
            self.blame(f"{role} was started {len(recent)} times in {policy.restart_period:g} s")

    def signalled(self, proc: Proc, number: int) -> None:
        known = self.world.terminal.answered_at is not None
        if proc.role and not known and proc.role not in self.ours_to_end:
            self.blame(f"signal {number} to {proc.role} while nothing is known of it")
        if number in (SIGKILL, SIGTERM):
            self._disturbed(proc, f"signal {number}")

    def pressed(self, proc: Proc, key: str) -> None:
        if key in INTERRUPTS:
            self._disturbed(proc, key)

    def typed(self, proc: Proc, text: str) -> None:
        seat = self.world.seat(proc.role)
        leave = isinstance(seat.backend.exit, ExitByWords) and text == seat.backend.exit.text
        if not leave and (self._is_first(proc) or self._asked_to_nudge(proc.role, text)):
            return
        if not leave and self._is_unwatched(proc):
            return
        self._disturbed(proc, f"{text[:20]!r} typed")

    def _is_unwatched(self, proc: Proc) -> bool:
        """Off its turn a program's use of CPU is not looked at: all that can come is a reminder."""
        agent = self._agent(proc)
        if agent is None or agent.client or proc.role in self.world.turn:
            return False
        return self.world.now - agent.shown_at >= self.world.policy.stall_after

    def _is_first(self, proc: Proc) -> bool:
        """The first prompt of a program that isn't given it on its command line."""
        agent = self._agent(proc)
        first = self.world.seat(proc.role).spec.types_first
        return first and agent is not None and not (agent.prompts or agent.draft)

    def _asked_to_nudge(self, role: str, text: str) -> bool:
        requests = (asked.request for asked in self.world.asked.values() if asked.open)
        return any(r.kind == "nudge" and role in r.roles and r.text == text for r in requests)

    def _disturbed(self, proc: Proc, how: str) -> None:
        """Nobody asked for it: then it must not be at work, as far as can be seen."""
        agent = self._agent(proc)
        if agent is None or proc.role in self.ours_to_end:
            return
        if proc.role in self.held:
            self.blame(f"{how} to {proc.role} although a person holds it")
        looked_at = self.world.terminal.answered_at or 0.0
        since = self.world.now - agent.progress_at
        seen = agent.progress_at <= looked_at
        if agent.working and seen and since < self.world.policy.stall_after:
            self.blame(f"{how} to {proc.role}, which {agent.act.kind} ({since:.1f} s ago)")

    def _agent(self, proc: Proc) -> Agent | None:
        """The agent in its pane; None for tools, and for what a dead server left behind."""
        if self.world.machine.pane_of(proc.id.pid) is None:
            return None
        return proc.program if isinstance(proc.program, Agent) else None

    # ------------------------------------------------------------------ what people ask

    def _asked(self, asked: Asked) -> None:
        request = asked.request
        if asked.dropped:
            return
        for role in request.roles or ROLES:
            if request.kind in CANCELLING:
                self.spawns[role].clear()
                self.down.discard(role)
            if request.kind in ("stop", "restart"):
                self.ours_to_end.add(role)
            if request.kind == "release":
                self.held.discard(role)

    def _replied(self, asked: Asked) -> None:
        if len(asked.replies) > 1:
            self.blame(f"request {asked.request.id} was answered {len(asked.replies)} times")
        elif asked.replies[0].code == 0:
            self._granted(asked.request)

    def _granted(self, request: Request) -> None:
        """What a person was told must hold from now on."""
        roles = request.roles or ROLES
        later = [a.request for a in self.world.asked.values() if a.request.id > request.id]
        for role in roles:
            if any(role in (r.roles or ROLES) and r.kind != "nudge" for r in later):
                continue
            if request.kind == "hold":
                self.held.add(role)
            if request.kind == "stop":
                self.down.add(role)

    # ------------------------------------------------------------------ what is remembered

    def _check_conversations(self) -> None:
        """A conversation changes only with a word about why."""
        if not self._changed:
            return
        told = {
            (event["role"], event["evidence"]["conversation"])
            for event in self.world.events("session.started", "session.healed")
            if event["evidence"].get("lost_conversation") or event["by"] == "operator"
        }
        if self.world.memory_file.trouble is None:
            for change in self._changed:
                if change not in told:
                    self.blame(f"{change[0]} lost its conversation without a word")
        self._changed.clear()

    def _lost(self) -> None:
        """The supervisor died. What it could not write down, the next one can't know."""
        self._changed.clear()
        if self.world.memory_file.trouble is not None or self.world.machine.faults.disk_full:
            self.held.clear()
            self.down.clear()
            self.spawns.clear()
            self.conversation.clear()
        if self.world.machine.boots != self._boot:
            self._boot = self.world.machine.boots
            self.spawns.clear()
