"""The composition root: the only place where adapters are made and put together."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cc_ci_orch import places, seats
from cc_ci_orch.cli.versions import Versions
from cc_ci_orch.cli.witnesses import keepers, telling_folders, witnesses
from cc_ci_orch.config import Config
from cc_ci_orch.core import briefing
from cc_ci_orch.core.actions import Notify, Reply
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Course, Memory, Trouble
from cc_ci_orch.core.phases import PhaseSpec
from cc_ci_orch.core.times import UNKNOWN_BOOT
from cc_ci_orch.errors import ConfigError
from cc_ci_orch.plan import load_phases, phases_file
from cc_ci_orch.seats import Seat
from cc_ci_orch.settings import NOT_SETTINGS
from cc_ci_orch.shell.apply import Applier
from cc_ci_orch.shell.changes import Changes
from cc_ci_orch.shell.clock import RealClock
from cc_ci_orch.shell.git import Git
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.mirror import Mirror
from cc_ci_orch.shell.notify import Notifier
from cc_ci_orch.shell.observe import Observer
from cc_ci_orch.shell.ports import CannotTell, Launch
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.prompts import Prompts
from cc_ci_orch.shell.records import EventLog, MemoryFile
from cc_ci_orch.shell.scout import REPOSITORY, Scout
from cc_ci_orch.shell.store import Store
from cc_ci_orch.shell.tmux import Tmux
from cc_ci_orch.shell.upgrades import Upgrades
from cc_ci_orch.shell.waiter import RealWaiter
from cc_ci_orch.watchdog import Watchdog

NOTES_GRACE = 1.0
"""Seconds that the notifications of the end have to go out: a stop is prompt."""


class Instance:
    """The parts of one instance, each made when it is first needed."""

    def __init__(self, config: Config, program_root: Path) -> None:
        self.config = config
        self.program_root = program_root
        self.seats = seats.seats(config)
        self.orchestrator = seats.orchestrator(config)
        self.clock = RealClock()
        self.store = Store(config.state)
        self.memory_file = MemoryFile(self.store, self.clock)
        self.lock = Lock(config.state / "lock")
        log = config.state / "logs" / "tmux.log"
        self.terminal = Tmux(("-S", str(config.socket)), log, config.unit_socket)
        self.processes = ProcFs()
        self.waiter = RealWaiter(self.processes)
        self.prompts = Prompts(config.root, program_root)
        self.git = Git(config.environment)
        self.phases, self._no_plan = _plan(config)
        self.mirror = Mirror(self.git, config.state / "mirror.git", self.repository, config.branch)
        self.scout: Scout | None = None
        self.notifier: Notifier | None = None
        self.upgrades = Upgrades(
            seats.upgrader(config),
            self.store,
            self.clock,
            self.processes,
            self.terminal,
            config.mask.within,
        )
        self.started = self.clock.wall()
        self._as_started = Versions(config)

    @property
    def repository(self) -> str:
        """The work repository: as configured, else one of the instance's own."""
        return self.config.repo or str(self.config.state / "work.git")

    # ------------------------------------------------------------------ what a start needs

    @property
    def everyone(self) -> tuple[Seat, ...]:
        """The roles of the loops, and the orchestrator."""
        return (*self.seats, self.orchestrator)

    def record_socket(self) -> None:
        """Write down which socket the server has; a full disk leaves it to the settings."""
        with suppress(OSError):
            self.store.write(self.config.state / places.RECORD, f"{self.config.socket}\n")

    def require_plan(self) -> None:
        """ConfigError where the plan can't be used. Looking on and stopping need none."""
        if self._no_plan is not None:
            raise self._no_plan

    def forget_socket(self) -> None:
        """Unless the server goes on, it is of no interest any more where it was."""
        with suppress(CannotTell):
            if self.terminal.listener() is None:
                (self.config.state / places.RECORD).unlink(missing_ok=True)

    def boot_id(self) -> str:
        """The kernel's boot id; `UNKNOWN_BOOT` where it can't be read."""
        try:
            text = self.config.boot_id_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return UNKNOWN_BOOT
        return text if _BOOT_ID.fullmatch(text) else UNKNOWN_BOOT

    # ------------------------------------------------------------------ the watchdog

    def observer(self) -> Observer:
        return Observer(
            self.everyone,
            self.terminal.panes,
            self.processes,
            self.store,
            self.clock,
            self.boot_id(),
            self.config.policy,
            viewer=self.viewer.session,
            foreign=(self.orchestrator.session,),
            phases=self.phases,
            identity=self.config.identity,
            news=lambda: self.scout.latest() if self.scout else None,
            witnesses=witnesses(self.config, self.everyone, self.processes, self.store, self.clock),
            screens=self.terminal.screens,
            has=keepers(self.config, self.orchestrator, self.processes, self.store),
            unread=self.terminal.unread,
        )

    def watchdog(
        self,
        memory: Memory,
        answer: Callable[[Reply], None],
        say: Callable[[str], None],
        *,
        supervising: bool = True,
    ) -> Watchdog:
        """A watchdog over the real world. `supervising` False: it only carries out requests."""
        observer = self.observer()
        observer.supervising = supervising

        def values(seat: Seat) -> Mapping[str, str]:
            return self.prompt_values(seat, dog.memory.course)

        self.notifier = notifier = self.new_notifier(say)

        def notify(note: Notify) -> None:
            if notifier.tell(note):
                dog.record(notified(note, notifier.ways))

        def tell(event: Event, note: Notify | None) -> None:
            dog.record(event)
            if note is not None:
                notify(note)

        def troubles() -> tuple[Trouble, ...]:
            for note in notifier.due():
                notify(note)
            if supervising:  # also a look at a run of the upgrader that nobody else may report
                self.upgrades.settle(tell)
            known = self._not_seen_again(dog.memory.troubles)
            return (*self.troubles(), *known, *phase_troubles(dog.memory.course, self.phases))

        applier = Applier(
            observer,
            self.terminal,
            self.processes,
            self.store,
            self.prompts,
            values,
            answer,
            notify,
            viewer=self.viewer if supervising else None,
            log_keep=self.config.policy.log_keep,
        )
        events = EventLog(self.store, self.clock, self.config.mask.within, say)
        dog = Watchdog(
            observer,
            applier,
            self.memory_file,
            events,
            self.clock,
            self.waiter,
            self.config.policy,
            memory,
            troubles,
            say,
        )
        if supervising:
            folders = telling_folders(self.config, self.everyone, self.processes, self.store)
            self.waiter.listen_to(Changes(folders))
            self.scout = Scout(
                self.mirror,
                lambda: dog.memory.course.ledger.head,
                self.waiter.ring,
                self.config.policy.repo_poll,
            )
        return dog

    def scout_out(self) -> None:
        """Begin to look at the work repository."""
        if self.scout is not None:
            self.scout.start()

    def last_notes(self) -> None:
        """Let the notifications that wait go out; nothing of them is left running."""
        if self.notifier is not None:
            self.notifier.close(NOTES_GRACE)

    def scout_home(self) -> None:
        """Look no more; nothing of it is left running."""
        if self.scout is not None:
            self.scout.stop()
            self.git.end()

    def new_notifier(self, say: Callable[[str], None]) -> Notifier:
        """What tells a person; `say` gets what went wrong with that."""
        return Notifier(
            self.config.notify_command,
            self.config.notify_url,
            self.config.name,
            self.config.environment,
            self.clock,
            self.config.mask,
            say,
        )

    def course(self) -> Course:
        """Where the instance stands, by what was written down last."""
        memory = self.memory_file.peek()
        return Course() if memory is None else memory.course

    def report(self, event: Event, note: Notify | None) -> None:
        """Write an event down and tell a person, where no supervisor does; at once."""
        log = EventLog(self.store, self.clock, self.config.mask.within, lambda text: None)
        log.record(event)
        if note is None:
            return
        notifier = self.new_notifier(lambda text: None)
        if notifier.tell(note):
            log.record(notified(note, notifier.ways))
        notifier.close(TELLING)

    @property
    def viewer(self) -> Launch:
        """The session that only shows the watchdog's log."""
        tail = shutil.which("tail", path=self.config.environment.get("PATH")) or "/usr/bin/tail"
        log = str(self.watchdog_log)
        env = {"PATH": os.defpath, "LANG": "C.UTF-8"}
        session = f"{self.config.name}-watchdog"
        return Launch(session, (tail, "-n", "200", "-F", log), env, Path("/"), None)

    @property
    def watchdog_log(self) -> Path:
        return self.config.state / "logs" / "watchdog.log"

    def prompt_values(self, seat: Seat, course: Course) -> Mapping[str, str]:
        """What prompts can name."""
        stands = briefing.values(course, self.phases)
        plan = phases_file(self.config.root).parent / stands.get("plan_file", "plan.md")
        return {
            **stands,
            "plan_file": str(plan),
            "role": seat.name,
            "instance": self.config.name,
            "workdir": str(seat.workdir),
            "branch": self.config.branch,
            "other_role": "adversary" if seat.name == "builder" else "builder",
            "root": str(self.config.root),
            "program": str(self.program_root),
        }

    def changes(self) -> tuple[Trouble, ...]:
        """What has been changed since this process started, and doesn't count for it yet."""
        return self._as_started.changes()

    def _not_seen_again(self, known: Sequence[Trouble]) -> tuple[Trouble, ...]:
        """A trouble with the work repository lasts until a look says otherwise: a supervisor
        that comes back doesn't tell it anew."""
        if self.scout is None or self.scout.looked:
            return ()
        return tuple(trouble for trouble in known if trouble.key == REPOSITORY)

    def troubles(self) -> tuple[Trouble, ...]:
        """What is wrong with the supervision itself, besides what the watchdog notices."""
        found = [*self.store.troubles()]
        if self._no_plan is not None:
            found.append(Trouble("plan", self._no_plan.message))
        if self.scout is not None and (trouble := self.scout.trouble()) is not None:
            found.append(trouble)
        if self.boot_id() == UNKNOWN_BOOT:
            file = self.config.boot_id_file
            found.append(Trouble("boot id", f"can't read the boot id: {file}"))
        return tuple(found)


def _plan(config: Config) -> tuple[tuple[PhaseSpec, ...], ConfigError | None]:
    try:
        return load_phases(config.root), None
    except ConfigError as error:
        return (), error


def notified(note: Notify, ways: Sequence[str]) -> Event:
    """A person has been told."""
    evidence = {"cause": note.cause, "text": note.text, "ways": ways}
    return Event(Name.NOTIFIED, note.title, role=note.role or None, evidence=evidence)


def phase_troubles(course: Course, phases: Sequence[PhaseSpec]) -> tuple[Trouble, ...]:
    """A plan that no longer has a phase that the instance is in, or goes to."""
    known = {phase.id for phase in phases}
    return tuple(
        Trouble("plan", f"phase {id} is no longer in the plan: ./launch.sh phase set ID")
        for id in (course.phase, course.goal)
        if id and id not in known
    )


TELLING = 5.0
"""Seconds that a command spends at most on telling a person of something."""

_BOOT_ID = re.compile(r"[0-9A-Za-z._:-]{1,128}")


def child_env(config: Config) -> dict[str, str]:
    """The environment of a supervisor that works for this instance, wherever it is started.

    Where an agent of ours starts it (the orchestrator), it is no part of that agent.
    """
    own = {k: v for k, v in config.environment.items() if k not in NOT_SETTINGS}
    return {**own, **config.exported()}
