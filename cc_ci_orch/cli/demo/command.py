"""The demo as a command: make the instance, start it, look on, make the faults, sum up, clean up.

Whatever happens, nothing is left running and nothing behind: signals are only noted where they
arrive and acted upon between two steps, so that neither a start nor a stop is cut short.
"""

from __future__ import annotations

import errno
import io
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cc_ci_orch.cli.demo import summary
from cc_ci_orch.cli.demo.faults import Faults
from cc_ci_orch.cli.demo.instance import Instance
from cc_ci_orch.cli.demo.screen import Screen
from cc_ci_orch.core.ledger import ADVERSARY, BUILDER
from cc_ci_orch.core.model import PhaseState
from cc_ci_orch.errors import OrchError
from cc_ci_orch.plan import load_phases
from cc_ci_orch.shell.ports import CannotTell

LOOK_EVERY = 0.15
"""Seconds between two looks at the instance."""

LONGEST = 240.0
"""Seconds after which a demo that has not ended has failed."""

INTRO = """\
Two agents without a model build a small tool in a throw-away instance, in
{folder}. One claim will be wrong, one agent will be
killed, one will hang. It ends by itself within about a minute.
"""

KEPT = """\
kept: {folder}
  state/events.jsonl           all events
  state/logs/                  what the agents and the watchdog said
  git -C {folder}/state/work.git log main
"""


class Interrupted(Exception):
    """A signal asks for the end; `args[0]` is its number."""


class Demo:
    """One run."""

    def __init__(self) -> None:
        self._begun = time.time()
        self._asked = 0
        self._stopped = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)
        self.instance = Instance()
        self._screen = Screen(self._begun)
        self._faults = Faults(self.instance)
        self._events: list[Mapping[str, Any]] = []

    def _on_signal(self, number: int, _frame: object) -> None:
        self._asked = number

    def run(self) -> int:
        """The whole of it; the exit code. Interrupted where a signal asks for that."""
        self.instance.write()
        started = self.instance.start()
        if started.returncode != 0:
            print(started.err, file=sys.stderr)
            return started.returncode
        self._screen.say(INTRO.format(folder=self.instance.folder))
        complete = self._look_on()
        seconds = time.time() - self._begun
        if not complete:
            self._screen.say(f"it has not ended after {seconds:.0f} s")
        self._stopped = self.instance.stop().returncode == 0
        left = self.instance.sweep()
        self._take_events()
        self._screen.clear()
        return self._sum_up(left, seconds)

    def _look_on(self) -> bool:
        """Show it and make the faults, until all phases are complete; whether they are."""
        while time.time() - self._begun < LONGEST:
            if self._asked:
                raise Interrupted(self._asked)
            state = self.instance.status()
            self._take_events()
            if state is not None and "phase" in state:
                for text in self._faults.look(state):
                    self._screen.fault(text, time.time())
                self._screen.draw(state)
                if state["phase"]["state"] == PhaseState.COMPLETE:
                    return True
            time.sleep(LOOK_EVERY)
        return False

    def _take_events(self) -> None:
        for event in self.instance.new_events():
            self._events.append(event)
            self._screen.event(event)

    def _sum_up(self, left: list[int], seconds: float) -> int:
        phases = load_phases(self.instance.folder / "root")
        healed = summary.healed(self._events, self._faults.killed, self._faults.hung)
        kept = summary.kept(self._events, phases, commits(self.instance), left)
        self._screen.say(summary.text(healed, kept, seconds))
        return 0 if all(finding.ok for finding in (*healed, *kept)) else 1

    def end(self, *, keep: bool) -> None:
        """Leave nothing running and, unless it is to be kept, nothing behind."""
        with suppress(OSError):
            self._screen.clear()
        with suppress(CannotTell, OrchError, OSError):
            if not self._stopped and self.instance.state.exists():
                self.instance.stop()
        self.instance.sweep()
        with suppress(OSError):
            if keep:
                self._screen.say("\n" + KEPT.format(folder=self.instance.folder).rstrip())
            elif not self.instance.remove():
                self._screen.say(f"can't be removed: {self.instance.folder}")


def demo(args: Namespace) -> int:
    """Run it, and clean up whatever happens; 0 if all went as it should."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    it = Demo()
    try:
        return it.run()
    except Interrupted as interrupted:
        with suppress(OSError):
            print(f"cc-ci-orch: interrupted: ending {it.instance.folder}", file=sys.stderr)
        return 128 + int(interrupted.args[0])
    except OSError as error:
        if error.errno != errno.EIO:
            raise
        return 128 + signal.SIGHUP  # the terminal has gone
    finally:
        it.end(keep=args.keep)


def commits(instance: Instance) -> summary.Commits:
    """What is on the work branch, and what was made or seen and isn't."""
    work, mirror = instance.state / "work.git", instance.state / "mirror.git"
    ask = ("log", "--format=%ae %at %s")  # a rebase changes none of these
    on_branch = instance.git(work, *ask, "main").out.splitlines()
    by_role, lost = {}, []
    for role in (BUILDER, ADVERSARY):
        address = f"{role}@{instance.name}.invalid "
        by_role[role] = sum(line.startswith(address) for line in on_branch)
        made = instance.git(instance.clone(role), *ask, "--walk-reflogs", "HEAD").out.splitlines()
        lost += [line for line in dict.fromkeys(made) if line not in on_branch]
    head = instance.git(work, "rev-parse", "main").out.strip()
    gone = instance.git(mirror, "rev-list", "--glob=refs/orch/seen/*", "--not", head)
    lost += gone.out.split() if gone.returncode == 0 else ["the mirror has not seen the end"]
    return summary.Commits(by_role, lost)
