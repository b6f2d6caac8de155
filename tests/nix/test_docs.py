"""docs/nixos.md says what the module has."""

from __future__ import annotations

import re

from tests.nix.table import table
from tests.nix.tool import LIBRARIES, REPO, machine, needs_nix

pytestmark = needs_nix

PAGE = (REPO / "docs" / "nixos.md").read_text()


def test_the_table_of_options_is_the_modules() -> None:
    """`.venv/bin/python -m tests.nix.table` prints it anew."""
    assert table() in PAGE


def test_the_examples_are_machines() -> None:
    """Each Nix module on the page evaluates, and nothing is refused."""
    examples = re.findall(r"```nix\n(.*?)```", PAGE, re.DOTALL)
    modules = [text for text in examples if "services.cc-ci-orch" in text and "inputs" not in text]
    assert modules
    for module in modules:
        wanted = "map (a: a.message) (builtins.filter (a: !a.assertion) config.assertions)"
        assert machine(LIBRARIES[0].values[0], "{ }", wanted, also=f"({module})") == []
