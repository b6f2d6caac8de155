"""What the configuration puts into an instance's folder, and the commands for people."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.nix.tool import LIBRARIES, REPO, machine, needs_nix

pytestmark = needs_nix

STAND_IN = LIBRARIES[0].values[0]


def test_the_folder_gets_what_an_instance_needs(tmp_path: Path) -> None:
    """Settings, secrets, plan, prompts and launchers, all of them links; twice is as once."""
    root = _root(tmp_path)
    options = f"secretsFile = ''{tmp_path}/secrets''; settings.loop_backend = ''demo'';"
    (tmp_path / "secrets").write_text("A=1\n")
    for _ in range(2):
        done = _set_up(root, options)
        assert (done.returncode, done.stderr) == (0, "")
    targets = {path.name: os.readlink(path) for path in root.iterdir()}
    assert targets[".testenv"] == f"{tmp_path}/secrets"
    assert targets["plan"] == f"{REPO}/plan"
    assert targets["prompts"] == f"{REPO}/prompts"
    assert targets["AGENTS.md"] == f"{REPO}/AGENTS.md"
    assert re.fullmatch(r"/nix/store/[^/]+-orch\.toml-1", targets["orch.toml"])
    assert re.fullmatch(r"/nix/store/.*/bin/cc-ci-launch", targets["launch.sh"])
    assert targets.keys() >= {"launch-orchestrator.sh", "launch-upgrader.sh"}
    assert (root / "plan" / "phases.toml").is_file()


def test_a_new_configuration_replaces_its_own_links(tmp_path: Path) -> None:
    """A link of an older generation points to what may be gone."""
    root = _root(tmp_path)
    (root / "plan").symlink_to("/nix/store/gone/plan")
    _set_up(root, f"plan = ''{REPO}/docs'';")
    assert os.readlink(root / "plan") == f"{REPO}/docs"


def test_a_persons_own_plan_stays(tmp_path: Path) -> None:
    """A clone of the project may be the folder; nothing in it is replaced."""
    root = _root(tmp_path)
    (root / "plan").mkdir()
    (root / "plan" / "phases.toml").write_text("# mine\n")
    (root / "launch.sh").write_text("#!/bin/sh\n")
    done = _set_up(root, "prompts = null;")
    assert done.returncode == 0
    assert f"{root}/plan is left as it is" in done.stdout
    assert (root / "plan" / "phases.toml").read_text() == "# mine\n"
    assert (root / "launch.sh").read_text() == "#!/bin/sh\n"
    assert not (root / "prompts").exists()


def test_settings_that_nobody_would_read_are_an_error(tmp_path: Path) -> None:
    """An orch.toml of one's own would silently win over the configuration's."""
    root = _root(tmp_path)
    (root / "orch.toml").write_text("loop_backend = 'claude'\n")
    done = _set_up(root, "settings.loop_backend = ''demo'';")
    assert done.returncode == 1
    assert f"{root}/orch.toml is in the way" in done.stderr
    assert (root / "orch.toml").read_text() == "loop_backend = 'claude'\n"
    assert _set_up(root, "").returncode == 0


def test_a_secret_never_gets_into_the_store(tmp_path: Path) -> None:
    """Only its path does, also where it is given as a path and not as a text."""
    (tmp_path / "secrets").write_text("TOKEN=hunter2\n")
    options = f"{{ enable = true; secretsFile = {tmp_path}/secrets; }}"
    script = machine(STAND_IN, options, SCRIPT)
    assert f"own .testenv {tmp_path}/secrets\n" in script


def test_the_setup_runs_first_and_as_the_user() -> None:
    """The supervisor finds the folder complete, and nothing in it belongs to root."""
    unit = machine(STAND_IN, "{ enable = true; user = ''worker''; }", UNIT)
    assert unit["before"] == ["cc-ci-loops.service"]
    assert unit["wantedBy"] == ["multi-user.target"]
    assert unit["serviceConfig"]["User"] == "worker"
    rules = machine(STAND_IN, "{ enable = true; user = ''worker''; }", RULES)
    assert rules == [
        "d /opt/cc-ci-orch 0750 worker cc-ci - -",
        "d /opt/cc-ci-orch/.orch 0700 worker cc-ci - -",
    ]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_persons_command_is_for_this_instance(library: Path, tmp_path: Path) -> None:
    """Whatever their own environment is; what they set themselves wins."""
    done = _command(library, tmp_path, {})
    assert (done.returncode, done.stderr) == (0, "")
    origin = "environment"
    values = {
        line.split()[0]: line.split()[1] for line in done.stdout.splitlines() if origin in line
    }
    assert values["ORCH_ROOT"] == str(tmp_path / "root")
    assert values["ORCH_STATE"] == str(tmp_path / "state")
    assert values["ORCH_NAME"] == "second"
    assert values["ORCH_TMUX_SOCKET"] == "/run/second-tmux/socket"
    other = _command(library, tmp_path, {"ORCH_NAME": "third"})
    assert "third" in other.stdout


SCRIPT = "config.systemd.services.cc-ci-setup.script"
UNIT = "builtins.removeAttrs config.systemd.services.cc-ci-setup [ ''script'' ]"
RULES = "config.systemd.tmpfiles.rules"


def _root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    root.mkdir()
    return root


def _set_up(root: Path, options: str) -> subprocess.CompletedProcess[str]:
    """Run the setup's script, as systemd does."""
    whole = f"{{ enable = true; root = ''{root}''; programs = ''{REPO}''; {options} }}"
    script = machine(STAND_IN, whole, SCRIPT)
    return _run(script, {})


def _command(library: Path, folder: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """`second-launch config`, with this machine's `id` and Python in place of the store's."""
    (folder / "root").mkdir(exist_ok=True)
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    options = f"""{{
      enable = true; name = "second"; user = "{user}"; programs = "{REPO}";
      root = "{folder}/root"; state = "{folder}/state"; searchPath = "/usr/bin";
    }}"""
    wanted = "map (p: { inherit (p) pname seen; }) config.environment.systemPackages"
    found: list[dict[str, Any]] = machine(library, options, wanted)
    (text,) = (p["seen"]["text"] for p in found if p["pname"] == "second-launch")
    return _run(re.sub(r"/nix/store/[^/]*/bin/id", "id", text), env, "config")


def _run(script: str, env: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-eu", "-c", script, "launch", *argv],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
