"""`launch.sh install` as people call it: with the right words and the wrong ones."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.boot.machine import USER, Machine, why_not

pytestmark = [
    pytest.mark.boot,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "it can be made"),
]

LAUNCH = "/opt/cc-ci-orch/launch.sh"
UNITS = "/etc/systemd/system"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    made = Machine()
    try:
        made.boot()
        made.copy_program()
        yield made
    finally:
        made.remove()


def installed(machine: Machine) -> dict[str, str]:
    return {p.name: p.read_text() for p in machine.path(UNITS).glob("cc-ci-*.*") if p.is_file()}


def test_what_cannot_be_installed_is_said_in_one_line(machine: Machine) -> None:
    """Nobody's instance, and a writer without rights: exit 78, a cause and a hint."""
    for user, args, cause in (
        ("root", ("--user", "nobody-here"), "there is no such user"),
        (USER, ("--write",), "only root may"),
        (USER, ("--remove",), "only root may"),
        (USER, ("--user", "root"), "only root may"),
    ):
        done = machine.run(LAUNCH, "install", *args, user=user)
        assert done.code == 78, done
        first, hint, *more = done.err.splitlines()
        assert cause in first and first.startswith("cc-ci-orch: can't ")
        assert hint.startswith("hint: ") and more == []
    assert machine.run(LAUNCH, "install", "--write", "--remove").code == 2
    assert installed(machine) == {}


def test_they_are_printed_as_they_would_be_written(machine: Machine) -> None:
    """By the user, without root; written twice, nothing changes; removed, nothing is left."""
    shown = machine.must(LAUNCH, "install", "--print", user=USER)
    machine.must(LAUNCH, "install", "--write", env={"SUDO_USER": USER})
    first = installed(machine)
    assert set(first) == {"cc-ci-tmux.service", "cc-ci-loops.service"}
    assert all(text in shown for text in first.values())
    again = machine.run(LAUNCH, "install", "--write", "--timer", "--user", USER)
    assert again.err.count("is as it should be") == 2
    assert set(installed(machine)) - set(first) == {
        "cc-ci-upgrader.service",
        "cc-ci-upgrader.timer",
    }
    assert machine.run("systemctl", "is-enabled", "cc-ci-upgrader.timer").out == "disabled\n"
    other = machine.run(LAUNCH, "install", "--write", "--user", USER, env={"ORCH_STATE": "/srv/x"})
    assert other.code == 78 and "set ORCH_NAME" in other.err
    for _ in range(2):
        machine.must(LAUNCH, "install", "--remove", "--user", USER)
        assert installed(machine) == {}


def test_doctor_sees_what_a_boot_would_do_otherwise(machine: Machine) -> None:
    """Settings that hold here and not in the unit, and a unit that no boot starts."""
    env = {"LOOP_BACKEND": "command", "LOOP_COMMAND": "/bin/cat"}
    machine.must(LAUNCH, "install", "--write", "--user", USER, env=env)
    machine.must("systemctl", "enable", "cc-ci-loops.service")
    well = machine.run(LAUNCH, "doctor", user=USER, env=env)
    assert well.code == 0, well
    changed = machine.run(LAUNCH, "doctor", user=USER, env={**env, "ORCH_POLL": "7s"})
    assert changed.code == 1 and "ORCH_POLL: not as here" in changed.out
    assert "install --write" in changed.out
    machine.must("systemctl", "disable", "cc-ci-loops.service")
    off = machine.run(LAUNCH, "doctor", user=USER, env=env)
    assert off.code == 1 and "fix: sudo systemctl enable cc-ci-loops.service" in off.out
    machine.must(LAUNCH, "install", "--remove", "--user", USER)


def test_doctor_sees_a_server_that_ends_with_something_else(machine: Machine) -> None:
    """Started by another service, the tmux server would go with it."""
    env = {"LOOP_BACKEND": "command", "LOOP_COMMAND": "/bin/cat"}
    setting = [f"--setenv={name}={value}" for name, value in env.items()]
    run = ("systemd-run", "--quiet", "--unit=else", f"--uid={USER}", "-r", *setting)
    machine.must(*run, LAUNCH, "start")
    machine.eventually(lambda: machine.run(LAUNCH, "status", user=USER, env=env).code == 0)
    seen = machine.run(LAUNCH, "doctor", user=USER, env=env)
    assert seen.code == 1 and "else.service, and ends with it" in seen.out, seen
    machine.must(LAUNCH, "stop", "--grace", "1s", user=USER, env=env)


def test_a_state_folder_where_only_root_can_make_one(machine: Machine) -> None:
    """Below /var/lib, say: made for the user, private, and used by the unit."""
    env = {
        "LOOP_BACKEND": "command",
        "LOOP_COMMAND": "/bin/cat",
        "ORCH_STATE": "/var/lib/elsewhere/state",
        "WORK_REPO": "https://u:s3cr3t-w0rd@127.0.0.1:9/r.git",
    }
    machine.must(LAUNCH, "install", "--write", "--user", USER, env=env)
    state = machine.path("/var/lib/elsewhere/state")
    assert machine.must("stat", "-c", "%U %a", env["ORCH_STATE"]) == f"{USER} 700\n"
    assert (state / "unit.env").stat().st_mode & 0o777 == 0o600
    assert "s3cr3t" not in "".join(installed(machine).values())
    machine.must(LAUNCH, "install", "--write", "--user", USER, env={**env, "WORK_REPO": ""})
    assert not (state / "unit.env").exists()
    machine.must("systemctl", "start", "cc-ci-loops.service")
    machine.eventually(lambda: machine.run(LAUNCH, "status", user=USER, env=env).code == 0)
    refused = machine.run(LAUNCH, "install", "--remove", "--user", USER, env=env)
    assert refused.code == 75 and "it runs" in refused.err
    machine.must("systemctl", "stop", "cc-ci-tmux.service")
    machine.must(LAUNCH, "install", "--remove", "--user", USER, env=env)
    assert installed(machine) == {}
