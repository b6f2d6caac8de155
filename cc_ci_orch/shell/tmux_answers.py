"""What tmux answers, read into our own terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from signal import Signals

from cc_ci_orch.core.model import ExitStatus
from cc_ci_orch.shell.ports import CannotTell, Pane
from cc_ci_orch.shell.run import Done

_TEXTS = (
    *("pane_id", "pane_tty", "pane_dead_status", "pane_dead_signal", "session_last_attached"),
    "session_name",
)
_NUMBERS = (
    *("pane_pid", "pane_dead", "pane_in_mode", "pane_pipe", "pane_width", "pane_height"),
    *("window_activity", "session_attached", "session_activity", "window_index", "pane_index"),
)
_FIELDS = (*_NUMBERS, *_TEXTS)  # the session's name last: it alone may hold a separator
LIST = "|".join(f"#{{{field}}}" for field in _FIELDS)
"""The format that `list-panes` is asked for."""


def expect(done: Done, what: str) -> Done:
    """What was done, if tmux did it without a complaint; CannotTell if not."""
    if done.returncode != 0 or done.stderr:
        raise CannotTell(f"tmux {what}: {done.err or f'status {done.returncode}'}")
    return done


def number_in(done: Done) -> int:
    """The number that was asked for; CannotTell for anything else."""
    try:
        return int(done.out)
    except ValueError as error:
        raise CannotTell(f"tmux: no number: {done.out!r}") from error


def pane_of(line: str) -> Pane | None:
    """One line of list-panes; None for a pane that isn't its session's first."""
    values = dict(zip(_FIELDS, line.split("|", len(_FIELDS) - 1), strict=False))
    try:
        number = {name: int(values[name]) for name in _NUMBERS}
        if not re.fullmatch(r"%\d+", values["pane_id"]):
            raise ValueError("no pane's name")
        if number["window_index"] != 0 or number["pane_index"] != 0:
            return None
        dead = number["pane_dead"] == 1
        return Pane(
            session=values["session_name"],
            pane=values["pane_id"],
            pid=number["pane_pid"],
            tty=values["pane_tty"],
            dead=dead,
            exit=_exit(values["pane_dead_status"], values["pane_dead_signal"]) if dead else None,
            window_activity=number["window_activity"],
            typed_at=_typed_at(number, values["session_last_attached"]),
            in_mode=number["pane_in_mode"] > 0,
            piped=number["pane_pipe"] == 1,
            width=number["pane_width"],
            height=number["pane_height"],
        )
    except (KeyError, ValueError) as error:
        raise CannotTell(f"tmux list-panes: can't read {line!r}") from error


def _typed_at(number: Mapping[str, int], attached: str) -> int | None:
    """When an attached person pressed a key; to attach counts as activity to tmux, not to us."""
    activity = number["session_activity"]
    return activity if number["session_attached"] and activity > int(attached or 0) else None


def _exit(status: str, signal: str) -> ExitStatus | None:
    """tmux often knows neither, even of a kill; it may write a signal as 9 or as KILL."""
    if signal:
        return ExitStatus(signal=int(signal) if signal.isdigit() else Signals[f"SIG{signal}"])
    return ExitStatus(code=int(status)) if status else None
