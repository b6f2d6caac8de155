"""What goes wrong in a random run: what agents turn to, and what befalls the machine."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from tests.scripts import (
    WORKER,
    Act,
    Kind,
    Script,
    computes,
    exits,
    hangs,
    idles,
    script,
    touches,
    wedged,
    works,
)
from tests.sight import BOTH, ROLES
from tests.world import World

HOUR = 3600.0
LONGEST_FAULT = 1500.0


class Casting:
    """Who plays the roles, good or bad."""

    def __init__(self, dice: random.Random, world: World) -> None:
        self._dice = dice
        self._world = world
        self.doomed = dict.fromkeys(ROLES, 0)
        """How many of a role's next processes are no good."""
        self.all_alike = False
        for role in ROLES:
            world.cast[role] = self._caster(role)

    def _caster(self, role: str) -> Callable[[], Script]:
        return lambda: self._next(role)

    def _next(self, role: str) -> Script:
        if self.doomed[role] == 0:
            return WORKER
        self.doomed[role] -= 1
        if self.all_alike:
            return script(works(5.0), exits(1))
        bad = (
            script(exits(1), greets=False),
            script(works(20.0), exits(2)),
            script(works(5.0), hangs()),
            script(hangs(), greets=False),
            script(works(30.0), wedged(), leaves_behind=True),
        )
        return self._dice.choice(bad)

    def change_of_mind(self, role: str) -> tuple[Act, ...]:
        """What a working agent may turn to."""
        long = self._dice.uniform(600.0, 2 * HOUR)
        own: tuple[Act, ...] = (touches(long), works(long, every=self._dice.uniform(60.0, 600.0)))
        if self._world.agent(role).client:
            own = (
                idles(),
                Act(Kind.RETRY, long / 2),
                Act(Kind.SLEEP, long / 2),
                Act(Kind.LIMITED, long / 2, until=self._world.machine.wall + long / 2),
            )
        hung = (hangs(), hangs("nudge"), hangs("Escape"), hangs(dies_of=("C-c",)), wedged())
        return (self._dice.choice((*hung, computes(long), exits(0), exits(1), *own)),)


class Mishaps:
    """Things that go wrong, by name; `happen` picks one."""

    def __init__(self, dice: random.Random, world: World, casting: Casting) -> None:
        self._dice = dice
        self._world = world
        self._casting = casting
        self.diary: list[str] = []

    def happen(self) -> None:
        kinds = tuple(self.known)
        weights = [self.known[kind][0] for kind in kinds]
        name = self._dice.choices(kinds, weights)[0]
        self.note(name)
        self.known[name][1](self)

    def note(self, what: str) -> None:
        self.diary.append(f"boot {self._world.machine.boots}, {self._world.now:.1f}: {what}")

    # ------------------------------------------------------------------ with what

    def _role(self) -> str:
        return self._dice.choice(ROLES)

    def _living(self) -> str | None:
        role = self._role()
        return role if role in self._world.agents and self._world.agent(role).acts else None

    def in_pane(self, role: str) -> bool:
        server = self._world.machine.server
        return server is not None and self._world.seat(role).session in server.panes

    def _later(self, do: Callable[[], object]) -> None:
        machine = self._world.machine
        machine.at(machine.mono + self._dice.uniform(1.0, LONGEST_FAULT), do)

    # ------------------------------------------------------------------ agents

    def _change_course(self) -> None:
        if (role := self._living()) is not None:
            acts = self._casting.change_of_mind(role)
            self.note(f"    {role} {acts[0].kind}")
            self._world.agent(role).play(*acts)

    def _doom(self) -> None:
        self._casting.doomed[self._role()] = self._dice.randint(1, 12)
        self._casting.all_alike = self._dice.random() < 0.5

    def _kill_agent(self) -> None:
        if (role := self._living()) is not None:
            self._world.kill_agent(role)

    def _change_turn(self) -> None:
        self._world.turn = self._dice.choice((BOTH, *(frozenset({role}) for role in ROLES)))

    # ------------------------------------------------------------------ the machine

    def _for_a_while(self, fault: str) -> None:
        faults = self._world.machine.faults
        setattr(faults, fault, True)
        self._later(lambda: setattr(faults, fault, False))

    def _stall_tmux(self) -> None:
        flushed_after = self._dice.choice((0.0, 0.2, 5.0))
        self._world.tmux_stalls(self._dice.uniform(1.0, LONGEST_FAULT), flushed_after)

    def _slow_deaths(self) -> None:
        faults = self._world.machine.faults
        faults.slow_death = self._dice.uniform(0.1, 20.0)
        self._later(lambda: setattr(faults, "slow_death", 0.0))

    def _break_pipe(self) -> None:
        role = self._role()
        if self.in_pane(role):
            self._world.pane(role).piped = False

    def _copy_mode(self) -> None:
        role = self._role()
        if self.in_pane(role):
            self._world.pane(role).in_mode = True

    # ------------------------------------------------------------------ the supervisor

    def _kill_supervisor(self) -> None:
        if self._world.dog is not None:
            self._world.kill_supervisor()

    def _die_in_the_middle(self) -> None:
        mortality = self._world.mortality
        mortality.dies_at = mortality.points + self._dice.randint(1, 30)

    # ------------------------------------------------------------------ people

    def _person_types(self) -> None:
        role = self._role()
        if self.in_pane(role):
            self._world.person_types(role)
            self._later(lambda: self.person_leaves(role))

    def person_leaves(self, role: str) -> None:
        if self.in_pane(role):
            self._world.person_leaves(role)

    def _ask(self) -> None:
        kinds = ("hold", "release", "restart", "stop", "start", "nudge")
        kind, role = self._dice.choice(kinds), self._role()
        self.note(f"    {kind} {role}")
        fresh = kind == "restart" and self._dice.random() < 0.3
        text = "please go on" if kind == "nudge" else ""
        self._world.ask(kind, role, fresh=fresh, text=text)

    def _stop_everything(self) -> None:
        if self._world.dog is not None:
            self._world.ask("stop", everything=True)
            self._later(self.start_again)

    def start_again(self) -> None:
        """A person starts it, whether or not a supervisor runs."""
        if self._world.dog is None:
            self._world.start_supervisor(begin=True)
        else:
            self._world.ask("start")

    known: Mapping[str, tuple[int, Callable[[Mishaps], None]]] = {
        "an agent turns to something else": (30, _change_course),
        "the next processes of a role are no good": (4, _doom),
        "an agent is killed": (6, _kill_agent),
        "the turn changes": (8, _change_turn),
        "tmux stands still": (4, _stall_tmux),
        "the disk is full": (4, lambda self: self._for_a_while("disk_full")),
        "the state can't be read": (2, lambda self: self._for_a_while("state_unreadable")),
        "zombies": (3, lambda self: self._for_a_while("zombies")),
        "slow deaths": (2, _slow_deaths),
        "a pipe breaks": (3, _break_pipe),
        "the tmux server is killed": (2, lambda self: self._world.machine.end_server()),
        "a reboot": (1, lambda self: self._world.reboot()),
        "a suspended laptop": (2, lambda self: self._world.suspend(8 * HOUR)),
        "a paused machine": (2, lambda self: self._world.machine.freeze(2 * HOUR)),
        "a clock step": (2, lambda self: self._world.suspend(self._dice.uniform(-HOUR, HOUR))),
        "the supervisor is killed": (6, _kill_supervisor),
        "the supervisor dies in the middle": (6, _die_in_the_middle),
        "the supervisor stands still": (2, lambda self: self._world.leave_unwatched(1200.0)),
        "a person types": (3, _person_types),
        "copy mode": (3, _copy_mode),
        "a person asks for something": (10, _ask),
        "a person stops everything": (1, _stop_everything),
    }
