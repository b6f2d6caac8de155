"""The table of settings: one row each, from which everything else about them derives.

Reading them (`config.py`), the `config` command, docs/settings.md and the hints for a
mistyped name all come from `SETTINGS`, so that a setting stands in one place.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cc_ci_orch import values
from cc_ci_orch.core.policy import TUNABLES
from cc_ci_orch.values import Kind

WORKERS = ("builder", "adversary")
"""The roles that every instance has."""

SINGLES = ("orchestrator", "upgrader")
"""What runs in a session of its own, outside the loops."""

RESERVED = (*SINGLES, "watchdog", "loop")
"""Names that no role of orch.toml may have: sessions of ours, and the prefix of `LOOP_…`."""

DEFAULT_BACKEND = "claude"

NOT_SETTINGS = ("ORCH_ROLE", "ORCH_PHASE", "ORCH_CONVERSATION", "ORCH_ACTIVITY_FILE")
"""What we tell an agent in its environment."""

_NONZERO = {
    "poll": "a busy loop",
    "repo_poll": "a busy loop",
    "idle_nudge_after": "nudges without a pause, since the interval doubles",
    "waiting_nudge_after": "nudges without a pause",
    "stall_after": "every busy agent would be stalled",
    "stable_after": "every death would be the first",
    "restart_period": "a crash loop would never be seen",
    "cooldown": "restarts without a pause",
    "log_max": "a rotation in every tick",
    "start_burst": "nothing would ever start",
}
"""Tunables that can't be 0, each with what a 0 would mean."""


@dataclass(frozen=True)
class Setting:
    """One setting: `name` in the environment, `key` (in `table`) in orch.toml."""

    name: str
    kind: Kind
    help: str
    default: str | None = None
    otherwise: str = ""
    """For people: what holds where there is no fixed default."""
    table: str = ""

    @property
    def key(self) -> str:
        key = self.name.lower()
        return key.removeprefix("orch_") if self.table else key

    @property
    def place(self) -> str:
        """The key as a person would look for it in the file; "" if it can't stand there."""
        if self.name == "ORCH_ROOT":
            return ""
        return f"[{self.table}] {self.key}" if self.table else self.key


def role_settings(role: str) -> tuple[Setting, Setting]:
    """The two settings of one role."""
    prefix = role.upper().replace("-", "_")
    return (
        Setting(
            f"{prefix}_BACKEND",
            values.BACKEND,
            f"backend of the {role}, where LOOP_BACKEND is unset",
            otherwise=DEFAULT_BACKEND,
        ),
        Setting(f"{prefix}_MODEL", values.MODEL, f"model of the {role}, where LOOP_MODEL is unset"),
    )


def _tunables() -> Iterable[Setting]:
    kinds = {"duration": values.DURATION, "size": values.SIZE, "count": values.COUNT}
    nonzero = {
        "duration": values.POSITIVE_DURATION,
        "size": values.POSITIVE_SIZE,
        "count": values.POSITIVE_COUNT,
    }
    for name, tunable in TUNABLES.items():
        kind = (nonzero if name in _NONZERO else kinds)[tunable.metadata["unit"]]
        default = kind.show(tunable.default)
        yield Setting(
            f"ORCH_{name.upper()}", kind, tunable.metadata["help"], default, table="watchdog"
        )


SETTINGS: tuple[Setting, ...] = (
    Setting("ORCH_ROOT", values.PATH, "the instance's folder", otherwise="the folder of launch.py"),
    Setting("ORCH_STATE", values.PATH, "the state folder", otherwise="$ORCH_ROOT/.orch"),
    Setting("ORCH_NAME", values.NAME, "name of the tmux server, prefix of the sessions", "cc-ci"),
    Setting(
        "ORCH_TMUX_SOCKET",
        values.PATH,
        "path of the tmux server's socket, at most 100 bytes",
        otherwise="$TMUX_TMPDIR/tmux-UID/$ORCH_NAME",
    ),
    Setting(
        "ORCH_TMUX_EXTERNAL",
        values.FLAG,
        "the tmux server is another's to start, such as a systemd unit's: it is waited for",
        "0",
    ),
    Setting(
        "ORCH_ROLES", values.NAMES, "the roles that this instance runs", otherwise="all of them"
    ),
    Setting(
        "ORCH_BOOT_ID_FILE",
        values.PATH,
        "where the kernel's boot id stands",
        "/proc/sys/kernel/random/boot_id",
    ),
    Setting(
        "WORK_REPO",
        values.REPOSITORY,
        "the shared work repository",
        otherwise="a bare one in the state folder",
    ),
    Setting("WORK_BRANCH", values.BRANCH, "its branch", "main"),
    Setting(
        "WORK_IDENTITY",
        values.NAME,
        "name of the authors; the same for instances that share a work repository",
        otherwise="$ORCH_NAME",
    ),
    Setting(
        "LOOP_BACKEND", values.BACKEND, "backend of every role; wins over every per-role setting"
    ),
    Setting("LOOP_MODEL", values.MODEL, "model of every role; wins over every per-role setting"),
    *(setting for role in (*WORKERS, *SINGLES) for setting in role_settings(role)),
    Setting("RESUME_PHASE", values.FLAG, "start continues the saved phase", "0"),
    Setting("START_PHASE", values.PHASE, "start begins at that phase"),
    Setting("LOOP_COMMAND", values.COMMAND, "what the command backend runs"),
    Setting(
        "LOOP_COMMAND_RESUME",
        values.COMMAND,
        "what the command backend runs to resume a conversation",
        otherwise="$LOOP_COMMAND",
    ),
    Setting("CLAUDE_BIN", values.PROGRAM, "the claude program", "claude"),
    Setting("OPENCODE_BIN", values.PROGRAM, "the opencode program", "opencode"),
    Setting("OPENCODE_URL", values.URL, "the opencode server to attach to"),
    Setting("NOTIFY_COMMAND", values.ARGV, "run for a notification, which it reads as JSON"),
    Setting("NOTIFY_URL", values.URL, "notifications are sent there by POST, as ntfy takes them"),
    *_tunables(),
)

BY_NAME = {setting.name: setting for setting in SETTINGS}


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a mistyped word most probably means."""
    from difflib import get_close_matches  # only ever needed after a mistake

    found = get_close_matches(word, list(candidates), n=1, cutoff=0.7)
    return found[0] if found else None


def page() -> str:
    """docs/settings.md: what it reads when it is up to date."""
    rows = [
        f"| `{s.name}` | {f'`{s.place}`' if s.place else 'not there'} | {s.kind.name} "
        f"| {f'`{s.default}`' if s.default else s.otherwise or 'unset'} | {s.help} |"
        for s in SETTINGS
    ]
    accepted = {s.kind.name: s.kind.accepts.removesuffix(values.NONZERO) for s in SETTINGS}
    forms = [f"- {kind}: {accepts}" for kind, accepts in accepted.items()]
    nonzero = ", ".join(f"`{name}` ({why})" for name, why in _NONZERO.items())
    return "\n".join([_HEAD, *rows, "", "## What they take", "", *forms, "", _ZERO + nonzero + ".",
                      "", _ROLES]) + "\n"  # fmt: skip


_HEAD = """\
# Settings

This page is made from `cc_ci_orch/settings.py` by `page()`; a test compares the two.

The environment wins over `orch.toml` in `ORCH_ROOT`, which wins over the default. A variable
that is set but empty counts as unset. `launch.sh config` prints every setting with its value
and where it came from, secrets masked. Relative paths count from the current folder in the
environment, and from `ORCH_ROOT` in `orch.toml`; `~/` is the home folder.

| environment | orch.toml | takes | default | meaning |
|---|---|---|---|---|"""

_ZERO = "These can't be 0, which would mean: "

_ROLES = """\
## Roles

`orch.toml` may declare more roles, each in a `[[role]]` with `name`, `prompt` (the name of a
file in `prompts/`), and optionally `backend` and `model`. A role `code-reader` has the settings
`CODE_READER_BACKEND` and `CODE_READER_MODEL` as well. For the backend and the model of a role,
the first of these counts: `LOOP_…`, the role's own setting, its `[[role]]`, the default."""
