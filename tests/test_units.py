"""The units: valid as they stand, made for a machine by replacing whole values, hardened."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch import installed, units
from cc_ci_orch.units import Place

FOLDER = Path(__file__).parent.parent / "systemd"

ODD = Place(
    user="o'dd",
    group="dd",
    home="/home/o dd",
    program="/srv/it's 100% \N{LATIN SMALL LETTER E WITH ACUTE}$HOME",
    root='/srv/root "50%"',
    state="/srv/state\\here",
    name="odd",
    path="/a b:/usr/bin",
    settings={"LOOP_COMMAND": '/bin/sh "a b" %h $HOME \'', "ORCH_POLL": "1s"},
)

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze here"
)


def texts() -> dict[str, str]:
    return {name: (FOLDER / name).read_text(encoding="utf-8") for name in units.TEXTS}


def test_every_unit_of_the_folder_is_known() -> None:
    there = {path.name for path in FOLDER.iterdir() if path.name != "README.md"}
    assert there == set(units.TEXTS)


@pytest.mark.parametrize("name", units.TEXTS)
def test_for_the_machine_of_the_texts_nothing_is_replaced(name: str) -> None:
    """So the installer, NixOS and whoever copies the files have the same units."""
    assert units.render(texts()[name], Place()) == texts()[name]
    assert units.file_name(name, Place()) == name


@pytest.mark.parametrize("name", units.TEXTS)
def test_nothing_of_the_texts_own_machine_is_left_on_another(name: str) -> None:
    text = units.render(texts()[name], ODD)
    effective = [line for line in text.splitlines() if not line.startswith("#")]
    left = [line for line in effective if "/opt/cc-ci" in line or "cc-ci-" in line]
    assert [line for line in left if "cc-ci-orch" not in line.partition("#")[2]] == []


def test_what_a_unit_sets_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Blanks, quotes, percent signs, dollars, backslashes, letters beyond ASCII."""
    path = tmp_path / "odd-loops.service"
    path.write_text(units.render(texts()["cc-ci-loops.service"], ODD), encoding="utf-8")
    unit = installed.read(path)
    assert unit.user == ODD.user
    expected = {
        **ODD.settings,
        "ORCH_ROOT": ODD.root,
        "ORCH_STATE": ODD.state,
        "ORCH_NAME": "odd",
        "ORCH_TMUX_SOCKET": "/run/odd-tmux/socket",
        "ORCH_TMUX_EXTERNAL": "1",
        "PATH": ODD.path,
    }
    assert {name: unit.settings[name] for name in expected} == expected


@given(st.text(st.characters(exclude_categories=("Cs", "Cc"))))
def test_a_quoted_word_is_one_word_with_that_content(text: str) -> None:
    assert list(installed.words(units._word(f"A={text}"))) == [f"A={text}"]


def test_a_unit_counts_only_for_its_own_instance(tmp_path: Path) -> None:
    """The same name and the same state folder, also through a link."""
    place = replace(Place(), state=str(tmp_path / "state"))
    text = units.render(texts()["cc-ci-loops.service"], place)
    (tmp_path / "cc-ci-loops.service").write_text(text)
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    found = installed.find("cc-ci", tmp_path / "link", (tmp_path / "none", tmp_path))
    assert found is not None
    assert found.name == "cc-ci-loops.service"
    assert installed.find("cc-ci", tmp_path / "other", (tmp_path,)) is None
    assert installed.find("odd", tmp_path / "state", (tmp_path,)) is None


def with_programs(text: str, folder: Path) -> str:
    """The unit, with programs that are there: systemd looks for them."""
    return re.sub(r"/opt/cc-ci-orch/launch[a-z-]*\.sh", "/bin/true", text)


@needs_systemd
@pytest.mark.parametrize("place", [Place(), replace(ODD, program="/opt/cc-ci-orch", user="root")])
@pytest.mark.parametrize("name", units.TEXTS)
def test_systemd_takes_them(name: str, place: Place, tmp_path: Path) -> None:
    """`systemd-analyze verify` has nothing to say; plain, it exits with 0 on an unknown key."""
    path = tmp_path / units.file_name(name, place)
    path.write_text(with_programs(units.render(texts()[name], place), tmp_path))
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    # The service beside a timer is looked for where units are installed.
    said = [line for line in done.stderr.splitlines() if "upgrader.service" not in line]
    assert [line for line in said if path.name in line or str(tmp_path) in line] == []
    assert done.returncode == 0 or name.endswith(".timer")


@needs_systemd
def test_systemd_would_say_what_is_wrong(tmp_path: Path) -> None:
    """The check above can fail."""
    path = tmp_path / "cc-ci-loops.service"
    path.write_text(with_programs(texts()[path.name], tmp_path) + "[Service]\nNoSuchKey=1\n")
    argv = ["systemd-analyze", "verify", "--recursive-errors=no", "--man=no", str(path)]
    assert "NoSuchKey" in subprocess.run(argv, capture_output=True, text=True, check=False).stderr


@needs_systemd
def test_the_supervisor_is_exposed_to_little(tmp_path: Path) -> None:
    """Under 3.0 of 10 by systemd's own account."""
    path = tmp_path / "cc-ci-loops.service"
    path.write_text(with_programs(texts()[path.name], tmp_path))
    argv = ["systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold=30"]
    done = subprocess.run([*argv, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-300:]
    assert "Overall exposure" in done.stdout


def test_a_rebuild_of_nixos_leaves_what_runs() -> None:
    for name in units.BOOT:
        assert "\nX-RestartIfChanged=false\nX-StopIfChanged=false\n" in texts()[name]
