"""A machine for a test: a real systemd as the first process, on a root folder of its own.

Nothing of the host is touched: the machine has its own processes, mounts and network, and
they end with its first process, which ends with ours. Its control groups and its folder are
removed by a process that waits for our end, however that comes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
PYTHON = "/usr/bin/python3"
"""The only one that there is inside: /usr is the host's."""

PREFIX = "orch-boot-"
USER = "cc-ci"
UID = 4321
HOME = f"/home/{USER}"
BOOT_ID = "/etc/this-boot"
"""A file in the place of the kernel's: one kernel serves all machines."""

LONG = 90.0
"""Seconds for what normally takes one: the host may be busy."""

_ETC = (
    *("passwd", "group", "shadow", "nsswitch.conf", "ld.so.cache", "ld.so.conf", "login.defs"),
    *("ld.so.conf.d", "pam.d", "security", "dbus-1", "alternatives", "profile", "bash.bashrc"),
)
_MASKED = (
    *("getty.target", "apt-daily.timer", "apt-daily-upgrade.timer", "e2scrub_reap.service"),
    *("systemd-udevd.service", "systemd-udev-trigger.service", "systemd-networkd.service"),
    *("systemd-resolved.service", "systemd-timesyncd.service", "systemd-firstboot.service"),
    *("systemd-remount-fs.service", "systemd-modules-load.service", "dev-hugepages.mount"),
    *("sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount"),
    *("proc-sys-fs-binfmt_misc.automount", "dev-mqueue.mount", "postgresql.service"),
    *("systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "fstrim.timer"),
    *("man-db.timer", "dpkg-db-backup.timer", "logrotate.timer", "e2scrub_all.timer"),
)


@dataclass(frozen=True)
class Done:
    """How a command on the machine ended, and what it said."""

    code: int
    out: str
    err: str


class NoMachine(Exception):
    """A machine can't be made here; says why."""


class Machine:
    """A root folder; `boot` makes it a running machine."""

    def __init__(self) -> None:
        why = why_not()
        if why:
            raise NoMachine(why)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp"))
        self.root = self.folder / "root"
        self.cgroup = _cgroups() / self.folder.name
        self._process: subprocess.Popen[bytes] | None = None
        self.init = 0
        self._janitor = subprocess.Popen(
            [str(HERE / "clean.sh"), str(self.folder), str(self.cgroup)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            _make_root(self.root)
        except BaseException:
            self.remove()
            raise

    # ------------------------------------------------------------------ files

    def path(self, inside: str) -> Path:
        """Where a file of the machine is on the host; for what doesn't lie in /run or /tmp."""
        return self.root / inside.lstrip("/")

    def copy_program(self, to: str = "/opt/cc-ci-orch") -> None:
        """A copy of the program, as a clone of it would be; the user's own."""
        target = self.path(to)
        target.mkdir(parents=True)
        for name in ("cc_ci_orch", "plan", "prompts", "systemd"):
            shutil.copytree(REPOSITORY / name, target / name)
        for file in (*REPOSITORY.glob("launch*"), REPOSITORY / "REBOOTS.md"):
            shutil.copy2(file, target)
        self.give(to)

    def give(self, inside: str) -> None:
        """Make all of it the user's."""
        subprocess.run(["chown", "-R", f"{UID}:{UID}", str(self.path(inside))], check=True)

    def write(self, inside: str, text: str) -> None:
        """A file, with its folder; root's."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    # ------------------------------------------------------------------ on and off

    def boot(self) -> None:
        """Switch it on, with a new boot id, and wait until it has booted."""
        self.write(BOOT_ID, f"{uuid.uuid4()}\n")
        self.cgroup.mkdir(exist_ok=True)
        argv = ["setpriv", "--pdeathsig", "KILL", str(HERE / "boot.sh")]
        log = (self.folder / "console").open("ab")
        with log:
            self._process = subprocess.Popen(
                [*argv, str(self.root), str(self.cgroup)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self.eventually(self._has_booted, LONG)

    def _has_booted(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise NoMachine(f"it did not boot: {(self.folder / 'console').read_text()}")
        self.init = _only_child(self._process.pid)
        if not self.init:
            return False
        state = self.run("systemctl", "is-system-running").out.strip()
        return state in ("running", "degraded")

    def power_off(self) -> None:
        """As `poweroff` does: every unit is stopped, in order."""
        assert self._process is not None
        self.run("systemctl", "poweroff", "--no-wall")
        self._process.wait(LONG)
        self._off()

    def _off(self) -> None:
        if self._process is not None:
            self._process.kill()  # its first process goes with it, and all others with that
            self._process.wait()
            self._process = None
            self.init = 0

    def remove(self) -> None:
        """Switch it off at once, and remove all of it."""
        self._off()
        assert self._janitor.stdin is not None
        self._janitor.stdin.close()
        self._janitor.wait(LONG)

    # ------------------------------------------------------------------ commands

    def run(
        self,
        *argv: str,
        user: str = "root",
        env: Mapping[str, str] = {},
        timeout: float = LONG,
        input: str = "",
    ) -> Done:
        """A command on the machine, in a clean environment, from the user's home."""
        home = "/root" if user == "root" else HOME
        clean = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        clean |= {"HOME": home, "LANG": "C.UTF-8", "USER": user, "LOGNAME": user, **env}
        become = [] if user == "root" else ["runuser", "-u", user, "--"]
        whole = [
            *("nsenter", f"--target={self.init}", "--all", f"--wdns={home}"),
            *("env", "-i", *(f"{name}={value}" for name, value in clean.items())),
            *become,
            *argv,
        ]
        done = subprocess.run(
            whole, input=input.encode(), capture_output=True, timeout=timeout, check=False
        )
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def must(self, *argv: str, **how: object) -> str:
        """A command that succeeds; its output."""
        done = self.run(*argv, **how)  # type: ignore[arg-type]
        assert done.code == 0, (argv, done, self.journal())
        return done.out

    def journal(self) -> str:
        """The newest lines of the machine's journal, for a failure's message."""
        return self.run("journalctl", "--no-pager", "-n", "60", "-o", "cat").out

    def eventually(self, predicate: Callable[[], object], timeout: float = LONG) -> None:
        """Wait until it is true; on failure, say what the machine's journal says."""
        deadline = time.monotonic() + timeout
        while not (value := predicate()):
            if time.monotonic() > deadline:
                said = self.journal() if self.init else ""
                raise AssertionError(f"still {value!r} after {timeout:g} s\n{said}")
            time.sleep(0.05)


@cache
def why_not() -> str:
    """Why no machine can be made here; "" where one can."""
    if os.geteuid() != 0:
        return "a machine with its own systemd needs root"
    missing = [p for p in ("unshare", "nsenter", "setpriv", "runuser") if not shutil.which(p)]
    missing += [p for p in ("/usr/lib/systemd/systemd", PYTHON) if not os.path.exists(p)]
    if missing:
        return f"missing: {', '.join(missing)}"
    if not os.path.exists("/usr/bin/tmux") or not os.path.exists("/usr/bin/git"):
        return "tmux and git are not in /usr/bin, which is all that the machine has"
    new = "import sys; sys.exit(sys.version_info < (3, 11))"
    if subprocess.run([PYTHON, "-c", new], check=False).returncode != 0:
        return f"{PYTHON} is older than 3.11"
    try:
        probe = _cgroups() / f"{PREFIX}{os.getpid()}-probe"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"no control group can be made: {error}"
    spaces = ("--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--fork")
    tried = subprocess.run(
        ["unshare", *spaces, "mount", "-t", "tmpfs", "none", "/mnt"],
        capture_output=True,
        check=False,
    )
    return "" if tried.returncode == 0 else f"unshare: {tried.stderr.decode().strip()}"


def _cgroups() -> Path:
    """The group that we are in, below which others can be made."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise NoMachine("there is no cgroup2 file system")


def _only_child(pid: int) -> int:
    """The first process of the machine, as the host sees it; 0 until there is one."""
    with suppress(OSError, ValueError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        name = Path(f"/proc/{children[0]}/comm").read_text().strip() if children else ""
        return int(children[0]) if name == "systemd" else 0
    return 0


def _make_root(root: Path) -> None:
    """A minimal Debian that shares the host's /usr."""
    for name in ("usr", "etc/systemd/system", "proc", "sys", "run", "tmp", "dev", "opt", "mnt",
                 "var/log/journal", "var/lib", "root", HOME.lstrip("/"), "srv"):  # fmt: skip
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "var/run").symlink_to("../run")
    for name in _ETC:
        source = Path("/etc") / name
        if source.is_dir():
            shutil.copytree(source, root / "etc" / name, symlinks=True)
        elif source.exists():
            shutil.copy2(source, root / "etc" / name)
    etc = root / "etc"
    for name, text in {
        "fstab": "",
        "hostname": "machine\n",
        "machine-id": "",
        "os-release": "NAME=machine\nID=machine\n",
    }.items():
        (etc / name).write_text(text)
    units = etc / "systemd/system"
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    for unit in _MASKED:
        (units / unit).symlink_to("/dev/null")
    _add_user(etc, root)


def _add_user(etc: Path, root: Path) -> None:
    for name, line in (
        ("passwd", f"{USER}:x:{UID}:{UID}::{HOME}:/bin/bash\n"),
        ("group", f"{USER}:x:{UID}:\n"),
    ):
        path = etc / name
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(x for x in lines if x.split(":")[2] != str(UID)) + line)
    os.chown(root / HOME.lstrip("/"), UID, UID)
