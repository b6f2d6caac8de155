"""The supervisor's own process, and the watchdog as a command."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from cc_ci_orch import __version__, places
from cc_ci_orch.cli import handover, looking, phases, preparing
from cc_ci_orch.cli.compose import Instance, child_env
from cc_ci_orch.cli.ending import guards
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.cli.versions import PACKAGE
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Memory, Request
from cc_ci_orch.errors import OrchError, TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.shell import control, logs, systemd
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import spawn_daemon
from cc_ci_orch.supervisor import Answers, Duties, Supervisor, own_record

GUARDIAN_EVERY = 1.0
"""Seconds between starts of guardians."""


def supervise(call: Call) -> int:
    """The supervisor's own process, as `start` and the guardian run it."""
    instance = Instance(call.config, call.program_root)
    guardian = call.args.guardian
    begin = call.args.begin
    return run_supervisor(call, instance, begin=begin, guardian=guardian, guarded=True)


def watchdog(call: Call) -> int:
    """One tick, or the supervisor in the foreground."""
    instance = Instance(call.config, call.program_root)
    places.prepare_state(call.config.state)
    if call.args.dry_run:
        return _dry_run(call, instance)
    instance.require_plan()
    preparing.require_programs(instance)
    preparing.require_prompts(instance)
    preparing.prepare(instance, call.say)
    if not call.args.once:
        return run_supervisor(call, instance, begin=False, guardian=None, guarded=False)
    _take_lock(instance)
    dog = instance.watchdog(_memory(instance)[0], lambda reply: None, call.say)
    dog.recover()
    for action in dog.tick().actions:
        call.out(describe(action))
    instance.last_notes()
    instance.memory_file.flush(dog.memory)
    return 0


def _dry_run(call: Call, instance: Instance) -> int:
    memory = instance.memory_file.load() or Memory()
    decision = instance.watchdog(memory, lambda reply: None, call.say).dry_run()
    for action in decision.actions:
        call.out(describe(action))
    if not decision.actions:
        call.out("nothing to do")
    return 0


def describe(action: object) -> str:
    """An action for a person."""
    fields = {k: v for k, v in vars(action).items() if k in ("role", "why", "mode", "keys", "text")}
    words = ", ".join(f"{key}: {value}" for key, value in fields.items() if value)
    return f"{type(action).__name__} ({words})"


def _take_lock(instance: Instance, wait: float = 0.0) -> None:
    if not instance.lock.acquire(wait=wait):
        raise TryAgain(
            f"can't supervise: {instance.config.state}: process {instance.lock.held_by()} does",
            "./launch.sh start --takeover",
        )


def _memory(instance: Instance) -> tuple[Memory, bool]:
    """The memory, and whether there was one. What can't be read is started anew, all up."""
    memory = instance.memory_file.load()
    return memory or Memory(), memory is not None


def run_supervisor(
    call: Call, instance: Instance, *, begin: bool, guardian: int | None, guarded: bool
) -> int:
    """Be the supervisor until a signal or a person ends it."""
    config, say = call.config, _log_line(call, to_stderr=not guarded)
    _take_lock(instance, wait=5.0)
    crashed = (config.state / RECORD).exists()
    if guardian is not None and not crashed:
        return 0  # it was stopped while its guardian still brought it back
    memory, known = _memory(instance)
    resumes = call.args.takeover if begin else True
    # Where systemd brings it back, the same command line as at its start is no new wish.
    resumes = resumes or (crashed and "NOTIFY_SOCKET" in config.environment)
    phase = "" if resumes else phases.choose(call, instance, memory.course)
    answers = Answers()
    dog = instance.watchdog(memory, answers.put, say)
    keeper = _Keeper(instance, guardian, guarded)
    supervisor = Supervisor(
        dog,
        answers,
        Duties(
            _Manager(config.environment), keeper.keep_guardian, keeper.end_guardian, keeper.leave
        ),
        lambda what, message: looking.answer_from(instance, dog, what, message),
    )
    keeper.write_record()
    instance.record_socket()
    _record_reboot(instance, say)
    dog.recover()
    name = Name.SUPERVISOR_RECOVERED if crashed else Name.SUPERVISOR_STARTED
    who = "systemd" if "NOTIFY_SOCKET" in config.environment else "a person"
    why = "the supervisor before it ended without a word" if crashed else f"{who} started it"
    dog.record(Event(name, why, evidence={"pid": os.getpid(), "version": __version__}))
    if begin or not known:
        roles = tuple(call.args.roles) if begin else ()
        nothing_ran = memory.stopped or not known
        dog.ask(Request(0, "start", roles, phase=phase, everything=nothing_ran))
    server = control.ControlServer(config.state, supervisor.handle)
    instance.scout_out()
    try:
        return supervisor.run()
    finally:
        server.close()
        instance.last_notes()
        instance.scout_home()
        if dog.finished:
            instance.forget_socket()
        # The lock goes with the process: who waits for it finds nothing of us.


def _record_reboot(instance: Instance, say: Callable[[str], None]) -> None:
    try:
        handover.record_reboot(instance)
    except (OrchError, OSError) as error:
        say(f"the reboot log is not kept: {error}")


class _Keeper:
    """The supervisor's record and its guardian."""

    def __init__(self, instance: Instance, guardian: int | None, guarded: bool) -> None:
        self._instance = instance
        self._guardian = guardian
        self._guarded = guarded
        self._next_guardian = 0.0
        self._since = time.time()
        self._written = True

    def write_record(self) -> None:
        """Say who supervises; on a full disk later."""
        record = own_record(__version__, self._since, self._guardian)
        try:
            path = self._instance.config.state / RECORD
            self._instance.store.write(path, json.dumps(record) + "\n")
            self._written = True
        except OSError:
            self._written = False

    def keep_guardian(self) -> None:
        """Start a guardian where none lives; not at once again where it keeps dying."""
        state = self._instance.config.state
        lives = self._guardian is not None and guards(self._guardian, state)
        if self._guarded and not lives and time.monotonic() >= self._next_guardian:
            self._next_guardian = time.monotonic() + GUARDIAN_EVERY
            self._guardian = self._start_guardian()
            self._written = False
        if not self._written:
            self.write_record()

    def _start_guardian(self) -> int | None:
        state = self._instance.config.state
        argv = [sys.executable, str(PACKAGE), "guard", str(state), str(os.getpid())]
        env, log = child_env(self._instance.config), self._instance.watchdog_log
        try:
            return spawn_daemon(argv, env=env, cwd=Path("/"), log_path=log)
        except (CannotTell, OrchError):  # the machine is short of something
            return None

    def end_guardian(self) -> None:
        """End the guardian: what follows is meant."""
        if self._guardian is not None and guards(self._guardian, self._instance.config.state):
            with suppress(ProcessLookupError):
                os.kill(self._guardian, signal.SIGTERM)

    def leave(self) -> None:
        """Remove the record: this supervisor ends on purpose."""
        (self._instance.config.state / RECORD).unlink(missing_ok=True)


class _Manager:
    """systemd, where it started us."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env

    def ready(self) -> None:
        systemd.notify(self._env, "READY=1\nSTATUS=supervising")

    def alive(self) -> None:
        systemd.notify(self._env, "WATCHDOG=1")

    def stopping(self) -> None:
        systemd.notify(self._env, "STOPPING=1")


def _log_line(call: Call, *, to_stderr: bool) -> Callable[[str], None]:
    """Writes a line with its date to the watchdog's log; in the foreground to stderr too."""
    path = call.config.state / "logs" / "watchdog.log"

    def say(text: str) -> None:
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
        line = call.config.mask(f"{date} {text.rstrip()}\n")
        if to_stderr:
            print(line, end="", file=sys.stderr, flush=True)
        with suppress(OSError):
            if path.stat().st_size >= call.config.policy.log_max:
                logs.rotate(path, call.config.policy.log_keep)
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            with open(descriptor, "a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(line)
        except OSError:
            pass  # a full disk; `status` says so

    return say
