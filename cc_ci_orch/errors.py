"""The errors that a user sees: what failed, on what, why, and what to do about it.

Everything that goes wrong in a foreseeable way is an `OrchError`. The command line
prints it as one line (and a hint), and exits with its `exit_code`; a traceback
never reaches a user.
"""

from __future__ import annotations

FAILED = 1
USAGE = 2
NOT_RUNNING = 3
TRY_AGAIN = 75
BAD_CONFIG = 78


class OrchError(Exception):
    """`message` reads `<what failed>: <object>: <cause>`; `hint` is a command to run next."""

    exit_code = FAILED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(OrchError):
    """The command line makes no sense."""

    exit_code = USAGE


class TryAgain(OrchError):
    """Nothing is wrong with the request, but it can't be carried out now."""

    exit_code = TRY_AGAIN


class ConfigError(OrchError):
    """A setting, a file or a program that a start needs is missing or wrong."""

    exit_code = BAD_CONFIG
