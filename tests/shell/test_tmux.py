"""A real tmux on a private socket: what agents are given, what is seen of them."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import signal
import stat
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cc_ci_orch.core.model import ExitStatus
from cc_ci_orch.shell import tmux as tmux_module
from cc_ci_orch.shell.ports import CannotTell, Launch, Pane, TtyModes
from cc_ci_orch.shell.procs import ProcFs
from cc_ci_orch.shell.run import spawn_daemon
from cc_ci_orch.shell.tmux import Tmux
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

MakeLaunch = Callable[..., Launch]

# A client in raw mode that asks for bracketed paste and writes down all that it is sent.
CLIENT = """
import os, sys, tty
tty.setraw(0)
os.write(1, b"\\x1b[?2004hready")
with open(sys.argv[1], "ab", buffering=0) as file:
    while data := os.read(0, 65536):
        file.write(data)
"""

NASTY = "\n".join(
    [
        "-t =cc-ci-builder: $(touch /tmp/never) `id` ${HOME} ~ ~root",
        """it's "quoted" #{pane_id} #(touch /tmp/never) ##[x] %H %% !! {a,b} ; ;; end;""",
        "ünï→😀 tab\there, two  spaces, trailing space ",
        *(f"line {n}: 'a' \"b\" \\ \\\\ \\n \\101 | & < > * ? [x]" for n in range(56)),
        "trailing backslash \\",
    ]
)


def only(terminal: Tmux) -> Pane:
    [pane] = terminal.panes()
    return pane


def log_of(launch: Launch) -> Path:
    assert launch.log is not None
    return launch.log


def tmux(short_dir: Path, *argv: str) -> str:
    """What a person types at our server."""
    command = ["tmux", "-u", "-S", str(short_dir / "s"), *argv]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def start_client(terminal: Tmux, launch: Launch) -> Pane:
    terminal.start(launch)
    eventually(lambda: log_of(launch).exists() and b"ready" in log_of(launch).read_bytes())
    return only(terminal)


@pytest.fixture
def typed(short_dir: Path) -> Path:
    return short_dir / "typed"


@pytest.fixture
def client(launch: MakeLaunch, typed: Path) -> Launch:
    return launch(sys.executable, "-I", "-S", "-c", CLIENT, str(typed))


# ---------------------------------------------------------------------------- starting


def test_nothing_runs_before_the_first_start(terminal: Tmux, short_dir: Path) -> None:
    """No server is no error and no session; looking starts none."""
    assert terminal.panes() == []
    assert terminal.server_pid() is None
    terminal.close("cc-ci-builder")
    terminal.end_server()
    assert list(short_dir.iterdir()) == []


def test_an_agent_starts_as_the_panes_own_process(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """No shell stands between tmux and the agent; the pane says what it is."""
    pid = terminal.start(launch("sleep", "60"))
    pane = only(terminal)
    assert pane.pid == pid
    eventually(lambda: Path(f"/proc/{pane.pid}/cmdline").read_bytes() == b"sleep\x0060\x00")
    assert os.readlink(f"/proc/{pane.pid}/cwd") == str(short_dir)
    assert (pane.session, pane.dead, pane.exit) == ("cc-ci-builder", False, None)
    assert (pane.width, pane.height) == (120, 40)
    assert (pane.typed_at, pane.in_mode, pane.piped) == (None, False, True)


def test_an_agent_gets_exactly_its_environment(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Launch.env and TERM (and PWD, which tmux sets); not ours, not the server's, not tmux's."""
    monkeypatch.setenv("LEAK", "ours")
    env = {
        "PATH": f"/nowhere:{os.environ['PATH']}",
        "SHELL": "/bin/it's",
        "NASTY": NASTY,
        "EMPTY": "",
        "BYTES": os.fsdecode(b"\xff\xfe"),
        "TERM": "not-this-one",
        "TMUX": "another server's",
    }
    out = short_dir / "out"
    for _ in range(2):  # in a new session, then respawned
        terminal.start(launch("sh", "-c", f"exec env -0 > {out}", env=env))
        eventually(lambda: only(terminal).dead)
        seen = dict(e.split("=", 1) for e in os.fsdecode(out.read_bytes()).split("\0") if e)
        seen.pop("_", None)  # bash as sh
        assert seen.pop("TERM") in ("tmux-256color", "screen-256color")
        assert seen.pop("PWD") == str(short_dir)
        assert seen == {k: v for k, v in env.items() if k not in ("TERM", "TMUX")}
        out.unlink()


def test_a_variable_that_was_dropped_is_gone_after_the_next_start(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Neither the respawned agent nor a person's new window sees what the first one was given."""
    out = short_dir / "out"
    path = {"PATH": os.environ["PATH"]}
    terminal.start(launch("sleep", "60", env={**path, "SECRET": "old", "HOME": "/old"}))
    terminal.start(launch("sh", "-c", f"exec env > {out}", env=path))
    eventually(lambda: only(terminal).dead)
    assert "old" not in out.read_text()
    assert "SECRET" not in tmux(short_dir, "show-environment", "-t", "=cc-ci-builder")


def test_what_an_agent_prints_at_once_is_all_in_its_log(terminal: Tmux, launch: MakeLaunch) -> None:
    """The pipe is armed before the first byte is read, in a new session and in a respawned one.

    (Of a process that dies right after its last words, tmux itself loses those now and then,
    on a busy machine; so these live on.)
    """
    for n in range(100):
        first = launch("sh", "-c", f"echo {n} new; exec sleep 60", session=f"new-{n}")
        terminal.start(first)
        log = log_of(first)
        eventually(lambda log=log, n=n: log.read_text() == f"{n} new\n")  # type: ignore[misc]
        terminal.start(replace(first, argv=("sh", "-c", f"echo {n} again; exec sleep 60")))
        expected = f"{n} new\n{n} again\n"
        eventually(
            lambda log=log, expected=expected: log.read_text() == expected  # type: ignore[misc]
        )
        terminal.close(first.session)


def test_a_log_is_private_and_the_agents_umask_is_its_own(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Mode 0600 whatever the umask; what the agent makes has the modes that it is used to."""
    wanted = launch("sh", "-c", "umask > umask; echo done; exec cat")
    terminal.start(wanted)
    eventually(lambda: "done" in log_of(wanted).read_text())
    assert stat.S_IMODE(log_of(wanted).stat().st_mode) == 0o600
    umask = os.umask(0o022)
    os.umask(umask)
    assert int((short_dir / "umask").read_text(), 8) == umask


def test_a_session_without_a_log_is_only_shown(terminal: Tmux, launch: MakeLaunch) -> None:
    """A start without one ends the pipe of the start before."""
    logged = launch("cat")
    terminal.start(logged)
    assert only(terminal).piped
    terminal.start(replace(logged, log=None))
    assert not only(terminal).piped


def test_an_agent_starts_though_its_log_cannot_be_written(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Later, when it can, the pipe is armed again."""
    log = short_dir / "missing" / "log"
    terminal.start(launch("cat", log=log))
    pane = only(terminal)
    assert not pane.dead
    log.parent.mkdir()
    terminal.pipe(pane.pane, log)
    terminal.type(pane.pane, "hello", leave_mode=False)
    eventually(lambda: "hello" in log.read_text())
    assert only(terminal).piped


def test_a_prompt_of_20_kb_is_one_argument(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Whatever is in it arrives byte for byte, and so does an empty argument."""
    prompt = (NASTY * 10)[:20_000] + "\\"
    out = short_dir / "out"
    terminal.start(launch("sh", "-c", f'printf "%s\\0" "$@" > {out}', "-x", "", prompt, ";"))
    eventually(lambda: only(terminal).dead)
    assert out.read_text().split("\0") == ["", prompt, ";", ""]


@pytest.mark.parametrize(
    "name",
    [
        "#{pid} #S",
        "%H:%M %%",
        "#(touch never) ##",
        "a#[b",
        "a##[x]#",
        "a#[#(touch never)]",
        "'\"$x;\\é",
    ],
)
def test_paths_mean_what_they_say(
    name: str, terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """tmux expands formats and dates in the folder and in the log's path; ours stay as they are."""
    cwd = short_dir / name
    cwd.mkdir()
    log = cwd / f"{name}.log"
    for n in (1, 2):  # in a new session, then respawned
        terminal.start(launch("sh", "-c", "pwd > out; echo hello; exec cat", cwd=cwd, log=log))
        expected = b"hello\r\n" * n
        eventually(lambda expected=expected: log.read_bytes() == expected)  # type: ignore[misc]
        assert (cwd / "out").read_text() == f"{cwd}\n"
        (cwd / "out").unlink()
    assert not list(short_dir.rglob("never"))


def test_without_its_folder_an_agent_is_not_started_elsewhere(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """tmux would take the home folder."""
    with pytest.raises(CannotTell, match="no such folder"):
        terminal.start(launch("sleep", "60", cwd=short_dir / "gone"))
    assert terminal.panes() == []


def test_no_secret_stands_on_a_command_line(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither an environment nor a prompt is an argument of any tmux process."""
    real = shutil.which("tmux")
    recorder = short_dir / "bin" / "tmux"
    recorder.parent.mkdir()
    recorder.write_text(f'#!/bin/sh\necho "$*" >> {short_dir}/argv\nexec {real} "$@"\n')
    recorder.chmod(0o755)
    monkeypatch.setenv("PATH", f"{recorder.parent}:{os.environ['PATH']}")
    recorded = Tmux(["-S", str(short_dir / "s")])
    env = {"PATH": os.environ["PATH"], "TOKEN": "s3cr3t-value"}
    for _ in range(2):
        recorded.start(launch("cat", env=env))
    recorded.type(only(recorded).pane, "s3cr3t-prompt", leave_mode=False)
    argv = (short_dir / "argv").read_text()
    assert "source-file" in argv
    assert "s3cr3t" not in argv


def test_the_name_of_a_session_is_exact(terminal: Tmux, launch: MakeLaunch) -> None:
    """A name that begins another one stands for nothing but itself."""
    terminal.start(launch("sleep", "60", session="cc-ci-builder-2"))
    before = only(terminal)
    terminal.close("cc-ci-builder")
    assert only(terminal) == before
    terminal.start(launch("sleep", "60", session="cc-ci-builder"))
    assert {pane.session: pane.pid for pane in terminal.panes()}["cc-ci-builder-2"] == before.pid
    terminal.close("cc-ci-builder-2")
    assert only(terminal).session == "cc-ci-builder"


def test_a_respawned_agent_keeps_its_pane_and_its_scrollback(
    terminal: Tmux, launch: MakeLaunch
) -> None:
    """An attached person stays where they are."""
    terminal.start(launch("sh", "-c", "seq 100; exit 3"))
    eventually(lambda: only(terminal).dead)
    before = only(terminal)
    assert before.exit in (ExitStatus(code=3), None)
    pid = terminal.start(launch("sh", "-c", "echo again; exec cat"))
    after = only(terminal)
    assert after.pid == pid
    assert (after.pane, after.dead, after.exit) == (before.pane, False, None)
    assert after.pid != before.pid
    eventually(lambda: "again" in terminal.screen(after.pane))


def test_a_deaf_process_is_replaced_and_the_old_one_is_gone(
    terminal: Tmux, launch: MakeLaunch, processes: ProcFs
) -> None:
    """tmux alone would leave it running beside its successor."""
    deaf = launch("sh", "-c", "trap '' HUP TERM INT; echo deaf; while :; do sleep 0.1; done")
    terminal.start(deaf)
    eventually(lambda: "deaf" in log_of(deaf).read_text())
    old = processes.identify(only(terminal).pid)
    assert old is not None
    assert processes.end([info.id for info in processes.snapshot().tree(old)], grace=0.2) == []
    terminal.start(launch("cat"))
    assert not processes.alive(old)
    assert processes.identify(only(terminal).pid) is not None


# ---------------------------------------------------------------------------- the server


def test_five_start_at_the_same_time_and_there_is_one_server(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Whoever loses the race uses the winner's server; every agent runs."""
    errors: list[BaseException] = []

    def start(n: int) -> None:
        try:
            Tmux(["-S", str(short_dir / "s")]).start(launch("sleep", "60", session=f"role-{n}"))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=start, args=(n,)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sorted(pane.session for pane in terminal.panes()) == [f"role-{n}" for n in range(5)]
    owners = [p for p in Path("/proc").glob("[0-9]*") if is_server(p, short_dir / "s")]
    assert len(owners) == 1


def is_server(process: Path, socket: Path) -> bool:
    try:
        argv = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return argv[0] == b"tmux" and os.fsencode(socket) in argv and b"-D" in argv


def test_a_server_that_others_started_gives_agents_nothing_of_its_own(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """A unit's server may carry anything; it is cleaned and set up before the first start."""
    foreign = {**os.environ, "LEAK": "1\nMORE=2", "LANG": "C", "NOTIFY_SOCKET": "/x"}
    spawn_daemon(["tmux", "-S", str(short_dir / "s"), "-f", "/dev/null", "-D"], env=foreign)
    pid = eventually(terminal.server_pid)
    assert terminal.panes() == []  # a server without sessions is no error
    out = short_dir / "out"
    terminal.start(launch("sh", "-c", f"exec env > {out}", env={"PATH": os.environ["PATH"]}))
    eventually(lambda: only(terminal).dead)  # so remain-on-exit is on
    names = {line.partition("=")[0] for line in out.read_text().splitlines()}
    assert names - {"_"} == {"PATH", "TERM", "PWD"}
    assert terminal.server_pid() == pid


def test_an_orphan_that_detached_itself_thoroughly_is_a_child_of_the_server(
    terminal: Tmux, launch: MakeLaunch, processes: ProcFs, short_dir: Path
) -> None:
    """Double fork, own session, clean environment: it doesn't get away to init."""
    note = short_dir / "pid"
    shell = f"(setsid env -i /bin/sh -c 'echo $$ > {note}.new; mv {note}.new {note}; sleep 60' &)"
    terminal.start(launch("sh", "-c", f"{shell}; exec sleep 60"))
    pid = int(eventually(lambda: note.exists() and note.read_text()) or 0)
    server_pid = terminal.server_pid()
    assert server_pid is not None
    server = processes.identify(server_pid)
    assert server is not None
    eventually(
        lambda: (
            [i.parent for i in processes.snapshot().tree(server) if i.id.pid == pid] == [server_pid]
        )
    )


def test_agents_start_with_the_signals_that_programs_expect(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """Python ignores SIGPIPE and SIGXFSZ; nothing of that reaches them."""
    terminal.start(launch("sh", "-c", f"exec grep Sig /proc/self/status > {short_dir}/out"))
    eventually(lambda: only(terminal).dead)
    signals = dict(line.split() for line in (short_dir / "out").read_text().splitlines())
    ignored, blocked = int(signals["SigIgn:"], 16), int(signals["SigBlk:"], 16)
    assert blocked == 0
    assert ignored & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_the_server_dies_and_the_next_start_brings_another(
    terminal: Tmux, launch: MakeLaunch, processes: ProcFs
) -> None:
    """After kill -9 there is no pane, and the socket it left is no obstacle."""
    terminal.start(launch("sleep", "60"))
    pid = terminal.server_pid()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: processes.identify(pid) is None)
    assert terminal.panes() == []
    terminal.start(launch("sleep", "60"))
    assert only(terminal).dead is False
    assert terminal.server_pid() not in (None, pid)


def test_a_server_that_does_not_answer_is_not_an_absent_one(
    terminal: Tmux, launch: MakeLaunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CannotTell, never [] and never a second server."""
    terminal.start(launch("sleep", "60"))
    pid = terminal.server_pid()
    assert pid is not None
    monkeypatch.setattr(tmux_module, "TIMEOUT", 0.3)
    os.kill(pid, signal.SIGSTOP)
    try:
        for ask in (terminal.panes, terminal.server_pid, terminal.end_server):
            with pytest.raises(CannotTell, match="no answer"):
                ask()
        with pytest.raises(CannotTell):
            terminal.start(launch("sleep", "60"))
    finally:
        os.kill(pid, signal.SIGCONT)
    monkeypatch.undo()
    assert terminal.server_pid() == pid


def test_an_ended_server_leaves_nothing(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path, processes: ProcFs
) -> None:
    """Its process and its socket are gone when `end_server` returns; a dead one's socket too."""
    for number in (None, signal.SIGKILL):
        terminal.start(launch("sleep", "60"))
        pid = terminal.server_pid()
        assert pid is not None
        if number:
            os.kill(pid, number)
            eventually(lambda pid=pid: processes.identify(pid) is None)  # type: ignore[misc]
            assert (short_dir / "s").exists()
        terminal.end_server()
        assert terminal.server_pid() is None
        assert not (short_dir / "s").exists()


def test_a_socket_by_name_lives_where_tmux_puts_it(
    launch: MakeLaunch, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tmux -L NAME` of the same person reaches it."""
    monkeypatch.setenv("TMUX_TMPDIR", str(short_dir))
    named = Tmux(["-L", "orch-test"])
    named.start(launch("sleep", "60"))
    try:
        assert (short_dir / f"tmux-{os.getuid()}" / "orch-test").is_socket()
    finally:
        named.end_server()
    assert not (short_dir / f"tmux-{os.getuid()}" / "orch-test").exists()


# ---------------------------------------------------------------------------- typing


@pytest.mark.parametrize("text", [NASTY, "-x", "--", ";", "a;", "/x", "!", "é" * 3000, "a\n", " "])
def test_a_text_arrives_byte_for_byte_as_one_paste(
    text: str, terminal: Tmux, client: Launch, typed: Path, short_dir: Path
) -> None:
    """Framed because the client asked for it; then one Enter; no buffer is left."""
    pane = start_client(terminal, client)
    terminal.type(pane.pane, text, leave_mode=False)
    eventually(lambda: typed.read_bytes().endswith(b"\r"))
    assert typed.read_bytes() == b"\x1b[200~" + text.encode() + b"\x1b[201~\r"
    assert tmux(short_dir, "list-buffers") == ""


def test_an_empty_text_is_just_an_enter(terminal: Tmux, client: Launch, typed: Path) -> None:
    pane = start_client(terminal, client)
    terminal.type(pane.pane, "", leave_mode=False)
    eventually(lambda: typed.read_bytes() == b"\r")


def test_a_text_is_not_framed_for_a_client_that_did_not_ask(
    terminal: Tmux, launch: MakeLaunch
) -> None:
    """A plain program in a plain terminal reads lines."""
    wanted = launch("sh", "-c", 'read a; read b; echo "<$a><$b>"; exec cat')
    terminal.start(wanted)
    terminal.type(only(terminal).pane, "one\ntwo", leave_mode=False)
    eventually(lambda: "<one><two>" in log_of(wanted).read_text())


def test_a_person_left_the_pane_in_copy_mode(
    terminal: Tmux, client: Launch, typed: Path, short_dir: Path
) -> None:
    """Asked to, typing and keys leave the mode (nested ones too) and reach the program."""
    pane = start_client(terminal, client)
    for n, act in enumerate(
        [
            lambda: terminal.type(pane.pane, "", leave_mode=True),
            lambda: terminal.keys(pane.pane, "Enter", leave_mode=True),
            lambda: terminal.keys(pane.pane, "Enter", leave_mode=True),  # in no mode: no error
        ]
    ):
        if n < 2:
            tmux(short_dir, "copy-mode", "-t", pane.pane)
            tmux(short_dir, "clock-mode", "-t", pane.pane)
            assert only(terminal).in_mode
        act()
        assert not only(terminal).in_mode
    eventually(lambda: typed.read_bytes() == b"\r\r\r")


def test_keys_have_their_names(terminal: Tmux, client: Launch, typed: Path) -> None:
    pane = start_client(terminal, client)
    terminal.keys(pane.pane, "Escape", "C-c", "Up", "Enter")
    eventually(lambda: typed.read_bytes() == b"\x1b\x03\x1b[A\r")


def test_typing_into_a_pane_that_is_gone_is_not_silent(
    terminal: Tmux, client: Launch, short_dir: Path
) -> None:
    """It raises, and the text doesn't stay behind in a buffer."""
    start_client(terminal, client)
    for act in (
        lambda: terminal.type("%99", "s3cr3t", leave_mode=True),
        lambda: terminal.keys("%99", "Enter"),
        lambda: terminal.screen("%99"),
    ):
        with pytest.raises(CannotTell, match="can't find pane"):
            act()
    assert tmux(short_dir, "list-buffers") == ""


# ---------------------------------------------------------------------------- seeing


def test_the_modes_of_a_terminal_tell_who_echoes(
    terminal: Tmux, client: Launch, launch: MakeLaunch, short_dir: Path
) -> None:
    """A plain program's terminal echoes whole lines; a raw one does neither."""
    raw = start_client(terminal, client)
    assert terminal.modes(raw.tty) == TtyModes(echo=False, canonical=False)
    terminal.start(launch("cat", session="plain"))
    plain = next(pane for pane in terminal.panes() if pane.session == "plain")
    assert terminal.modes(plain.tty) == TtyModes(echo=True, canonical=True)
    assert terminal.modes("/dev/null") is None
    assert terminal.modes(str(short_dir / "gone")) is None


def test_a_screen_is_text_without_colours(terminal: Tmux, launch: MakeLaunch) -> None:
    terminal.start(launch("sh", "-c", "printf '\\033[31mred\\033[0m → é\\n'; exec cat"))
    eventually(lambda: terminal.screen(only(terminal).pane).strip() == "red → é")


def test_the_windows_and_panes_of_a_person_are_theirs(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path, processes: ProcFs
) -> None:
    """They are not taken for agents, and a restart of the agent leaves them alone."""
    terminal.start(launch("sleep", "60"))
    before = only(terminal)
    theirs = ("-P", "-F", "#{pane_pid}", "sleep 61")
    split = tmux(short_dir, "split-window", "-t", "=cc-ci-builder:", *theirs)
    window = tmux(short_dir, "new-window", "-t", "=cc-ci-builder:", *theirs)
    assert only(terminal).pane == before.pane
    terminal.start(launch("sleep", "60"))
    after = only(terminal)
    assert after.pane == before.pane
    assert after.pid != before.pid
    for pid in (split, window):
        assert processes.identify(int(pid)) is not None


def test_a_session_that_lost_the_agents_pane_is_made_anew(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """A person closed the agent's window and kept another: the role still comes back."""
    terminal.start(launch("sleep", "60"))
    tmux(short_dir, "new-window", "-t", "=cc-ci-builder:", "sleep 61")
    tmux(short_dir, "kill-window", "-t", "=cc-ci-builder:0")
    assert terminal.panes() == []
    terminal.start(launch("sleep", "60"))
    assert not only(terminal).dead


def test_a_session_with_a_strange_name_is_read_right(
    terminal: Tmux, launch: MakeLaunch, short_dir: Path
) -> None:
    """What a person calls theirs can't forge another field."""
    terminal.start(launch("sleep", "60"))
    tmux(short_dir, "new-session", "-d", "-s", "a|b 1|%9|é", "sleep 61")
    assert {pane.session for pane in terminal.panes()} == {"cc-ci-builder", "a|b 1|%9|é"}


def test_a_person_attaches_and_types(
    terminal: Tmux, client: Launch, typed: Path, short_dir: Path
) -> None:
    """To attach is not to type; each key moves the time, the agent's own output doesn't."""
    start_client(terminal, client)
    attach = ["tmux", "-S", str(short_dir / "s"), "attach", "-t", "=cc-ci-builder"]
    person, master = pty.fork()
    if person == 0:
        os.execvpe("tmux", attach, {**os.environ, "TERM": "xterm"})
    try:
        fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 150, 0, 0))
        eventually(lambda: (only(terminal).width, only(terminal).height) == (150, 49))
        assert only(terminal).typed_at is None

        def press() -> int | None:
            os.write(master, b"k")
            return only(terminal).typed_at

        first = eventually(press, interval=0.1)
        assert first is not None
        eventually(lambda: (press() or 0) > first, interval=0.1)
        assert b"k" in typed.read_bytes()
    finally:
        os.kill(person, signal.SIGHUP)
        os.close(master)
        os.waitpid(person, 0)
    eventually(lambda: only(terminal).typed_at is None)
