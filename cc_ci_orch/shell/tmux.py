"""tmux: where the agents live, on a server of our own.

- The agent's pane is the first pane of its session's first window. Windows and panes that a
  person adds are theirs: they are neither seen nor touched.
- Words reach tmux through the standard input of `tmux source-file -`: no secret stands on a
  command line, no length limit of a client message applies, and a whole batch is carried out
  before tmux looks at any pane's output.
- How those words are written: `tmux_words.py`; how answers are read: `tmux_answers.py`.
- A server of unknown origin (a systemd unit, an older version of this program) is set up
  before anything starts in it; it carries a mark when that is done.
- Where a unit starts the server, none is started here: it would live and die with whatever
  called us. One that is missing then is one that is about to come back: "can't tell".
"""

from __future__ import annotations

import itertools
import os
import re
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cc_ci_orch.shell import tmux_server
from cc_ci_orch.shell.ports import CannotTell, Launch, Pane, TtyModes
from cc_ci_orch.shell.run import Done, run
from cc_ci_orch.shell.tmux_answers import LIST, expect, number_in, pane_of
from cc_ci_orch.shell.tmux_words import KEPT, agent_words, pipe_command, word
from cc_ci_orch.shell.tty import tty_modes, tty_unread

TIMEOUT = 5.0  # seconds for one tmux command, for a server to come up, and for it to go
WIDTH, HEIGHT = 120, 40

_UCRED = struct.Struct("3i")  # pid, uid, gid: unix(7)
_MARK = "@cc_ci_orch 1"
_UNREADY = "display-message -p unready"
_SEAM = f"orch-seam-{os.urandom(8).hex()}"  # between two screens; no program can know it

_NO_SERVER = re.compile(
    r"no server running on (.*)|error connecting to (.*) "
    r"\((?:No such file or directory|Connection refused)\)"
)
_NO_PANE = re.compile(r"can't find (session|window|pane)|no current target")

_OPTIONS = (
    "-s exit-empty off",
    "-s escape-time 0",
    "-g base-index 0",
    "-g default-size 120x40",
    "-g destroy-unattached off",
    "-g history-limit 50000",
    "-g set-titles off",
    "-g status on",
    "-g status-interval 0",
    '-g status-left " #{session_name} "',
    "-g status-left-length 80",
    '-g status-right " detach: C-b d "',
    '-g update-environment ""',
    "-g visual-activity off",
    "-wg pane-base-index 0",
    "-wg allow-rename off",
    "-wg automatic-rename off",
    "-wg remain-on-exit on",
    '-wg remain-on-exit-format ""',
    '-wg window-status-format ""',
    '-wg window-status-current-format ""',
    "-wg window-size latest",
)


class _NoServer(CannotTell):
    """Nothing listens; `args[1]` is the socket's path."""


class Tmux:
    """Implements `Terminal`. `socket_args` are tmux's own: `-L NAME` or `-S PATH`.

    Making one starts nothing. What a server that we start complains of goes to `server_log`.
    `unit`: the socket of a server that somebody else keeps running, if there is one: it is
    waited for, and used from when nobody listens at the socket of `socket_args` any more.
    Besides CannotTell, a method raises ConfigError where there is no tmux to run.
    """

    def __init__(
        self,
        socket_args: Sequence[str],
        server_log: Path | None = None,
        unit: Path | None = None,
    ) -> None:
        self._use(socket_args)
        self._server_log = server_log
        self._unit = unit
        self._ended = False
        self._env = tmux_server.environment(os.environ)
        self._buffers = (f"orch-{os.getpid()}-{n}" for n in itertools.count())

    # ------------------------------------------------------------------ Terminal

    def panes(self) -> list[Pane]:
        try:
            done = self._ask("list-panes", "-a", "-F", LIST)
        except _NoServer:
            if self._unit is None or self._ended:
                return []
            self._use(("-S", str(self._unit)))
            raise CannotTell(f"tmux: no server at {self._unit}; its unit brings it back") from None
        if done.returncode != 0 and done.err != "no current target":  # a server without sessions
            raise CannotTell(f"tmux list-panes: {done.err}")
        panes = [pane_of(line) for line in done.out.splitlines()]
        return [pane for pane in panes if pane is not None]

    def start(self, launch: Launch) -> int:
        if not launch.cwd.is_dir():  # tmux would start it in the home folder and not say so
            raise CannotTell(f"can't start {launch.session}: no such folder: {launch.cwd}")
        _make_private(launch.log)
        name, exact = word(launch.session), word(f"={launch.session}")
        first = word(f"={launch.session}:0.0")
        agent = agent_words(launch)
        after = [
            pipe_command(first, launch.log),
            f"display-message -p -t {first} {word('#{pane_pid}')}",
        ]
        done = self._ask_ready(f"respawn-pane -k -t {first} {agent}", *after)
        absent = _NO_PANE.search(done.err)
        if absent:
            # `new-session -e` gives the variables to the session too, for all that starts in it
            # later: the person's windows, and the agent after a change of its settings.
            forget = [f"set-environment -u -t {exact} {word(key)}" for key in launch.env]
            husk = [f"kill-session -t {exact}"] if absent[1] in ("window", "pane") else []
            make = f"new-session -d -E -s {name} -x {WIDTH} -y {HEIGHT} {agent}"
            done = self._ask_ready(*husk, make, *after, *forget)
        return number_in(expect(done, f"start {launch.session}"))

    def pipe(self, pane: str, log: Path) -> None:
        _make_private(log)
        self._do(pipe_command(word(pane), log))

    def type(self, pane: str, text: str, *, leave_mode: bool) -> None:
        batch = [f"copy-mode -q -t {word(pane)}"] if leave_mode else []
        if text:  # tmux makes no empty buffer
            name = next(self._buffers)
            batch += [
                f"set-buffer -b {name} -- {word(text)}",
                f"paste-buffer -p -r -b {name} -t {word(pane)}",
                f"delete-buffer -b {name}",
            ]
        self._do(*batch, f"send-keys -t {word(pane)} Enter")

    def keys(self, pane: str, *names: str, leave_mode: bool = False) -> None:
        batch = [f"copy-mode -q -t {word(pane)}"] if leave_mode else []
        self._do(*batch, f"send-keys -t {word(pane)} -- " + " ".join(map(word, names)))

    def screen(self, pane: str) -> str:
        return expect(self._ask("capture-pane", "-p", "-t", pane), "capture-pane").out

    def screens(self, panes: Sequence[str]) -> list[str]:
        commands = []
        for pane in panes:
            commands += [f"capture-pane -e -p -t {word(pane)}", f"display-message -p {_SEAM}"]
        done = expect(self._batch(*commands), "capture-pane")
        shown = done.out.split(f"{_SEAM}\n")
        if len(shown) != len(panes) + 1:
            raise CannotTell("tmux capture-pane: not as many screens as panes")
        return shown[:-1]

    def modes(self, tty: str) -> TtyModes | None:
        return tty_modes(tty)

    def unread(self, tty: str) -> int | None:
        return tty_unread(tty)

    def close(self, session: str) -> None:
        try:
            done = self._ask("kill-session", "-t", f"={session}")
        except _NoServer:
            return
        if not _NO_PANE.search(done.err):
            expect(done, "kill-session")

    def end_server(self) -> None:
        try:
            found = expect(self._ask("display-message", "-p", "#{pid} #{socket_path}"), "server")
            pid, _, path = found.out.rstrip("\n").partition(" ")
            tmux_server.end(int(pid), TIMEOUT)
        except _NoServer as error:
            path = error.args[1]
        self._ended = True
        tmux_server.remove_socket(path)

    def server_pid(self) -> int | None:
        try:
            return number_in(expect(self._ask("display-message", "-p", "#{pid}"), "server"))
        except _NoServer:
            return None

    def listener(self) -> int | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
            try:
                probe.connect(self._path)
            except (FileNotFoundError, ConnectionRefusedError):
                return None
            except OSError as error:
                raise CannotTell(f"tmux: {self._path}: {error.strerror}") from None
            peer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(peer)[0])

    # ------------------------------------------------------------------ the server

    def _use(self, socket_args: Sequence[str]) -> None:
        self._argv = tmux_server.client(socket_args)
        self._path = _socket_path(*socket_args)

    def _ask(self, *argv: str, stdin: bytes = b"") -> Done:
        done = run([*self._argv, *argv], timeout=TIMEOUT, stdin=stdin, env=self._env, cwd=Path("/"))
        absent = _NO_SERVER.fullmatch(done.err) if done.returncode != 0 else None
        if absent:
            raise _NoServer(f"tmux: {done.err}", absent[1] or absent[2])
        return done

    def _batch(self, *commands: str) -> Done:
        return self._ask("source-file", "-", stdin=os.fsencode("\n".join(commands) + "\n"))

    def _do(self, *commands: str) -> None:
        expect(self._batch(*commands), commands[-1].split(" ", 1)[0])

    def _ask_ready(self, *commands: str) -> Done:
        """Run them on a server that is set up, however many attempts and servers that takes.

        tmux itself looks for the mark as it reads the batch, so no server that has taken the
        place of a ready one meanwhile ever runs them.
        """
        name, value = _MARK.split()
        ready = f'%if "#{{==:#{{{name}}},{value}}}"'
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                done = self._batch(ready, *commands, "%else", _UNREADY, "%endif")
            except _NoServer:
                self._start_server()
                continue
            if done.out != "unready\n":
                return done
            self._set_up()
        raise CannotTell(f"tmux: no server that stays within {TIMEOUT:g} s")

    def _start_server(self) -> None:
        """Start one and wait until one answers, this one or that of another starter."""
        if self._unit is not None:
            raise CannotTell(f"tmux: no server at {self._path}; its unit starts it")
        tmux_server.start(self._argv, self._env, self._server_log)
        deadline = time.monotonic() + TIMEOUT
        while self.server_pid() is None:
            if time.monotonic() > deadline:
                raise CannotTell(f"tmux: the server did not come up within {TIMEOUT:g} s")
            time.sleep(0.005)

    def _set_up(self) -> None:
        shown = expect(self._ask("show-environment", "-g"), "show-environment").out
        names = {line.partition("=")[0] for line in shown.splitlines()}
        foreign = {n for n in names - set(KEPT) if n and not n.startswith("-")}
        self._batch(
            *(f"set-environment -gu -- {word(name)}" for name in sorted(foreign)),
            *(f"set-option -q {option}" for option in _OPTIONS),
            f"set-option -s default-terminal {_terminal_type()}",
            f"set-option -s {_MARK}",
        )


# ---------------------------------------------------------------------------- the system


def _make_private(log: Path | None) -> None:
    """tmux would make it with our umask; if the disk is full, the agent still starts."""
    if log is None:
        return
    with suppress(OSError):
        os.close(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600))


def _terminal_type() -> str:
    """The better of the two that describe tmux, if the system knows it."""
    try:
        import curses

        with open(os.devnull, "wb") as nowhere:
            curses.setupterm("tmux-256color", nowhere.fileno())
    except (ImportError, curses.error):
        return "screen-256color"
    return "tmux-256color"


def _socket_path(option: str, value: str) -> str:
    """Where tmux keeps the socket of `-S PATH` or `-L NAME`."""
    if option == "-S":
        return value
    base = os.environ.get("TMUX_TMPDIR") or "/tmp"
    return os.path.join(base, f"tmux-{os.getuid()}", value)
