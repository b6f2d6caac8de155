"""Nix as the tests call it: an evaluator without a daemon, and two libraries.

`LIBRARIES` are the stand-in of `tests/nix/nixpkgs`, which is always there, and nixpkgs' own where
`NIXPKGS_LIB` names its folder `lib`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

REPO = Path(__file__).resolve().parents[2]
STAND_IN = REPO / "tests" / "nix" / "nixpkgs"
REAL = os.environ.get("NIXPKGS_LIB")

needs_nix = pytest.mark.skipif(
    not shutil.which("nix-instantiate"),
    reason="no Nix evaluator; install it with: sudo apt-get install -y nix-bin",
)
LIBRARIES = [
    pytest.param(STAND_IN / "lib.nix", id="stand-in"),
    pytest.param(
        Path(REAL or "."),
        id="nixpkgs",
        marks=pytest.mark.skipif(
            not REAL, reason="nixpkgs' own library: set NIXPKGS_LIB to its folder lib"
        ),
    ),
]


def nix(*argv: str, home: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A Nix command that neither asks the network nor writes outside of `home`."""
    env = {"PATH": os.environ["PATH"], "HOME": str(home or "/nonexistent"), "LANG": "C.UTF-8"}
    return subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )


def evaluate(expression: str) -> Any:
    """The value of an expression, all of it."""
    done = nix(
        *("nix-instantiate", "--store", "dummy://", "--eval", "--strict", "--json"),
        *("--expr", expression),
    )
    if done.returncode:
        raise AssertionError(done.stderr)
    return json.loads(done.stdout)


def text(value: object) -> str:
    """A value as a Nix expression."""
    literal = json.dumps(json.dumps(value)).replace("${", "\\${")
    return f"(builtins.fromJSON {literal})"


def machine(library: Path, module: str, wanted: str, *, also: str = "") -> Any:
    """`wanted` of a machine's `config`, where `module` is `services.cc-ci-orch`."""
    return evaluate(
        f"""
        let
          lib = import {library};
          evaluated = import {STAND_IN}/nixos-system.nix {{ inherit lib; }} {{
            modules = [
              {REPO}/nix/module.nix
              ({{ pkgs, lib, ... }}: {{ services.cc-ci-orch = {module}; }})
              {also}
            ];
          }};
          inherit (evaluated) config options;
        in
        {wanted}
        """
    )
