"""The units on a machine of their own: what a boot starts, what ends whom, what survives."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.boot.machine import BOOT_ID, HOME, USER, Machine, why_not

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be made"),
]

ROOT = "/opt/cc-ci-orch"
LOOPS, TMUX = "cc-ci-loops.service", "cc-ci-tmux.service"

AGENT = """\
#!/bin/sh
# Works: writes in its home, and says which rights it has.
grep -s NoNewPrivs /proc/self/status >> ~/rights
while :; do
    echo "$ORCH_ROLE $$ $ORCH_CONVERSATION" >> ~/work
    date
    sleep 0.2
done
"""

SETTINGS = {
    "LOOP_BACKEND": "command",
    "LOOP_COMMAND": f"{HOME}/agent.sh",
    "ORCH_BOOT_ID_FILE": BOOT_ID,
    "ORCH_POLL": "0.5s",
    "ORCH_SUBMIT_WAIT": "0.5s",
}


class Instance:
    """The instance on a machine, as its user and as root drive it."""

    def __init__(self, machine: Machine, root: str = ROOT) -> None:
        self.machine = machine
        self.root = root

    def launch(self, *args: str, code: int = 0, user: str = USER) -> str:
        """`launch.sh ARGS`; stdout and stderr."""
        done = self.machine.run(f"{self.root}/launch.sh", *args, user=user)
        assert done.code == code, (args, done, self.machine.journal())
        return done.out + done.err

    def status(self) -> Mapping[str, Any]:
        done = self.machine.run(f"{self.root}/launch.sh", "status", "--json", user=USER)
        return dict(json.loads(done.out))

    def works(self) -> bool:
        """Whether it is healthy, with both agents at work."""
        state = self.status()
        lives = [s["liveness"] for s in state["sessions"]]
        return state["supervisor"]["running"] and state["healthy"] and lives == ["working"] * 2

    def wait_until_it_works(self) -> None:
        self.machine.eventually(self.works)

    def agents(self) -> dict[str, tuple[int, str]]:
        """Pid and conversation of each agent."""
        sessions = self.status()["sessions"]
        return {s["role"]: (s["pid"], s["conversation"]) for s in sessions}

    def supervisor(self) -> int:
        """Its pid; 0 where none runs."""
        shown = self.machine.must("systemctl", "show", "--property=MainPID", "--value", LOOPS)
        return int(shown)

    def is_another_than(self, pid: int) -> bool:
        up = self.supervisor() not in (0, pid) and self.active(LOOPS) == "active"
        return up and self.works()

    def processes(self) -> list[str]:
        """Every process of the user on the machine."""
        done = self.machine.run("ps", "-u", USER, "-o", "pid,args", "--no-headers")
        return done.out.splitlines()

    def reboots(self) -> list[str]:
        text = self.machine.path(f"{self.root}/REBOOTS.md").read_text()
        return [line for line in text.splitlines() if line.startswith("- ")]

    def events(self, *names: str) -> list[Mapping[str, Any]]:
        path = self.machine.path(f"{self.root}/.orch/events.jsonl")
        found = [json.loads(line) for line in path.read_text().splitlines()]
        return [event for event in found if event["event"] in names]

    def systemctl(self, *args: str) -> None:
        self.machine.must("systemctl", *args)

    def active(self, unit: str) -> str:
        return self.machine.run("systemctl", "is-active", unit).out.strip()


def install(machine: Machine, root: str = ROOT, **settings: str) -> Instance:
    """The program, an agent and the units on a machine that runs."""
    machine.copy_program(root)
    agent = machine.path(f"{HOME}/agent.sh")
    agent.write_text(AGENT)
    agent.chmod(0o755)
    argv = (f"{root}/launch.sh", "install", "--write", "--user", USER)
    machine.must(*argv, env={**SETTINGS, **settings})
    return Instance(machine, root)


def test_however_the_supervisor_ends_its_agents_go_on(machine: Machine) -> None:
    """Restarted, killed, hung, replaced, stopped and started: the same processes, and they
    have all rights of their user; the host was booted once, so no reboot is logged."""
    machine.boot()
    it = install(machine)
    assert "cc-ci-loops.service" in it.launch("start", code=75)
    assert f"sudo systemctl start {LOOPS}" in it.launch("start", code=75)
    quick = "[Service]\nWatchdogSec=2s\n"
    machine.write(f"/etc/systemd/system/{LOOPS}.d/quick.conf", quick)
    it.systemctl("daemon-reload")
    it.systemctl("enable", "--now", LOOPS)
    it.wait_until_it_works()
    agents = it.agents()
    assert "NoNewPrivs:\t0" in machine.path(f"{HOME}/rights").read_text()
    confined = machine.must("grep", "NoNewPrivs", f"/proc/{it.supervisor()}/status")
    assert confined.split() == ["NoNewPrivs:", "1"]

    before = it.supervisor()
    machine.must("kill", "-9", str(before))
    machine.eventually(lambda: it.is_another_than(before))
    assert it.agents() == agents

    before = it.supervisor()
    machine.must("kill", "-STOP", str(before))
    machine.eventually(lambda: it.is_another_than(before))
    assert it.agents() == agents

    before = it.supervisor()
    assert LOOPS in it.launch("start", "--takeover")
    assert it.is_another_than(before)
    assert it.agents() == agents

    for _ in range(5):
        it.systemctl("restart", LOOPS)
    it.wait_until_it_works()
    assert it.agents() == agents

    it.systemctl("stop", LOOPS)
    assert it.status()["supervisor"]["running"] is False
    assert [role for role, (pid, _) in agents.items() if not is_alive(machine, pid)] == []
    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    assert it.agents() == agents
    assert it.reboots() == []
    assert it.events("session.healed") == []


def is_alive(machine: Machine, pid: int) -> bool:
    return machine.run("kill", "-0", str(pid)).code == 0


def test_what_is_to_end_everything_does(machine: Machine) -> None:
    """`launch.sh stop` and a stop of the tmux server's unit leave no process, and nothing
    comes back by itself; a start of the supervisor's unit brings all of it back."""
    machine.boot()
    it = install(machine)
    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    conversations = [conversation for _, conversation in it.agents().values()]

    it.launch("stop", "--grace", "1s")
    assert it.processes() == []
    machine.must("sleep", "3")  # longer than systemd waits before it brings something back
    assert (it.active(TMUX), it.active(LOOPS)) == ("inactive", "inactive")
    assert it.processes() == []
    it.launch("stop")  # where nothing runs, too

    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    it.systemctl("stop", TMUX)
    assert it.processes() == []
    assert (it.active(TMUX), it.active(LOOPS)) == ("inactive", "inactive")

    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    it.systemctl("stop", LOOPS)
    it.launch("stop", "--grace", "1s")  # by itself, without a supervisor
    assert it.processes() == []
    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    assert [conversation for _, conversation in it.agents().values()] == conversations


@pytest.mark.parametrize("how", ["kill -9", "kill-server"])
def test_a_tmux_server_that_dies_comes_back_in_its_unit(machine: Machine, how: str) -> None:
    """With every session and its conversation; the supervisor never starts one of its own,
    which would live in its own hardened unit and die with it."""
    machine.boot()
    it = install(machine)
    it.systemctl("start", LOOPS)
    it.wait_until_it_works()
    before = it.agents()
    server = machine.must("systemctl", "show", "--property=MainPID", "--value", TMUX).strip()
    if how == "kill-server":
        machine.must("tmux", "-S", "/run/cc-ci-tmux/socket", "kill-server", user=USER)
    else:
        machine.must(*how.split(), server)

    def is_back() -> bool:
        now = it.agents()
        others = all(now[role][0] not in (None, before[role][0]) for role in before)
        return others and it.works()

    machine.eventually(is_back)
    assert {r: c for r, (_, c) in it.agents().items()} == {r: c for r, (_, c) in before.items()}
    for pid, _ in it.agents().values():
        assert TMUX in machine.must("cat", f"/proc/{pid}/cgroup")


def test_a_reboot_in_the_middle_of_a_phase(machine: Machine) -> None:
    """It is logged once, with the phase; the phase, the conversations and a hand-off that was
    not yet delivered are taken up again. What a person kept down stays down."""
    machine.boot()
    it = install(machine, ORCH_REPO_POLL="0.5s", ORCH_PHASE_DRAIN="1s")
    it.systemctl("enable", "--now", LOOPS)
    it.wait_until_it_works()
    it.launch("phase", "set", "2")
    machine.eventually(lambda: it.status()["phase"]["id"] == "2" and it.works())
    it.launch("hold", "adversary")
    claim(machine, it)
    machine.eventually(lambda: it.status()["pending_handoffs"] == 1)
    before = it.agents()
    assert it.reboots() == []

    machine.power_off()
    machine.boot()
    machine.eventually(lambda: it.agents()["builder"][0] and it.status()["healthy"])
    assert [re.sub(r".* phase=", "", line) for line in it.reboots()] == ["2"]
    assert it.status()["reboots"]["count"] == 1
    assert it.status()["phase"]["id"] == "2"
    assert it.status()["pending_handoffs"] == 1
    now = it.agents()
    assert {r: c for r, (_, c) in now.items()} == {r: c for r, (_, c) in before.items()}
    assert now["adversary"][0] is None  # it is still held, so nobody starts it
    it.launch("release", "adversary")
    machine.eventually(lambda: it.works() and it.status()["pending_handoffs"] == 0)
    assert len(it.events("handoff.seen")) == len(it.events("handoff.delivered")) == 1

    for _ in range(5):
        it.systemctl("restart", LOOPS)
    it.wait_until_it_works()
    assert len(it.reboots()) == 1
    it.launch("stop", "builder")

    machine.power_off()
    machine.boot()
    machine.eventually(lambda: it.status()["supervisor"]["running"] and it.status()["healthy"])
    assert len(it.reboots()) == 2
    machine.eventually(lambda: it.agents()["adversary"][0])
    assert it.agents()["builder"][0] is None


def claim(machine: Machine, it: Instance) -> None:
    """What a builder does to claim the first gate of phase 2."""
    gate = it.status()["phase"]["gates"][0]["id"]
    script = f"""\
cd {it.root}/.orch/clones/builder
printf '## Phase 2\\n- {gate}: CLAIMED #1\\n' > STATUS.md
git add STATUS.md
git -c user.name='cc-ci builder' -c user.email=builder@cc-ci.invalid commit -qm claim
git push -q origin HEAD:main
"""
    machine.must("bash", "-ec", script, user=USER)


def test_an_instance_in_an_odd_place(machine: Machine) -> None:
    """Blanks, a percent sign, a quote, a letter beyond ASCII, another name, a setting that is
    hard to quote, and one with a secret: which nobody but the user can read."""
    root = "/srv/it's 100% \N{LATIN SMALL LETTER E WITH ACUTE}$HOME"
    secret = "http://u:s3cr3t-w0rd@127.0.0.1:9/topic"
    words = f"/bin/sh {HOME}/agent.sh 'a b' \"c'd\" 5% $x \\\\ {{role}}"
    machine.boot()
    it = install(machine, root, ORCH_NAME="odd", NOTIFY_URL=secret, LOOP_COMMAND=words)
    it.systemctl("enable", "--now", "odd-loops.service")

    def works() -> bool:
        done = machine.run(f"{root}/launch.sh", "status", user=USER, env={"ORCH_NAME": "odd"})
        return done.code == 0

    machine.eventually(works)
    args = machine.must("ps", "-u", USER, "-o", "args", "--no-headers")
    assert f"/bin/sh {HOME}/agent.sh a b c'd 5% $x \\ builder" in args
    for unit in machine.path("/etc/systemd/system").glob("odd-*"):
        assert "s3cr3t" not in unit.read_text()
    hidden = machine.path(f"{root}/.orch/unit.env")
    assert hidden.stat().st_mode & 0o777 == 0o600
    pid = machine.must("systemctl", "show", "--property=MainPID", "--value", "odd-loops").strip()
    environment = machine.must("cat", f"/proc/{pid}/environ").split("\0")
    assert f"NOTIFY_URL={secret}" in environment
    machine.must("systemctl", "stop", "odd-tmux.service")
    assert it.processes() == []
