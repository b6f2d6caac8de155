"""start, stop, restart, watchdog; and the supervisor's own process."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cc_ci_orch import __version__, places
from cc_ci_orch.cli import looking, talk
from cc_ci_orch.cli.compose import Instance, child_env
from cc_ci_orch.cli.loops import Call
from cc_ci_orch.core.events import Event, Name
from cc_ci_orch.core.model import Memory, Request
from cc_ci_orch.errors import OrchError, TryAgain
from cc_ci_orch.guardian import RECORD
from cc_ci_orch.shell import control, systemd
from cc_ci_orch.shell.lock import Lock
from cc_ci_orch.shell.ports import CannotTell
from cc_ci_orch.shell.run import spawn_daemon
from cc_ci_orch.supervisor import Answers, Duties, Supervisor, own_record

PACKAGE = Path(__file__).resolve().parent.parent
COMING_UP = 20.0
"""Seconds in which a supervisor must have made its first tick."""

SESSIONS_UP = 30.0
"""Seconds that `start` waits for its sessions before it shows what there is."""

LEAVING = 20.0
"""Seconds in which a supervisor that got TERM must be gone."""


# ------------------------------------------------------------------------------------ start


def start(call: Call) -> int:
    """Start whatever isn't running, and show it."""
    talk.check_roles(call, call.args.roles)
    instance = Instance(call.config, call.program_root)
    instance.require_programs()
    instance.prepare(call.say)
    if call.args.foreground:
        return run_supervisor(call, instance, begin=True, guardian=None, guarded=False)
    with Lock(call.config.state / "start.lock"):
        if call.args.takeover:
            _end_supervisor(call)
        already = talk.query(call.config.state, "status")
        if already is None:
            _launch(call, begin=not call.args.takeover)
        else:
            request = Request(0, "start", tuple(call.args.roles))
            answer = talk.ask(call, request) or {"code": 75, "text": "the supervisor has ended"}
            code, text = talk.answer_of(answer)
            if code:
                raise OrchError(f"can't start: {text}")
            call.say(f"already running (supervisor {already['supervisor']['pid']})")
    state = _wait_for_sessions(call)
    call.out(looking.render(state, sys.stdout), end="")
    return 0


def _launch(call: Call, *, begin: bool) -> None:
    """Start a supervisor of its own, and wait for its first tick."""
    log = call.config.state / "logs" / "watchdog.log"
    argv = [sys.executable, str(PACKAGE), "supervise", *call.args.roles]
    if begin:
        argv.append("--begin")
    pid = spawn_daemon(argv, env=child_env(call.config), cwd=Path("/"), log_path=log)
    deadline = time.monotonic() + COMING_UP
    while talk.query(call.config.state, "status") is None:
        if not _exists(pid) or time.monotonic() > deadline:
            raise OrchError(f"the supervisor did not start: {_last_line(log)}", f"see {log}")
        time.sleep(0.02)


def _wait_for_sessions(call: Call) -> Mapping[str, Any]:
    """The state once every wanted session runs, or has failed to."""
    deadline = time.monotonic() + SESSIONS_UP
    told = 0.0
    while True:
        state = talk.query(call.config.state, "status") or looking.offline_state(call)
        starting = [
            s["role"]
            for s in state["sessions"]
            if s["wanted"] == "up" and s["pid"] is None and not s["restarts"] and not s["held"]
            and not s["gave_up"]
        ]  # fmt: skip
        now = time.monotonic()
        if not starting or now > deadline:
            return state
        if now - told > 2.0:
            told = now
            call.say(f"waiting for {', '.join(starting)}")
        time.sleep(0.05)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _last_line(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it left no word"


def _end_supervisor(call: Call) -> None:
    """End a running supervisor, the agents untouched; nothing running is no error."""
    lock = Lock(call.config.state / "lock")
    pid = lock.held_by()
    if not pid:
        return
    os.kill(pid, signal.SIGTERM)
    if not _free(lock, LEAVING):
        call.say(f"supervisor {pid} does not leave, so it is killed")
        _kill_supervisor(call, pid)


def _kill_supervisor(call: Call, pid: int) -> None:
    """End one that does not answer: its guardian first, or that would bring it back."""
    state = call.config.state
    guardian = _record(state).get("guardian")
    for victim in (guardian, pid):
        if isinstance(victim, int) and _is_ours(victim):
            os.kill(victim, signal.SIGKILL)
    if not _free(Lock(state / "lock"), LEAVING):
        raise TryAgain(f"can't end the supervisor: {pid}: it does not die")
    (state / RECORD).unlink(missing_ok=True)


def _is_ours(pid: int) -> bool:
    """Whether the pid is a process of this program: pids are reused."""
    try:
        return os.fsencode(PACKAGE) in Path(f"/proc/{pid}/cmdline").read_bytes() or (
            b"launch.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
        )
    except OSError:
        return False


def _free(lock: Lock, seconds: float) -> bool:
    """Whether nobody holds the lock within that time."""
    deadline = time.monotonic() + seconds
    while lock.held_by() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _record(state: Path) -> Mapping[str, Any]:
    try:
        value = json.loads((state / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


# --------------------------------------------------------------------------- stop, restart


def stop(call: Call) -> int:
    """End the agents, and with them the supervisor; or keep one role down."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles)
    request = Request(0, "stop", roles, grace=call.args.grace, everything=not roles)
    patience = call.args.grace + LEAVING
    try:
        answer = talk.ask(call, request, patience)
    except CannotTell as error:
        call.say(f"{error}; ending it, and going on without it")
        pid = Lock(call.config.state / "lock").held_by()
        if pid:
            _kill_supervisor(call, pid)
        answer = None
    if answer is None:
        reply = talk.carry_out(call, request)
        code, text = reply.code, reply.text
        (call.config.state / RECORD).unlink(missing_ok=True)
    else:
        code, text = talk.answer_of(answer)
        if not roles and code == 0 and not _free(Lock(call.config.state / "lock"), LEAVING):
            raise TryAgain("the agents have ended, but the supervisor has not", "try again")
    call.say(text)
    return code


def restart(call: Call) -> int:
    """The same conversation, or a fresh one, in a new process."""
    roles = tuple(call.args.roles)
    talk.check_roles(call, roles)
    request = Request(0, "restart", roles, fresh=call.args.fresh)
    answer = talk.ask(call, request, request.grace + SESSIONS_UP)
    if answer is None:
        raise TryAgain("can't restart: no supervisor runs", "./launch.sh start")
    code, text = talk.answer_of(answer)
    call.say(text)
    return code


# ----------------------------------------------------------------------------- supervising


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
    instance.require_programs()
    instance.prepare(call.say)
    if not call.args.once:
        return run_supervisor(call, instance, begin=False, guardian=None, guarded=False)
    _take_lock(instance)
    dog = instance.watchdog(_memory(instance)[0], lambda reply: None, call.say)
    for action in dog.tick().actions:
        call.out(describe(action))
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
    memory, known = _memory(instance)
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
    name = Name.SUPERVISOR_RECOVERED if crashed else Name.SUPERVISOR_STARTED
    why = "the supervisor before it ended without a word" if crashed else "a person started it"
    dog.record(Event(name, why, evidence={"pid": os.getpid(), "version": __version__}))
    if begin or not known:
        roles = tuple(call.args.roles) if begin else ()
        nothing_ran = memory.stopped or not known
        dog.ask(Request(0, "start", roles, everything=nothing_ran))
    server = control.ControlServer(config.state, supervisor.handle)
    try:
        return supervisor.run()
    finally:
        server.close()
        if dog.finished:
            (config.state / places.RECORD).unlink(missing_ok=True)
        instance.lock.release()


class _Keeper:
    """The supervisor's record and its guardian."""

    def __init__(self, instance: Instance, guardian: int | None, guarded: bool) -> None:
        self._instance = instance
        self._guardian = guardian
        self._guarded = guarded
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
        """Start a guardian where none lives."""
        if not self._guarded:
            return
        if self._guardian is None or self._instance_identify(self._guardian) is None:
            state = self._instance.config.state
            self._guardian = spawn_daemon(
                [sys.executable, str(PACKAGE), "guard", str(state), str(os.getpid())],
                env=child_env(self._instance.config),
                cwd=Path("/"),
                log_path=self._instance.watchdog_log,
            )
            self._written = False
        if not self._written:
            self.write_record()

    def _instance_identify(self, pid: int) -> object:
        return pid if _is_ours(pid) else None

    def end_guardian(self) -> None:
        """End the guardian: what follows is meant."""
        self._guarded = False
        if self._guardian is not None and _is_ours(self._guardian):
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
        try:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            with open(descriptor, "a", encoding="utf-8", errors="backslashreplace") as log:
                log.write(line)
        except OSError:
            pass  # a full disk; `status` says so

    return say
