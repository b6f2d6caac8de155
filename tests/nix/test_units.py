"""The module's units are the files of systemd/, with a machine's own values in whole places."""

from __future__ import annotations

from pathlib import Path

import pytest

from cc_ci_orch import __version__
from tests.nix.tool import LIBRARIES, REPO, machine, needs_nix

pytestmark = [needs_nix, pytest.mark.parametrize("library", LIBRARIES)]

SHIPPED = {file.name: file.read_text() for file in (REPO / "systemd").glob("cc-ci-*")}

AS_SHIPPED = """{
  enable = true;
  programs = "/opt/cc-ci-orch";
  searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}"""

ANOTHER = """{
  enable = true;
  programs = "/srv/program";
  searchPath = "/run/wrappers/bin:/bin";
  name = "second-1";
  user = "worker";
  group = "workers";
  home = "/data/worker";
  root = "/srv/instance";
  state = "/var/lib/second";
  environmentFile = "/run/secrets/second.env";
  upgrader = { enable = true; onCalendar = "daily"; };
  environment = {
    NOTIFY_COMMAND = ''tell "100%" \\ $HOME 'x' '';
    EMPTY = "";
    LOOP_MODEL = "opus";
  };
}"""

TEXTS = "builtins.mapAttrs (_: unit: unit.text) config.systemd.units"
WANTED_BY = "builtins.mapAttrs (_: unit: unit.wantedBy) config.systemd.units"


def test_with_the_values_of_the_files_the_texts_are_the_files(library: Path) -> None:
    """Byte for byte: there is one source."""
    assert machine(library, AS_SHIPPED, TEXTS) == SHIPPED


def test_a_machine_of_its_own_changes_programs_and_path_alone(library: Path) -> None:
    """What a NixOS machine gets without any option set is the file but for what is in its store."""
    texts = machine(library, "{ enable = true; }", TEXTS)
    assert texts.keys() == SHIPPED.keys()
    changed = set()
    for name, text in texts.items():
        ours, shipped = text.splitlines(), SHIPPED[name].splitlines()
        assert len(ours) == len(shipped)
        pairs = zip(ours, shipped, strict=True)
        changed |= {line for line, other in pairs if line != other}
    allowed = ("Documentation=file:", "Environment=PATH=", "Exec")
    assert {line for line in changed if not line.startswith(allowed)} == set()
    assert all("/nix/store/" in line for line in changed)


def test_agents_find_sudo_their_packages_and_the_program(library: Path) -> None:
    """On NixOS sudo that works is only in one place, and it has to come first."""
    texts = machine(library, "{ enable = true; path = [ pkgs.jq ]; }", TEXTS)
    for unit in ("cc-ci-tmux.service", "cc-ci-loops.service", "cc-ci-upgrader.service"):
        (path,) = [line for line in texts[unit].splitlines() if "=PATH=" in line]
        words = path.partition("=PATH=")[2].split(":")
        assert words[0] == "/run/wrappers/bin"
        in_store = [word[44:] for word in words if word.startswith("/nix/store/")]
        assert in_store == ["jq-1/bin", f"cc-ci-orch-{__version__}/bin", "tmux-1/bin", "git-1/bin"]
        assert words[-1] == "/run/current-system/sw/bin"


def test_no_default_is_left_where_all_values_are_others(library: Path) -> None:
    """No unit points to another instance's folder, user or units."""
    texts = machine(library, ANOTHER, TEXTS)
    assert texts.keys() == {name.replace("cc-ci-", "second-1-") for name in SHIPPED}
    lines = [line for text in texts.values() for line in text.splitlines()]
    settings = [line for line in lines if not line.startswith(("#", "Description="))]
    assert [line for line in settings if "cc-ci" in line] == []


def test_every_replaced_value_stands_in_the_files(library: Path) -> None:
    """A value that a unit file no longer has would be replaced in vain, without a word."""
    loops = machine(library, ANOTHER, TEXTS)["second-1-loops.service"].splitlines()
    for line in (
        "User=worker",
        "Group=workers",
        "Environment=ORCH_ROOT=/srv/instance",
        "Environment=ORCH_STATE=/var/lib/second",
        "Environment=ORCH_NAME=second-1",
        "Environment=ORCH_TMUX_SOCKET=/run/second-1-tmux/socket",
        "Environment=PATH=/run/wrappers/bin:/bin",
        "EnvironmentFile=-/run/secrets/second.env",
        "ExecStart=/srv/program/launch.sh start --foreground",
        "ReadWritePaths=-/srv/instance -/var/lib/second -/data/worker /tmp",
        "Requires=second-1-tmux.service",
        "Documentation=file:/srv/program/docs/operations.md",
    ):
        assert line in loops


def test_a_rebuild_restarts_nothing_that_ends_an_agent(library: Path) -> None:
    """NixOS reads that from the section [Service], and nowhere else."""
    texts = machine(library, AS_SHIPPED, TEXTS)
    for name in ("cc-ci-tmux.service", "cc-ci-loops.service", "cc-ci-upgrader.service"):
        service = texts[name].partition("[Service]")[2].partition("\n[")[0]
        assert "\nX-RestartIfChanged=false\n" in service


def test_boot_starts_the_pair_and_not_the_upgrader(library: Path) -> None:
    """Until the upgrader is asked for; then its timer starts it, once a week."""
    assert machine(library, "{ enable = true; }", WANTED_BY) == {
        "cc-ci-tmux.service": ["multi-user.target"],
        "cc-ci-loops.service": ["multi-user.target"],
        "cc-ci-upgrader.service": [],
        "cc-ci-upgrader.timer": [],
    }
    assert machine(library, ANOTHER, WANTED_BY)["second-1-upgrader.timer"] == ["timers.target"]
    assert "OnCalendar=daily\n" in machine(library, ANOTHER, TEXTS)["second-1-upgrader.timer"]


def test_a_machine_that_does_not_enable_it_gets_nothing(library: Path) -> None:
    """To import the module is not to use it."""
    wanted = "{ inherit (config) users assertions; units = config.systemd.units; }"
    found = machine(library, "{ user = ''somebody''; }", wanted)
    assert found == {"users": found["users"], "assertions": [], "units": {}}
    assert found["users"]["users"] == {}
