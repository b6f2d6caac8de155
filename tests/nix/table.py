"""The module's options as docs/nixos.md has them: `.venv/bin/python -m tests.nix.table`."""

from __future__ import annotations

from typing import Any

from tests.nix.tool import LIBRARIES, machine

_FLAT = """
let
  flat = prefix: tree: builtins.concatLists (lib.mapAttrsToList (name: option:
    if (option._type or null) != "option" then flat "${prefix}${name}." option
    else if option.internal or false then [ ]
    else [ {
      name = prefix + name;
      default = option.defaultText.text or (if option ? default then show option.default else "");
      inherit (option) description;
    } ]) tree);
  show = value: if value == { } then "{ }" else if value == [ ] then "[ ]"
    else builtins.toJSON value;
in
flat "" options.services.cc-ci-orch
"""


def table() -> str:
    """One row an option, in their order by name."""
    options: list[dict[str, Any]] = machine(LIBRARIES[0].values[0], "{ }", _FLAT)
    rows = [f"| `{o['name']}` | {_default(o['default'])} | {o['description']} |" for o in options]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n"


def _default(text: str) -> str:
    if not text:
        return "read-only"
    return text if text.startswith("the ") else f"`{text}`"


if __name__ == "__main__":
    print(table(), end="")
