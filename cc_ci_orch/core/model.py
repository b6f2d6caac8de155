"""The words of the program as values: what was seen, what is remembered.

A `Snapshot` is what one tick saw of the world. `Memory` is what the watchdog carries from
tick to tick (and over its own death: see `shell/memory.py`). Both are frozen; a tick makes
new ones. Two clocks appear: `mono` (seconds that only go forward; every age and deadline)
and `wall` (the date; only for people and for limits that an agent states as a time).

The file is long because it is a vocabulary: it holds no rule, and one home for all the words
beats several that import each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from cc_ci_orch.core.events import Event
from cc_ci_orch.core.handoff import Handoff
from cc_ci_orch.core.ledger import Ledger
from cc_ci_orch.core.news import News
from cc_ci_orch.core.phases import PhaseSpec


class Liveness(StrEnum):
    """What a session is doing, as judged from evidence (`core/liveness.py`)."""

    ABSENT = "absent"
    STARTING = "starting"
    WORKING = "working"
    IDLE = "idle"
    WAITING = "waiting"
    RETRYING = "retrying"
    LIMITED = "limited"
    BLOCKED = "blocked"
    STALLED = "stalled"
    EXITED = "exited"
    UNKNOWN = "unknown"


class Wanted(StrEnum):
    """What a person wants of a role. What it does is another matter (`Liveness`)."""

    UP = "up"
    DOWN = "down"


class Seen(StrEnum):
    """Whether a thing is there. `UNKNOWN` is not `ABSENT`: the tool didn't answer."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Doing(StrEnum):
    """What a client says of itself, where its backend has an exact source."""

    BUSY = "busy"
    IDLE = "idle"
    RETRYING = "retrying"
    LIMITED = "limited"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class ProcessId:
    """A process for certain: pids are reused, a pid with its start time is not."""

    pid: int
    start_ticks: int


@dataclass(frozen=True)
class ExitStatus:
    """How a process ended: by itself with `code`, or by a signal."""

    code: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"signal {self.signal}"
        return "unknown status" if self.code is None else f"status {self.code}"


@dataclass(frozen=True)
class FileStamp:
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Account:
    """A client's own account of itself (hooks, status file, API), already checked."""

    doing: Doing
    why: str
    until: float | None = None  # wall clock, for a limit that states its end
    tool_open: bool = False
    elsewhere: bool = False  # its tools run where their processes can't be seen
    queues: bool = False  # takes a typed prompt while busy
    recheck: bool = False  # blocked, but at its prompt: whether it works again shows a prompt
    again: bool = False  # with `recheck`: what was missing may be there now, so see at once
    spent: bool = False  # blocked for good: its conversation can't go on, a fresh one could
    timed_out: bool = False  # it retries after a timeout: a hang goes on, only under another name


@dataclass(frozen=True)
class Traits:
    """What a backend can and can't tell; the core knows backends only by this."""

    log_is_progress: bool
    """Fresh output is work. False for a client whose spinner draws even in a hang."""
    has_account: bool
    """It tells busy from idle. Without that, silence on its turn is the stall."""
    cpu_always: bool
    """CPU of its descendants is progress at any time, not only while a tool call is open."""
    can_lose: bool = True
    """A conversation may turn out not to be resumable. False where the same command line serves
    a new conversation and a resumed one."""
    interrupt: tuple[str, ...] = ("Escape",)
    """The keys that cancel its turn, pressed one after the other with a pause between."""


@dataclass(frozen=True)
class RoleSpec:
    """A role as configured."""

    name: str
    backend: str
    traits: Traits
    model: str | None = None
    has_turn: bool = True
    """False for the extra roles of orch.toml: always treated like a role on its turn."""
    types_first: bool = False
    """The first prompt can't stand on the command line and is typed after the start."""
    types_resumed: bool = False
    """Nor can that of a resumed conversation."""
    own_ids: str = ""
    """How the ids begin that the client gives its conversations itself. One that doesn't begin
    so was never learnt, and can't be resumed."""
    resumable: bool = True
    apart: bool = False
    """Outside the loops (`core/apart.py`): the orchestrator."""


# ---------------------------------------------------------------------------- what was seen


@dataclass(frozen=True)
class SessionView:
    """What one tick saw of one session. `None` of a signal means: not looked at, or no answer."""

    role: str
    presence: Seen
    pane: str | None = None
    process: ProcessId | None = None
    running: Seen = Seen.ABSENT
    exit: ExitStatus | None = None
    log: FileStamp | None = None
    log_counts: bool = True
    """The log's pipe is armed and the disk takes writes; else its silence says nothing."""
    piped: bool = True
    window_activity: int | None = None
    signals: Mapping[str, int | str] = field(default_factory=dict)
    """Progress signals by name (activity file, transcript, tokens, commits): any change is work."""
    unreadable: tuple[str, ...] = ()
    """Signals that can't be read now: without them silence can't be told from work."""
    cpu: float | None = None
    """CPU seconds of everything below the client, looked at only in doubt."""
    children: int | None = None
    """Living processes below the client, looked at only in doubt."""
    account: Account | None = None
    typed_ago: float | None = None
    """Seconds since an attached person pressed a key; None: nobody is attached."""
    in_mode: bool = False
    submissions: int | None = None
    """Prompts that the client is known to have accepted, where it tells; grows with each."""
    unread: int | None = None
    """Bytes of what was typed that stand, Enter and all, in its terminal; None: not looked at."""
    answer: str | None = None
    """The key that leads a known dialog, which it shows now, to the answer that we want."""
    conversation: str | None = None
    """The conversation that it has, where it tells: a client may choose the id itself."""
    not_ready: bool = False
    """It still starts: it can't work yet, and takes no prompt. That passes by itself."""
    submitting: bool = False
    """A prompt was handed to it in its own way, and what became of that is still to be said."""
    lost: bool = False
    """The client has no such conversation: its ended process said so, or its files do."""


@dataclass(frozen=True)
class Request:
    """Something a person asked for through the command line."""

    id: int
    kind: Literal["start", "stop", "restart", "nudge", "hold", "release", "phase"]
    roles: tuple[str, ...] = ()
    text: str = ""
    fresh: bool = False
    grace: float = 10.0
    phase: str = ""
    """start: the phase to begin at. phase: the one that `text` (set, defer) is about."""
    by: float | None = None
    """nudge: who asked waits until then (mono). What is not typed by then is dropped."""
    everything: bool = False
    """stop: the whole instance. start: nothing of the instance ran before."""


@dataclass(frozen=True)
class Outcome:
    """What became of an action; a fact of the next snapshot."""

    role: str
    action: str
    ok: bool
    detail: str = ""
    process: ProcessId | None = None
    log: FileStamp | None = None
    """What the log was before the start: all that comes is the new process's."""
    echo: int = 0
    """Bytes that the terminal itself echoes of what was typed: no sign of the program's life."""
    draws: bool = False
    """The program draws what is typed into it, as a full-screen client does in a hang, too."""
    skipped: bool = False
    """The second look found the world changed; nothing was done."""


@dataclass(frozen=True)
class Trouble:
    """Something that is wrong with the supervision itself; `key` names the cause."""

    key: str
    text: str


@dataclass(frozen=True)
class Snapshot:
    """All that a tick knows."""

    mono: float
    wall: float
    boot_id: str
    entropy: int
    """Random bits for new conversation ids, so that `decide` needs no source of its own."""
    terminal: Seen
    """PRESENT: tmux answers. ABSENT: no server. UNKNOWN: it doesn't answer."""
    sessions: Mapping[str, SessionView]
    roles: tuple[RoleSpec, ...]
    requests: tuple[Request, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    turn: frozenset[str] = frozenset()
    """The roles that are expected to act now, where there is no plan to tell."""
    phases: tuple[PhaseSpec, ...] = ()
    identity: str = ""
    """The name in the author identities of the roles."""
    news: News | None = None
    viewer: Seen = Seen.UNKNOWN
    """The session that only shows the watchdog's log."""
    supervising: bool = True
    """False: no supervisor runs; only what a person asks for is done."""
    keep_terminal: bool = False
    """A session that is not ours to end still runs in the terminal server."""
    troubles: tuple[Trouble, ...] = ()

    @property
    def loops(self) -> tuple[RoleSpec, ...]:
        """The roles of the loops: all but those outside of them."""
        return tuple(spec for spec in self.roles if not spec.apart)


# ---------------------------------------------------------------------- what is remembered


class Rung(StrEnum):
    """How far the escalation of a stall has gone (`core/healing.py`)."""

    NONE = "none"
    NUDGED = "nudged"
    INTERRUPTED = "interrupted"
    RESUMED = "resumed"
    RENEWED = "renewed"
    GAVE_UP = "gave up"


class PromptKind(StrEnum):
    """Which text an agent is given; each is a template in prompts/, but for TEXT."""

    KICKOFF = "kickoff"
    RESUME = "resume"
    HANDOVER = "handover"
    IDLE = "nudge"
    WAITING = "waiting"
    STALLED = "stalled"
    TEXT = "text"


@dataclass(frozen=True)
class Prompt:
    """A text for an agent: a kind, and for TEXT the words of a person."""

    kind: PromptKind
    text: str = ""
    more: str = ""
    """What stands below the template: hand-offs that wait for the role."""


class Then(StrEnum):
    """What follows when a process has been ended."""

    RESUME = "resume"
    RENEW = "renew"
    STAY_DOWN = "stay down"


@dataclass(frozen=True)
class Typing:
    """A prompt on its way into an agent, until its submission is proved or given up."""

    prompt: Prompt
    why: str
    by: str = "watchdog"
    request: int | None = None
    until: float | None = None
    """It is not typed after this time (mono)."""
    handoffs: tuple[str, ...] = ()
    """Names of the hand-offs in it; out of the inbox once it is proved."""
    given: bool = False
    """It stands on the command line of the process, so nothing is typed."""
    weak: bool = False
    """A hand-off to a program that proves nothing: that it lives on must do."""
    silent: bool = False
    """The first prompt of a process: part of its start, not an event of its own."""
    sent_at: float | None = None
    log_size: int = 0
    echo: int = 0
    """Bytes that its terminal echoes of it."""
    submissions: int = 0
    enters: int = 0
    trouble: str = ""
    """Why it could not be typed; then there is nothing to press Enter for."""


@dataclass(frozen=True)
class Interrupting:
    """Cancelling the current turn: Escape, a moment later Ctrl-C, then a nudge."""

    since: float
    pressed: int = 0


@dataclass(frozen=True)
class Ending:
    """A process that is being asked, then made, to end."""

    then: Then
    why: str
    grace: float
    by: str = "watchdog"
    asked_at: float | None = None
    termed: bool = False
    checked: bool = True
    """Ask only if the evidence still stands (a heal); a person's wish needs none."""


@dataclass(frozen=True)
class Mark:
    """A signal's value and when (mono) it was first seen to have it."""

    value: int | str
    at: float


@dataclass(frozen=True)
class CpuMark:
    seconds: float
    at: float
    still: bool = False
    """Two samples have been compared, and next to nothing was used between them."""


@dataclass(frozen=True)
class RoleMemory:
    """What the watchdog knows of one role. Times are mono unless the name says wall."""

    # what a person decided
    wanted: Wanted = Wanted.UP
    kept_down: bool = False
    """`stop ROLE`: down until `start ROLE`, whatever else is started."""
    held: bool = False

    # the conversation, and the process that has it
    conversation: str | None = None
    conversation_backend: str = ""
    begun: bool = False
    """A process was started with the conversation, so that it can be resumed."""
    tried: bool = False
    """A process was to begin the conversation. If it never was seen (the supervisor died), the
    conversation may exist or not: it can be neither begun nor resumed for certain."""
    lost: str | None = None
    """The conversation that this one replaces, until a process has begun it."""
    process: ProcessId | None = None
    started_at: float = 0.0
    resumed: bool = False
    """The process was started to resume the conversation (else: to begin it)."""

    # evidence
    log: FileStamp | None = None
    log_at: float = 0.0
    echo: int = 0
    echo_until: float = 0.0
    typed: bool = False
    """Something was to be typed, and what the terminal echoed of it has not been told."""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    cpu: CpuMark | None = None
    progress_at: float | None = None
    progress_by: str = ""
    quiet_from: float = 0.0
    """Silence counts from here at the earliest: its turn began, a hold ended …"""
    rest_at: float = 0.0
    """When its client was last seen with nothing to do, or unable to (idle, limited, blocked)."""
    on_turn: bool = False
    retrying_at: float | None = None
    """Since when it has been retrying, with nothing but further tries in between."""

    # hand-offs that are not proved to be delivered
    inbox: tuple[Handoff, ...] = ()
    inbox_retry_at: float = 0.0
    inbox_tries: int = 0

    # the judgement
    liveness: Liveness = Liveness.ABSENT
    since: float = 0.0
    since_wall: float = 0.0
    reason: str = "not started yet"
    evidence: tuple[str, ...] = ()
    next_step: str = ""
    next_at: float | None = None

    # healing
    died_at: float = 0.0
    mode: Then | None = None
    """How the next process begins, once the last one is gone; None while one runs."""
    restarts: int = 0
    restart_times: tuple[float, ...] = ()
    deaths: int = 0
    """Deaths in a row, without a good run between them."""
    early_deaths: int = 0
    """Resumed processes in a row that died at once."""
    backoff: float = 1.0
    next_attempt: float | None = None
    gave_up: bool = False
    rung: Rung = Rung.NONE
    rung_at: float = 0.0
    healing: Then | None = None
    """A heal under way and what it makes of the conversation; it outlives our own death."""
    unwell: Liveness | None = None
    """It was said to be so (stalled, limited, blocked), and not yet to be well again."""
    idle_nudges: int = 0
    nudged_at: float | None = None
    blocked_at: float | None = None
    """When a person was last told that it is blocked, and why."""
    blocked_why: str = ""
    pipe_retry_at: float = 0.0
    pipe_delay: float = 1.0

    # in flight; forgotten with the supervisor
    submissions: int = field(default=0, metadata={"volatile": True})
    """As the client last told."""
    typing: Typing | None = field(default=None, metadata={"volatile": True})
    interrupting: Interrupting | None = field(default=None, metadata={"volatile": True})
    ending: Ending | None = field(default=None, metadata={"volatile": True})
    starting: bool = field(default=False, metadata={"volatile": True})
    """A start is under way: its outcome is not known yet."""
    starting_at: float = field(default=0.0, metadata={"volatile": True})
    exit: ExitStatus | None = None
    start_trouble: str = field(default="", metadata={"volatile": True})
    """Why the last start came to nothing."""


class PhaseState(StrEnum):
    """What a phase does (`core/passage.py`)."""

    RUNNING = "running"
    DRAINING = "draining"
    COMPLETE = "complete"


@dataclass(frozen=True)
class Course:
    """Where in the plan the instance stands, and all that was said in the work repository."""

    phase: str = ""
    """Empty before the first start."""
    entry: int = 0
    """Counts the phases entered; a phase entered again is another entry."""
    state: PhaseState = PhaseState.RUNNING
    since: float = 0.0
    """When draining began (mono)."""
    goal: str = ""
    """While draining: the phase that comes next; empty where none is left."""
    completed: bool = False
    """While draining: it was complete (else a person wanted another one)."""
    commit: str = ""
    """The head at which it was complete."""
    by: str = "watchdog"
    waiting_for: str = ""
    """While draining: whom, in words."""
    deferred: frozenset[str] = frozenset()
    """By a person, besides those that the plan defers."""
    turn: frozenset[str] = frozenset()
    ledger: Ledger = field(default_factory=Ledger)
    next_handoff: int = 1
    known: tuple[str, ...] = ()
    """Keys of the hand-offs of this entry."""


@dataclass(frozen=True)
class Memory:
    """What the watchdog carries from tick to tick, and over its own death."""

    boot_id: str = ""
    last_tick: float = 0.0
    """When the last tick was that saw anything: a time without an answer from tmux ages nothing."""
    roles: Mapping[str, RoleMemory] = field(default_factory=dict)
    stopped: bool = False
    """A person stopped the whole instance."""
    stop_by: float | None = field(default=None, metadata={"volatile": True})
    """When (mono) a stop goes on although tmux doesn't answer."""
    waiting: tuple[Request, ...] = field(default=(), metadata={"volatile": True})
    """Requests that are not answered yet."""
    course: Course = field(default_factory=Course)
    told: int = 0
    """Events that `decide` has brought forth so far."""
    outbox: tuple[Event, ...] = ()
    """The newest of them: written down with the memory, before they are written as events, so
    that a crash in between neither loses nor doubles one."""
    viewer_retry_at: float = 0.0
    troubles: tuple[Trouble, ...] = ()
