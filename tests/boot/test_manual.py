"""docs/operations.md, read by a machine: each of its commands does what a person would expect."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.boot.machine import BOOT_ID, REPOSITORY, USER, Machine, why_not

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be made"),
]

MANUAL = REPOSITORY / "docs" / "operations.md"
WALK = "From a bare machine to one that reboots"
URL = "https://forge.example/cc-ci-orch.git"

APT = """\
#!/bin/sh
# In the place of apt-get: the machine has no network, but the packages' programs.
[ "$1" = update ] && exit
shift 2
for package; do command -v "$package" >/dev/null || exit 100; done
"""

ENDLESS = ("-f", "--watch", "attach", "watchdog")
"""What goes on until it is interrupted, or needs a terminal."""

ENDING = ("stop", "restart", "--remove", "disable")
"""What comes last, because it ends what others show."""


def section(title: str) -> str:
    """The text of one section of the manual."""
    text = MANUAL.read_text(encoding="utf-8")
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def blocks(text: str) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def one_liners() -> list[str]:
    """Every command of the manual outside the walk, once, those that end something last."""
    text = MANUAL.read_text(encoding="utf-8").replace(section(WALK), "")
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.M))
    lines = [line for block in blocks(text) for line in block.splitlines()]
    known = re.compile(
        r"(?:[A-Z_]+=\S+ +)*(?:sudo (?:env \S+ )?)?(?:\./launch\.sh|systemctl|journalctl)\b"
    )
    found = [c for c in (*inline, *lines) if known.match(c) and c != "./launch.sh …"]
    return sorted(dict.fromkeys(found), key=lambda c: any(word in c for word in ENDING))


def prepare(machine: Machine) -> None:
    """A bare machine that can be reached by the manual's words: its forge is a folder."""
    machine.boot()
    machine.copy_program("/srv/origin")
    machine.path("/srv/origin/examples").mkdir()
    echo = machine.path("/srv/origin/examples/echo-agent.sh")
    echo.write_text((REPOSITORY / "examples" / "echo-agent.sh").read_text())
    echo.chmod(0o755)
    script = """\
userdel --force --remove cc-ci 2>/dev/null || true
cd /srv/origin
chown -R root: .
git init -q -b main . && git add -A
git -c user.name=a -c user.email=a@b.c commit -qm all
"""
    machine.must("bash", "-c", script)
    machine.write("/etc/gitconfig", f'[url "/srv/origin"]\n\tinsteadOf = {URL}\n')
    machine.write("/opt/stubs/apt-get", APT)
    machine.path("/opt/stubs/apt-get").chmod(0o755)
    # One kernel serves all machines, so the boot id is a file's.
    drop_in = f"[Service]\nEnvironment=ORCH_BOOT_ID_FILE={BOOT_ID}\n"
    machine.write("/etc/systemd/system/cc-ci-loops.service.d/boot-id.conf", drop_in)


def walk(machine: Machine) -> str:
    """Do what the manual says, word for word; what was said at last."""
    said = ""
    for block in blocks(section(WALK)):
        if block.strip() == "systemctl reboot":
            machine.power_off()
            machine.boot()
        else:
            path = "/opt/stubs:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            said = machine.must("bash", "-euxc", wait_for_it(block), env={"PATH": path})
    return said


def wait_for_it(block: str) -> str:
    """A person who looks at once would see agents that still start, and look again."""
    look = "su - cc-ci -c '/opt/cc-ci-orch/launch.sh status'\n"
    wait = f"for n in $(seq 100); do {look.strip()} >/dev/null && break; sleep 0.2; done\n"
    return block.replace(look, wait + look)


def test_the_manual_leads_to_a_machine_that_reboots(machine: Machine) -> None:
    """From a bare machine, by copying: the pair works before the reboot and after it, the
    reboot is logged, and all other commands of the page are such as the program takes."""
    prepare(machine)
    said = walk(machine)
    assert len(re.findall(r"^- .* boot_id=.* phase=1$", said, re.MULTILINE)) == 1
    assert "healthy" in said
    assert "MISSING" not in said
    wrong = [(command, done) for command in one_liners() if (done := attempt(machine, command))]
    assert wrong == []


def attempt(machine: Machine, command: str) -> str:
    """What is wrong with a command of the manual; "" if the program took it."""
    filled = command.replace("ROLE…", "builder").replace("ROLE", "builder")
    filled = filled.replace("ID", "1").replace("…", "go on").replace("NAME=value", "LANG=C")
    if filled.startswith("journalctl"):
        filled += " --no-pager"
    words = shlex.split(filled)
    user = "root" if words[0] in ("sudo", "systemctl", "journalctl") else USER
    call = re.sub(r"^sudo ", "", filled)
    endless = any(word in words for word in ENDLESS)
    if endless:
        call = f"timeout 3 {call}"
    if "attach" in words:
        call = f"TERM=xterm script -qec {shlex.quote(call)} /dev/null"
    script = f"cd /opt/cc-ci-orch; {call}"
    sudo = {"SUDO_USER": USER} if words[0] == "sudo" else {}
    done = machine.run("bash", "-c", script, user=user, env=sudo, input="A word.\n")
    said = done.out + done.err
    asked_for = 124 if endless else 0
    bad = (
        done.code not in (0, 1, 3, 75, asked_for) or "Traceback" in said or "internal error" in said
    )
    return f"{done.code}: {said[-400:]}" if bad else ""


def test_every_command_of_the_manual_is_found() -> None:
    """The extraction sees both kinds: it would else pass everything."""
    commands = one_liners()
    assert "./launch.sh status" in commands
    assert "sudo ./launch.sh install --write" in commands
    assert any(c.startswith("ORCH_ROLES=builder") for c in commands)
    assert len(blocks(section(WALK))) >= 5
    assert Path(MANUAL).exists()
