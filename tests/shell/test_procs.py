"""Real processes: their identity, their deaths, their families, and their end."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cc_ci_orch.core.model import ExitStatus, ProcessId
from cc_ci_orch.shell.procs import ProcFs
from tests.waiting import eventually

Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Start a process that is killed and reaped after the test, if that is still needed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*argv: str, **options: object) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(argv, **options)  # type: ignore[call-overload]
        started.append(process)
        return process  # type: ignore[no-any-return]

    yield start
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def identified(processes: ProcFs, pid: int) -> ProcessId:
    process = processes.identify(pid)
    assert process is not None
    return process


# ---------------------------------------------------------------------------- identity


@pytest.mark.parametrize("name", ["a) Z 1 1", ") (", "x y\n", "(sd-pam)", "))))"])
def test_a_process_with_a_hostile_name_is_read_right(
    name: str, spawn: Spawn, processes: ProcFs
) -> None:
    """What a program calls itself can't forge the fields that follow its name."""
    code = f"open('/proc/self/comm', 'w').write({name!r}); print(flush=True); input()"
    child = spawn(*python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    found = processes.snapshot().tree(identified(processes, os.getpid()))
    assert [info.parent for info in found if info.id.pid == child.pid] == [os.getpid()]


def test_a_zombie_is_dead_and_tells_how_it_ended(spawn: Spawn, processes: ProcFs) -> None:
    """Not alive, not identified, in no tree; the status is there until it is reaped."""
    ended, killed = spawn("sh", "-c", "exit 7"), spawn("sleep", "60")
    victim = identified(processes, killed.pid)
    assert processes.exit_status(killed.pid) is None
    killed.kill()
    eventually(lambda: not processes.alive(victim))
    eventually(lambda: processes.identify(ended.pid) is None)
    assert processes.exit_status(ended.pid) == ExitStatus(code=7)
    assert processes.exit_status(killed.pid) == ExitStatus(signal=signal.SIGKILL)
    mine = {info.id.pid for info in processes.snapshot().tree(identified(processes, os.getpid()))}
    assert mine.isdisjoint({ended.pid, killed.pid})
    ended.wait()
    assert processes.exit_status(ended.pid) is None


def test_a_process_that_lost_its_main_thread_still_lives(spawn: Spawn, processes: ProcFs) -> None:
    """It shows as a zombie, but its other threads go on."""
    code = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(60,)).start();"
        "print(flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    child = spawn(*python(code), stdout=subprocess.PIPE)
    stat = Path(f"/proc/{child.pid}/stat")
    eventually(lambda: stat.read_text().rsplit(") ", 1)[1][0] == "Z")
    assert processes.alive(identified(processes, child.pid))


def test_another_process_on_the_same_pid_is_not_taken_for_the_old_one(
    spawn: Spawn, processes: ProcFs
) -> None:
    """A pid with a different start time is gone: not alive, no tree, never signalled."""
    child = spawn("sleep", "60")
    now = identified(processes, child.pid)
    before = ProcessId(now.pid, now.start_ticks - 1)
    assert not processes.alive(before)
    assert processes.snapshot().tree(before) == []
    processes.signal(before, signal.SIGKILL)
    assert processes.end([before], grace=0) == []
    assert processes.alive(now)


# ---------------------------------------------------------------------------- deaths


def test_a_death_wakes_the_selector_at_once_and_is_told_once(
    spawn: Spawn, processes: ProcFs
) -> None:
    """The watchdog waits on one descriptor for all that it watches."""
    first, second = spawn("sleep", "60"), spawn("sleep", "60")
    watched = [identified(processes, child.pid) for child in (first, second)]
    with selectors.DefaultSelector() as selector:
        selector.register(processes, selectors.EVENT_READ)
        for process in watched * 2:
            processes.watch(process)
        assert selector.select(0) == []
        started = time.monotonic()
        first.kill()
        assert selector.select(10)
        assert time.monotonic() - started < 1
        assert processes.dead() == [watched[0]]
        assert processes.watched() == [watched[1]]
        processes.watch(watched[0])
        assert selector.select(0) == []
        assert processes.dead() == []


def test_a_death_between_the_look_and_the_watch_is_not_missed(
    spawn: Spawn, processes: ProcFs
) -> None:
    """It wakes the selector like any other, zombie or gone, and doesn't wake it for ever."""
    zombie, gone = spawn("sleep", "60"), spawn("sleep", "60")
    seen = [identified(processes, child.pid) for child in (zombie, gone)]
    zombie.kill()
    gone.kill()
    gone.wait()
    eventually(lambda: not processes.alive(seen[0]))
    with selectors.DefaultSelector() as selector:
        selector.register(processes, selectors.EVENT_READ)
        for process in seen:
            processes.watch(process)
        assert selector.select(0)
        assert sorted(p.pid for p in processes.dead()) == sorted(p.pid for p in seen)
        for process in seen:
            processes.watch(process)
        assert selector.select(0) == []


def test_a_process_that_is_not_watched_any_more_dies_in_silence(
    spawn: Spawn, processes: ProcFs
) -> None:
    """Unwatching twice is no error."""
    child = spawn("sleep", "60")
    process = identified(processes, child.pid)
    processes.watch(process)
    processes.unwatch(process)
    processes.unwatch(process)
    child.kill()
    child.wait()
    assert processes.dead() == []


# ---------------------------------------------------------------------------- families


def test_a_tree_holds_the_whole_family_with_its_cpu_time(spawn: Spawn, processes: ProcFs) -> None:
    """It first, then all descendants; a busy one's CPU seconds grow."""
    busy = "while :; do :; done & (sleep 60; :) & wait"
    root = identified(processes, spawn("sh", "-c", busy, start_new_session=True).pid)
    eventually(lambda: len(processes.snapshot().tree(root)) == 4)
    tree = processes.snapshot().tree(root)
    assert tree[0].id == root
    assert {info.parent for info in tree[1:]} <= {info.id.pid for info in tree}
    eventually(lambda: sum(info.own_cpu for info in processes.snapshot().tree(root)[1:]) > 0.05)
    assert processes.end([info.id for info in tree], grace=0) == []


def test_the_cpu_time_of_ended_children_is_not_lost(spawn: Spawn, processes: ProcFs) -> None:
    """A tool that has ended counts in its parent's `reaped_cpu`."""
    burn = python("import time\nwhile time.process_time() < 0.1: pass")
    code = f"import subprocess; subprocess.run({burn!r}); print(flush=True); input()"
    child = spawn(*python(code), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    [info] = processes.snapshot().tree(identified(processes, child.pid))
    assert info.reaped_cpu >= 0.09


def test_what_an_agent_left_behind_is_found_by_its_mark(spawn: Spawn, processes: ProcFs) -> None:
    """Carriers and all their descendants, also those that cleaned their environment."""
    mark = f"ORCH_ROLE=role-{os.getpid()}"
    name, value = mark.split("=")
    root = spawn("sh", "-c", "env -i sleep 60 & wait", env={**os.environ, name: value})
    longer = spawn("sleep", "60", env={**os.environ, name: value + "x"})
    other = spawn("sleep", "60", env={**os.environ, "X" + name: value})
    eventually(lambda: len(processes.snapshot().marked(mark)) == 2)
    found = {process.pid for process in processes.snapshot().marked(mark)}
    assert root.pid in found
    assert found.isdisjoint({longer.pid, other.pid, os.getpid()})
    assert processes.end(processes.snapshot().marked(mark), grace=0) == []


def test_a_supervisor_that_an_agent_started_is_not_what_it_left_behind(spawn: Spawn) -> None:
    """Nor are the processes of the supervisor; what else the agent started is."""
    code = (
        "import os, subprocess; from cc_ci_orch.shell.procs import ProcFs\n"
        "child = subprocess.Popen(['sleep', '60'], env={'PATH': os.environ['PATH']})\n"
        "other = subprocess.Popen(['sh', '-c', 'echo; exec sleep 60'], stdout=subprocess.PIPE)\n"
        "other.stdout.readline()\n"
        "found = ProcFs().snapshot().marked('ORCH_ROLE=starter')\n"
        "print([process.pid for process in found] == [other.pid])\n"
        "child.kill(); other.kill()"
    )
    env = {**os.environ, "ORCH_ROLE": "starter"}
    child = spawn(sys.executable, "-c", code, env=env, stdout=subprocess.PIPE)
    assert child.communicate()[0] == b"True\n"


def test_one_pass_answers_for_many_roles(spawn: Spawn, processes: ProcFs) -> None:
    """A snapshot is what /proc was; a scan of a busy machine costs milliseconds."""
    child = spawn("sleep", "60", env={"ORCH_ROLE": "a"})
    process = identified(processes, child.pid)
    # An environment reads as empty for a moment during exec.
    eventually(lambda: process in processes.snapshot().marked("ORCH_ROLE=a"))
    started = time.perf_counter()
    table = processes.snapshot()
    assert [info.id for info in table.tree(process)] == [process]
    assert process in table.marked("ORCH_ROLE=a")
    assert process not in table.marked("ORCH_ROLE=b")
    assert time.perf_counter() - started < 1
    child.kill()
    child.wait()
    assert [info.id for info in table.tree(process)] == [process]


# ---------------------------------------------------------------------------- ending


def test_a_polite_process_ends_by_itself_within_its_grace(spawn: Spawn, processes: ProcFs) -> None:
    """TERM comes first, and nobody waits longer than needed."""
    code = "trap 'exit 5' TERM; echo; while :; do sleep 0.01; done"
    child = spawn("sh", "-c", code, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    started = time.monotonic()
    assert processes.end([identified(processes, child.pid)], grace=30) == []
    assert time.monotonic() - started < 15
    assert child.wait() == 5


def test_a_deaf_process_is_killed_when_its_grace_is_over(spawn: Spawn, processes: ProcFs) -> None:
    """It doesn't outlive `end`, nor does a child that the caller didn't know of."""
    code = "trap '' TERM HUP INT; sleep 60 & echo $!; while :; do sleep 0.01; done"
    child = spawn("sh", "-c", code, stdout=subprocess.PIPE)
    assert child.stdout is not None
    grandchild = identified(processes, int(child.stdout.readline()))
    deaf = identified(processes, child.pid)
    started = time.monotonic()
    assert processes.end([deaf], grace=0.2) == []
    assert 0.2 <= time.monotonic() - started < 10
    assert not processes.alive(grandchild)
    assert child.wait() == -signal.SIGKILL


def test_without_grace_there_is_no_term(spawn: Spawn, processes: ProcFs) -> None:
    """Grace 0 goes straight to KILL."""
    child = spawn("sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.01; done")
    assert processes.end([identified(processes, child.pid)], grace=0) == []
    assert child.wait() == -signal.SIGKILL


def test_children_born_on_the_way_out_are_ended_too(
    tmp_path: Path, spawn: Spawn, processes: ProcFs
) -> None:
    """What its parent leaves behind in the session, already orphaned, is found again."""
    note = tmp_path / "pid"
    code = f"trap 'sleep 60 & echo $! > {note}; exit' TERM; echo; while :; do sleep 0.01; done"
    child = spawn("sh", "-c", code, start_new_session=True, stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()
    assert processes.end([identified(processes, child.pid)], grace=10) == []
    assert processes.identify(int(note.read_text())) is None


def test_a_process_that_keeps_forking_is_ended(spawn: Spawn, processes: ProcFs) -> None:
    """It is looked for again until nothing is left; what was born too late is told, and ended
    the next time. Each generation has one process, or two."""
    code = (
        "import os, time\n"
        "for _ in range(200):\n"
        "    if os.fork():\n"
        "        time.sleep(60 if os.getppid() == 1 else 0)\n"
        "        os._exit(0)\n"
        "    time.sleep(0.002)\n"
    )
    child = spawn(*python(code), start_new_session=True)
    process = identified(processes, child.pid)
    eventually(lambda: len(processes.snapshot().family([process])) > 0)
    left = processes.end([process], grace=0)
    deadline = time.monotonic() + 30
    while left and time.monotonic() < deadline:
        left = processes.end(left, grace=0)
    assert left == []
    assert processes.snapshot().family([process]) == []


def test_nobody_ends_himself_or_those_he_descends_from(spawn: Spawn, processes: ProcFs) -> None:
    """An agent may run `launch.sh stop`: the command survives to tell, and says who is left.

    A sibling isn't ended either for being a descendant of such an ancestor.
    """
    code = (
        "import os; from cc_ci_orch.shell.procs import ProcFs; p = ProcFs();"
        "mine = [p.identify(os.getpid()), p.identify(os.getppid())];"
        "print(p.end(mine, grace=0.1) == mine)"
    )
    shell = f'sleep 60 & echo $!; {sys.executable} -c "{code}"; echo survived; kill $!'
    child = spawn("sh", "-c", shell, stdout=subprocess.PIPE)
    sibling, *rest = child.communicate()[0].decode().splitlines()
    assert rest == ["True", "survived"]
    assert sibling.isdigit()
    assert child.returncode == 0  # there was a sibling left to kill


def test_a_signal_reaches_just_that_process(spawn: Spawn, processes: ProcFs) -> None:
    """To one that is gone, sending is no error."""
    child = spawn("sleep", "60")
    process = identified(processes, child.pid)
    processes.signal(process, signal.SIGUSR1)
    assert child.wait() == -signal.SIGUSR1
    processes.signal(process, signal.SIGUSR1)
