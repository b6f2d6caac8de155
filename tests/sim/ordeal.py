"""A seeded random run: days in which everything goes wrong, and calm in between.

An episode is some hours of mishaps, then calm: every fault ends, every person lets go. Agents
that hang by then go on hanging. Within `recovery_time` both roles must be at work again, and
every request answered. All the while the `Referee` watches.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from cc_ci_orch.core.model import Wanted
from cc_ci_orch.core.policy import BACKOFF_MAX, START_TIMEOUT, Policy
from tests.sight import BOTH, ROLES
from tests.sim.mishaps import HOUR, Casting, Mishaps
from tests.sim.referee import Referee, Violation
from tests.world import World

DAY = 24 * HOUR
EPISODE = (3 * HOUR, 12 * HOUR)
BETWEEN_MISHAPS = 900.0
MARGIN = 120.0
"""Seconds for all that is short: ticks, asking before killing, a supervisor that comes back."""

BACKENDS: tuple[Mapping[str, str], ...] = (
    {},
    {"adversary": "claude"},
    {"builder": "claude", "adversary": "claude"},
)
TEMPLATES = ("agent {prompt_file}", "agent {prompt}", "agent")


def recovery_time(policy: Policy) -> float:
    """Seconds within which a role is at work again once nothing goes wrong any more.

    The worst case: a client that retries an error, then hangs; given up a moment ago, so that
    the ladder begins at its bottom after a cool-down, up to the heal. Or a client that is idle
    and was nudged a moment ago, for the longest time.
    """
    silent = policy.retry_limit + policy.stall_after
    ladder = policy.cooldown + policy.interrupt_after + policy.heal_after
    hang = silent + ladder + BACKOFF_MAX + START_TIMEOUT
    return max(hang, policy.waiting_nudge_after) + 10 * policy.poll + MARGIN


class Ordeal:
    """One run. The seed decides everything."""

    def __init__(self, seed: int, **policy: Any) -> None:
        self._dice = random.Random(seed)
        template, backends = self._dice.choice(TEMPLATES), self._dice.choice(BACKENDS)
        self.world = World(backends, template=template, seed=seed, **policy)
        self.referee = Referee(self.world)
        self.casting = Casting(self._dice, self.world)
        self.mishaps = Mishaps(self._dice, self.world, self.casting)
        self.slowest = 0.0
        """Seconds that the slowest recovery took."""

    def run(self, seconds: float) -> Ordeal:
        """Raises Violation if an invariant does not hold."""
        self.world.started()
        lived = 0.0
        while lived < seconds:
            length = min(self._dice.uniform(*EPISODE), seconds - lived)
            self._suffer(length)
            lived += length + self._recover()
        return self

    def _suffer(self, length: float) -> None:
        passed = 0.0
        while passed < length:
            pause = min(self._dice.expovariate(1 / BETWEEN_MISHAPS), length - passed)
            self.world.wait(pause)
            passed += pause
            self.mishaps.happen()

    def _recover(self) -> float:
        """Everything that goes wrong ends; the seconds until all is well again."""
        world = self.world
        self._end_faults()
        world.wait(60.0)  # what was asked for last is taken in
        self._let_go()
        self.mishaps.note("calm")
        limit, begun = recovery_time(world.policy), world.now
        world.wait_for(lambda: world.all_work() or world.now - begun > limit, limit + HOUR)
        if not world.all_work():
            raise Violation(f"not at work {limit:g} s after the last fault: {self._state()}")
        took = world.now - begun
        self.slowest = max(self.slowest, took)
        world.wait(MARGIN)
        late = [asked.request for asked in world.asked.values() if asked.open]
        if late:
            raise Violation(f"never answered: {late}")
        return took + 60.0 + MARGIN

    def _end_faults(self) -> None:
        world, faults = self.world, self.world.machine.faults
        if faults.tmux_silent:
            world.tmux_goes_on()
        faults.disk_full = faults.state_unreadable = faults.zombies = False
        faults.slow_death = 0.0
        world.mortality.dies_at = None
        world.turn = BOTH
        self.casting.doomed = dict.fromkeys(ROLES, 0)
        for role in ROLES:
            self.mishaps.person_leaves(role)

    def _let_go(self) -> None:
        """No person wants anything any more but that both roles work."""
        world = self.world
        if world.dog is None:
            world.start_supervisor(begin=True)
        if world.dog is None:
            return
        memory = world.dog.memory
        world.ask("release")
        down = [name for name in ROLES if memory.roles[name].wanted is Wanted.DOWN]
        if down or memory.stopped:
            world.ask("start", *down)

    def _state(self) -> str:
        return "; ".join(
            f"{role} {agent.act.kind if agent.alive else 'is dead'}"
            for role, agent in self.world.agents.items()
        )
