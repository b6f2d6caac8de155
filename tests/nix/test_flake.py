"""The flake's outputs, by the real `nix flake`, with a stand-in for nixpkgs."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cc_ci_orch import __version__
from tests.nix.tool import REPO, STAND_IN, needs_nix, nix

pytestmark = needs_nix

SYSTEMS = ("aarch64-linux", "x86_64-linux")
SHIPPED = ("flake.nix", "nix", "systemd", "cc_ci_orch", "plan", "prompts", "docs", "pyproject.toml",
           "README.md", "AGENTS.md", "LICENSE", "launch.py", "launch.sh", "tests/nix")  # fmt: skip


class Flake:
    """A copy of what the flake needs, with a store of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source = folder / "source"
        for name in (*SHIPPED, *(path.name for path in REPO.glob("launch-*"))):
            copy = shutil.copytree if (REPO / name).is_dir() else shutil.copy
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            copy(REPO / name, self.source / name)

    def __call__(self, *argv: str, at: str = "") -> str:
        done = nix(
            *("nix", "--extra-experimental-features", "nix-command flakes", "--offline"),
            *("--store", str(self.folder / "store"), *argv, f"path:{self.source}{at}"),
            *("--no-write-lock-file", "--override-input", "nixpkgs", f"path:{STAND_IN}"),
            home=self.folder,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def value(self, attribute: str) -> Any:
        return json.loads(self("eval", "--json", at=f"#{attribute}"))


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flake]:
    folder = tmp_path_factory.mktemp("flake")
    yield Flake(folder)
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)  # a store is read-only
    shutil.rmtree(folder)


def test_the_outputs_are_these(flake: Flake) -> None:
    """Package, checks and shell for both kinds of machines, the module, the host."""
    shown = json.loads(flake("flake", "show", "--json"))
    assert _names(shown) == {
        *(f"packages.{system}.default" for system in SYSTEMS),
        *(f"devShells.{system}.default" for system in SYSTEMS),
        *(f"checks.{system}.{check}" for system in SYSTEMS for check in ("module", "package")),
        "nixosModules.default",
        "nixosConfigurations.cc-ci-orchestrator-hetzner",
    }


def test_nix_finds_nothing_wrong(flake: Flake) -> None:
    """`nix flake check` evaluates them all, the host with its assertions too."""
    flake("flake", "check", "--no-build")


def test_the_package_has_the_programs_version_and_tools(flake: Flake) -> None:
    """One version, and a tmux and a git wherever it runs."""
    package = flake.value("packages.x86_64-linux.default.seen")
    assert package["version"] == __version__
    assert package["pyproject"] is True
    assert [name for name in ("-tmux-", "-git-") if name in package["makeWrapperArgs"][-1]] == [
        "-tmux-",
        "-git-",
    ]
    main = flake.value("packages.x86_64-linux.default.meta.mainProgram")
    assert main in tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["scripts"]


def test_the_packages_source_is_whole(flake: Flake, tmp_path: Path) -> None:
    """What is left out of it is not missed: the program runs, and what is installed is there."""
    seen = flake.value("packages.x86_64-linux.default.seen")
    source = flake.folder / "store" / seen["src"].removeprefix("/")
    ran = subprocess.run(
        [sys.executable, "-B", source / "launch.py", "version"], capture_output=True, text=True
    )
    assert ran.stdout == f"cc-ci-orch {__version__}\n"
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    assert all((source / name).is_file() for name in (project["readme"], *project["license-files"]))
    assert not (source / "tests").exists()

    out = tmp_path / "out"
    done = subprocess.run(
        [
            "bash",
            "-euo",
            "pipefail",
            "-c",
            f"makeWrapper() {{ echo wrap $2; }}\n{seen['postInstall']}",
        ],
        env={"PATH": "/usr/bin:/bin", "out": str(out)},
        cwd=source,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    share = out / "share" / "cc-ci-orch"
    launchers = sorted(path.stem for path in source.glob("launch*.py"))
    wrapped = sorted(f"wrap {share}/{name}.sh" for name in launchers)
    assert sorted(done.stdout.splitlines()) == wrapped
    for name in ("plan/phases.toml", "prompts/builder.md", "docs/operations.md", "AGENTS.md"):
        assert (share / name).is_file()


def test_the_test_on_a_vm_is_a_python_script(flake: Flake) -> None:
    """It needs KVM and nixpkgs, so only its syntax and the names in it are looked at here."""
    script = flake.value("checks.x86_64-linux.module.seen.testScript")
    loops = (REPO / "systemd" / "cc-ci-loops.service").read_text()
    ast.parse(script)
    assert "cc-ci-loops.service" in script
    assert "/opt/cc-ci-orch" in script and "/opt/cc-ci-orch" in loops


def _names(shown: dict[str, Any], prefix: str = "") -> set[str]:
    if "type" in shown:
        return {prefix.removesuffix(".")}
    return {name for key, below in shown.items() for name in _names(below, f"{prefix}{key}.")}
