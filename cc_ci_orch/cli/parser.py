"""The command line as argparse sees it: every command, its arguments, its help."""

from __future__ import annotations

import sys
from argparse import (
    SUPPRESS,
    ArgumentParser,
    ArgumentTypeError,
    Namespace,
    RawDescriptionHelpFormatter,
)
from collections.abc import Sequence
from typing import Any, NoReturn

from cc_ci_orch import __version__
from cc_ci_orch.values import DURATION

OVERVIEW = """\
Keeps a builder and an adversary, two coding agents, at work on one git repository.

examples:
  ./launch.sh demo                  see all of it in a minute, with agents that need no model
  ./launch.sh start                 start everything that is not running, and show it
  ./launch.sh status --watch        look on
  ./launch.sh logs builder -f       read along
  ./launch.sh explain builder       why does the watchdog think what it thinks?
  ./launch.sh nudge builder 'Push what you have.'
  ./launch.sh stop                  end everything

exit codes: 0 done, 1 failed (status: not healthy), 2 usage, 3 (status) nothing is running,
            75 try again later, 78 configuration
"""


class Parser(ArgumentParser):
    """Errors as everywhere in this program: one line and a hint, exit 2."""

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(message, file)
        (file or sys.stderr).flush()  # a reader that has gone is noticed now, and not at exit

    def error(self, message: str) -> NoReturn:
        print(f"cc-ci-orch: can't read the command line: {message}", file=sys.stderr)
        print(f"hint: {self.prog} --help", file=sys.stderr)
        raise SystemExit(2)


def parser_of(program: str, overview: str) -> Parser:
    """The parser of one of our programs, without its arguments; it knows --help and --version."""
    parser = Parser(prog=program, description=overview, formatter_class=RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"cc-ci-orch {__version__}")
    return parser


def parse(argv: Sequence[str]) -> Namespace:
    """The command and its arguments; prints help or an error and exits where that is asked."""
    parser = parser_of("launch.sh", OVERVIEW)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_lifecycle, _looking, _steering, _handing_over, _checking):
        add(commands)
    if argv[:1] in (["supervise"], ["serve"]):  # our own: no error names them
        _internal(commands)
    return parser.parse_args(argv)


def duration(text: str) -> float:
    """A duration as in the settings, for argparse."""
    try:
        return float(DURATION.parse(text))
    except ValueError as error:
        raise ArgumentTypeError(f"{text!r} is no duration ({error}); try 10s or 1m30s") from None


def _command(
    commands: Any, name: str, run: str, help: str, example: str = "", *, config: bool = True
) -> ArgumentParser:
    parser: ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help,
        epilog=f"example:\n  ./launch.sh {example}" if example else None,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run, without_config=not config)
    return parser


def _lifecycle(commands: Any) -> None:
    start = _command(
        commands, "start", "lifecycle:start",
        "start the sessions and the supervisor, whatever of them is not running",
        "start builder",
    )  # fmt: skip
    start.add_argument("roles", nargs="*", metavar="ROLE", help="only these (default: all)")
    start.add_argument("--foreground", action="store_true", help="be the supervisor (for systemd)")
    start.add_argument(
        "--takeover", action="store_true", help="replace a running supervisor, agents untouched"
    )
    stop = _command(
        commands, "stop", "lifecycle:stop",
        "end the agents and the supervisor; with ROLE, keep that role down until start ROLE",
        "stop --grace 1m",
    )  # fmt: skip
    stop.add_argument("roles", nargs="*", metavar="ROLE", help="only these (default: all)")
    stop.add_argument(
        "--grace", type=duration, default=10.0, metavar="TIME",
        help="how long an agent may take to leave before it is killed (default: 10s)",
    )  # fmt: skip
    restart = _command(
        commands, "restart", "lifecycle:restart",
        "the same conversation in a new process",
        "restart adversary --fresh",
    )  # fmt: skip
    restart.add_argument("roles", nargs="*", metavar="ROLE", help="only these (default: all)")
    restart.add_argument(
        "--fresh", action="store_true", help="begin a new conversation with today's prompts"
    )
    watchdog = _command(
        commands, "watchdog", "supervising:watchdog",
        "be the supervisor, in the foreground",
        "watchdog --once --dry-run",
    )  # fmt: skip
    watchdog.add_argument("--once", action="store_true", help="one tick, then end")
    watchdog.add_argument(
        "--dry-run", action="store_true", help="print what would be done, and do nothing"
    )


def _internal(commands: Any) -> None:
    supervise = commands.add_parser("supervise")
    supervise.add_argument("roles", nargs="*")
    supervise.add_argument("--begin", action="store_true")
    supervise.add_argument("--takeover", action="store_true")
    supervise.add_argument("--guardian", type=int, help=SUPPRESS)
    supervise.set_defaults(run="supervising:supervise", without_config=False)
    serve = commands.add_parser("serve")  # for a unit
    serve.add_argument("socket")
    serve.add_argument("--wait", action="store_true")
    serve.set_defaults(run="serving:serve", without_config=True)


def _looking(commands: Any) -> None:
    status = _command(
        commands, "status", "looking:status",
        "what everything does; exit 0 healthy, 1 not healthy, 3 nothing is running",
        "status --json",
    )  # fmt: skip
    status.add_argument("--json", action="store_true", help="for programs")
    status.add_argument(
        "--watch", type=duration, nargs="?", const=2.0, metavar="TIME",
        help="again and again, every TIME (default: 2s)",
    )  # fmt: skip
    logs = _command(
        commands, "logs", "reading:logs",
        "what a session printed, as readable text",
        "logs builder -n 100 -f",
    )  # fmt: skip
    logs.add_argument("role", metavar="ROLE", help="a role, watchdog, orchestrator or upgrader")
    add_lines(logs)
    logs.add_argument("--raw", action="store_true", help="the bytes as the terminal got them")
    attach = _command(
        commands, "attach", "looking:attach",
        "attach this terminal to a session (detach: C-b d)",
        "attach builder",
    )  # fmt: skip
    attach.add_argument("role", metavar="ROLE")
    explain = _command(
        commands, "explain", "looking:explain",
        "why a role is judged as it is: the evidence, the rule, what comes next and when",
        "explain builder",
    )  # fmt: skip
    explain.add_argument("role", metavar="ROLE")
    events = _command(
        commands, "events", "reading:events", "what happened", "events --role builder -f"
    )
    add_lines(events)
    events.add_argument("--json", action="store_true", help="the lines as they are recorded")
    events.add_argument("--role", metavar="R", help="only of this role")


def add_lines(parser: ArgumentParser) -> None:
    """How much of a log, and whether to follow it."""
    parser.add_argument(
        "-n", type=_count, default=50, metavar="N", help="how many lines (default: 50)"
    )
    parser.add_argument("-f", action="store_true", help="follow")


def _count(text: str) -> int:
    if not text.isdecimal() or len(text) > 9:
        raise ArgumentTypeError(f"{text!r} is no number of lines; try 50")
    return int(text)


def _steering(commands: Any) -> None:
    nudge = _command(
        commands, "nudge", "steering:nudge",
        "type a prompt into an agent, and prove that it was submitted",
        "nudge builder 'The API token is renewed; go on.'",
    )  # fmt: skip
    nudge.add_argument("role", metavar="ROLE")
    nudge.add_argument(
        "text", nargs="?", metavar="TEXT", help="the prompt; - reads it from standard input "
        "(default: the text for an idle role)",
    )  # fmt: skip
    hold = _command(
        commands, "hold", "steering:hold",
        "leave a role alone: nothing is typed into it, nothing heals it, until release",
        "hold builder",
    )  # fmt: skip
    hold.add_argument("role", metavar="ROLE")
    phase = _command(
        commands, "phase", "phases:phase",
        "show or change the phase: list, set ID, advance, defer ID",
        "phase set 2",
    )  # fmt: skip
    phase.add_argument(
        "what", nargs="?", choices=("list", "set", "advance", "defer"), default="list",
        help="what to do (default: list)",
    )  # fmt: skip
    phase.add_argument("id", nargs="?", metavar="ID", help="the phase, for set and defer")
    release = _command(commands, "release", "steering:release", "end a hold", "release builder")
    release.add_argument("role", metavar="ROLE")


def _handing_over(commands: Any) -> None:
    journal = _command(
        commands, "journal", "handover:journal",
        "show the newest entry of JOURNAL.md, or append one (from standard input, or $EDITOR)",
        "journal append --title 'Phase 2 begun' - < notes.md",
    )  # fmt: skip
    journal.add_argument("what", nargs="?", choices=("show", "append"), default="show")
    # An option to argparse, so that it may stand on either side of the others.
    journal.add_argument("-", dest="stdin", action="store_true", help="read standard input")
    journal.add_argument("--title", metavar="T", help="what the entry is about")
    reboots = _command(
        commands, "reboots", "handover:reboots",
        "show the reboot log, or record this boot if it is new",
        "reboots record",
    )  # fmt: skip
    reboots.add_argument("what", nargs="?", choices=("show", "record"), default="show")


def _checking(commands: Any) -> None:
    doctor = _command(
        commands, "doctor", "checking:doctor",
        "check everything that a start needs, each with its fix; exit 1 if something is missing",
        "doctor",
    )  # fmt: skip
    doctor.add_argument("--json", action="store_true", help="for programs")
    install = _command(
        commands, "install", "installing:install",
        "print or write the systemd units of this instance, with the settings of this shell",
        "install --print", config=False,
    )  # fmt: skip
    what = install.add_mutually_exclusive_group()
    what.add_argument("--print", action="store_true", help="print them (the default)")
    what.add_argument("--write", action="store_true", help="write them, as root")
    what.add_argument("--remove", action="store_true", help="remove them, as root")
    install.add_argument(
        "--user", metavar="USER",
        help="whose the instance is (default: who calls it, also through sudo)",
    )  # fmt: skip
    install.add_argument("--timer", action="store_true", help="with the upgrader and its timer")
    _command(
        commands, "config", "checking:show_config",
        "every setting, its value and where it came from; secrets masked",
    )  # fmt: skip
    demo = _command(
        commands, "demo", "demo.command:demo",
        "the whole job in a throw-away instance: two phases, a crash, a stall, a failed review",
        "demo --keep", config=False,
    )  # fmt: skip
    demo.add_argument("--keep", action="store_true", help="keep its folder, and say where it is")
    _command(commands, "version", "checking:version", "the version", config=False)
