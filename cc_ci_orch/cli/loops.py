"""`launch.py`: the command line of the loops, and the one error boundary.

Each command is a function in a module of its own kind; it is imported when it is called, so
that `status` doesn't pay for `doctor`.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cc_ci_orch import config as configuration
from cc_ci_orch.config import Config
from cc_ci_orch.errors import BAD_CONFIG, FAILED, TRY_AGAIN, OrchError
from cc_ci_orch.shell.ports import CannotTell

PROGRAM_ROOT = Path(__file__).resolve().parent.parent.parent
Masking = Callable[[str], str]
"""Hides the secrets in a text."""


@dataclass(frozen=True)
class Call:
    """One call of a command."""

    args: Namespace
    config: Config
    program_root: Path

    def say(self, text: str) -> None:
        """A message for the person, on stderr, with secrets masked."""
        print(f"cc-ci-orch: {self.config.mask(text)}", file=sys.stderr, flush=True)

    def out(self, text: str, end: str = "\n") -> None:
        """What the command is asked for, on stdout, with secrets masked."""
        print(self.config.mask(text), end=end, flush=True)


def main(argv: Sequence[str] | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run one command of `launch.sh`; the exit code (the README lists them)."""
    from cc_ci_orch.cli.parser import parse

    return run(parse, argv, env)


def run(
    parse: Callable[[Sequence[str]], Namespace],
    argv: Sequence[str] | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """Run the command that `parse` makes of the words; the exit code."""
    env = os.environ if env is None else env
    mask: Masking = str
    _prepare_output()
    try:
        args = parse(sys.argv[1:] if argv is None else argv)
        module, _, function = args.run.partition(":")
        command = getattr(importlib.import_module(f"cc_ci_orch.cli.{module}"), function)
        if args.without_config:
            return int(command(args))
        config = configuration.load(env, program_root())
        mask = config.mask
        call = Call(args, config, program_root())
        for warning in config.warnings:
            call.say(warning)
        return int(command(call))
    except OrchError as error:
        return complain(error.message, error.hint, error.exit_code, mask)
    except CannotTell as error:
        return complain(str(error), "./launch.sh doctor", TRY_AGAIN, mask)
    except BrokenPipeError:
        # The reader of our output has gone (`… | head`); there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return unexpected(error, env, mask)


def _prepare_output() -> None:
    """Somewhere to write to, whatever we were started with: closed streams, an odd locale."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def program_root() -> Path:
    """The folder of launch.py; where the package is installed without it, the present one."""
    return PROGRAM_ROOT if (PROGRAM_ROOT / "launch.py").exists() else Path.cwd()


def complain(message: str, hint: str | None, code: int, mask: Masking = str) -> int:
    """One clear line, and a hint."""
    print(mask(f"cc-ci-orch: {one_line(message)}"), file=sys.stderr)
    if hint:
        print(mask(f"hint: {one_line(hint)}"), file=sys.stderr)
    return code


def one_line(text: str) -> str:
    """The text on one line, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))


def unexpected(error: Exception, env: Mapping[str, str], mask: Masking) -> int:
    """A mistake of ours: the traceback goes to the watchdog's log, one line to the person."""
    root = env.get("ORCH_ROOT") or program_root()
    state = Path(env.get("ORCH_STATE") or Path(root) / ".orch")
    where = state / "logs" / "watchdog.log"
    try:
        descriptor = os.open(where, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with open(descriptor, "a", encoding="utf-8", errors="replace") as log:
            log.write(mask("".join(traceback.format_exception(error))))
        hint = f"the details are in {where}"
    except OSError:
        hint = "./launch.sh doctor"
    if isinstance(error, OSError) and error.filename is not None:  # the world's doing, not ours
        code = BAD_CONFIG if isinstance(error, PermissionError) else FAILED
        return complain(f"can't go on: {error.filename}: {error.strerror}", hint, code, mask)
    return complain(f"internal error: {type(error).__name__}: {error}", hint, FAILED, mask)
