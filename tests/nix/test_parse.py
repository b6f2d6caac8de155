"""Nix files are Nix."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nix.tool import REPO, needs_nix, nix

FILES = sorted([REPO / "flake.nix", *REPO.glob("nix/**/*.nix"), *REPO.glob("tests/nix/**/*.nix")])


@needs_nix
@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(REPO)))
def test_every_file_parses(file: Path) -> None:
    """Also those that no other test evaluates."""
    done = nix("nix-instantiate", "--parse", str(file))
    assert done.returncode == 0, done.stderr
