"""The module and `launch.sh install` make the same units for the same machine."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from cc_ci_orch.units import TEXTS, Place, file_name, render
from tests.nix.tool import LIBRARIES, REPO, machine, needs_nix

pytestmark = needs_nix

PLACES = [
    Place(),
    Place(name="second-1"),
    Place(user="worker", group="workers", home="/data/worker"),
    Place(program="/srv/program", root="/srv/instance", state="/var/lib/orch"),
    Place(root="/home/worker/o", state="/home/worker/o/.orch", home="/home/worker"),
    Place(path="/run/wrappers/bin:/nix/store/x-y_1.0+b/bin", socket="/run/user/1000/s"),
    Place(
        name="x",
        state="/opt/cc-ci-orch/elsewhere",
        settings={
            "LOOP_COMMAND": "'/a b/agent' \"{prompt_file}\" 100% \\ $HOME #x",
            "EMPTY": "",
            "LANG": "de_DE.UTF-8",
            "NOTIFY_COMMAND": "tell é",
            "ORCH_POLL": "5s",
        },
    ),
    Place(name="cc-ci-tmux", root="/opt/cc-ci-orch/launch", state="/opt/cc-ci-orch/launch/.orch"),
]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_the_same_units(library: Path, place: Place) -> None:
    """Byte for byte, with their names; what differs is only where the values come from."""
    shipped = {name: (REPO / "systemd" / name).read_text() for name in TEXTS}
    place = dataclasses.replace(place, settings=dict(sorted(place.settings.items())))
    expected = {file_name(name, place): render(text, place) for name, text in shipped.items()}
    texts = "builtins.mapAttrs (_: unit: unit.text) config.systemd.units"
    assert machine(library, _options(place), texts) == expected


def _options(place: Place) -> str:
    """The module's options for a machine as the installer has it."""
    values = {
        **{
            name: getattr(place, name)
            for name in ("name", "user", "group", "home", "root", "state")
        },
        "programs": place.program,
        "socket": place.tmux_socket,
        "searchPath": place.path,
    }
    lines = [f"{name} = {_text(value)};" for name, value in values.items()]
    lines += [f"environment.{_text(n)} = {_text(v)};" for n, v in place.settings.items()]
    return f"{{ enable = true; {' '.join(lines)} }}"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")
