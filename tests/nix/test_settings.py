"""settings become an orch.toml with the same values, and the program itself looks at it."""

from __future__ import annotations

import os
import random
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.nix.tool import LIBRARIES, REPO, evaluate, machine, needs_nix, text

pytestmark = needs_nix

TOML = f"import {REPO}/nix/toml.nix"
ORCH_TOML = "config.services.cc-ci-orch.configFile.seen"

ODD = [
    "",
    "plain",
    'quotes " and \\ backslashes',
    "two\nlines\r\n\tand a tab",
    "control \x01\x08\x0c\x1b\x7f",
    "é ❯ \U0001f600  ",
    "${not} #a comment = [x]",
    "'''",
    '"""',
]


def test_odd_texts_come_back() -> None:
    """As keys and as values, at the top and below."""
    document = {f"key {odd}": odd for odd in ODD}
    document |= {"list": ODD, "table": {f"key {odd}": {odd: odd} for odd in ODD}}
    assert _written([document]) == [document]


def test_any_settings_come_back() -> None:
    """Two hundred documents, made at random, of all that TOML and Nix both have."""
    chance = random.Random(7)
    documents = [_table(chance, 3) for _ in range(200)]
    assert _written(documents) == documents


def test_null_leaves_a_key_out() -> None:
    """So that a module can take back what another one set."""
    document = {"a": None, "b": {"c": None, "d": 1}, "e": [{"f": None, "g": 2}], "h": {"i": None}}
    assert _written([document]) == [{"b": {"d": 1}, "e": [{"g": 2}], "h": {}}]


def test_a_path_stays_where_it_is() -> None:
    """It is not copied to the store, where everybody could read it."""
    (written,) = evaluate(f"[ (({TOML}).text {{ claude_bin = /opt/claude; }}) ]")
    assert tomllib.loads(written) == {"claude_bin": "/opt/claude"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_settings_of_several_modules_are_one_file(library: Path) -> None:
    """They merge by key, and lib.mkForce and lib.mkDefault hold inside."""
    written = machine(
        library,
        "{ enable = true; settings = { work_branch = ''a''; watchdog.poll = ''5s''; }; }",
        ORCH_TOML,
        also="""({ lib, ... }: { services.cc-ci-orch.settings = {
          work_branch = lib.mkForce "b";
          watchdog = { poll = lib.mkDefault "9s"; log_keep = 7; };
        }; })""",
    )
    expected = {"work_branch": "b", "watchdog": {"poll": "5s", "log_keep": 7}}
    assert tomllib.loads(written["env"]["text"]) == expected


def test_the_program_accepts_what_it_reads(tmp_path: Path) -> None:
    """The build of orch.toml is the program's own look at it."""
    done, made = _build(
        """{
          loop_backend = "command";
          loop_command = "'/opt/my agent' {prompt_file}";
          role = [ { name = "reader"; prompt = "reader.md"; backend = "demo"; } ];
          watchdog = { poll = 0.5; stall_after = "1h30m"; max_restarts = 3; };
        }""",
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(made.read_text())["watchdog"]["poll"] == 0.5


def test_a_mistyped_key_ends_the_build(tmp_path: Path) -> None:
    """Not the next boot."""
    done, made = _build("{ watchdog.stal_after = ''1h''; }", tmp_path)
    assert done.returncode == 78
    assert "[watchdog] stal_after: unknown key" in done.stderr
    assert not made.exists()


def _written(documents: list[Any]) -> list[Any]:
    """The documents as nix/toml.nix writes and Python reads them."""
    written = evaluate(f"map ({TOML}).text {text(documents)}")
    return [tomllib.loads(document) for document in written]


def _build(settings: str, folder: Path) -> tuple[subprocess.CompletedProcess[str], Path]:
    """Run the build of orch.toml, with the program from here."""
    options = f"{{ enable = true; programs = ''{REPO}''; settings = {settings}; }}"
    seen = machine(LIBRARIES[0].values[0], options, ORCH_TOML)
    made = folder / "made"
    env = {"PATH": os.environ["PATH"], "text": seen["env"]["text"], "out": str(made)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", seen["text"]],
        env=env,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done, made


def _table(chance: random.Random, depth: int) -> dict[str, Any]:
    return {_word(chance): _value(chance, depth) for _ in range(chance.randrange(5))}


def _value(chance: random.Random, depth: int) -> Any:
    kind = chance.randrange(7 if depth else 5)
    if kind < 2:
        return _word(chance)
    if kind == 2:
        return chance.choice([True, False])
    if kind == 3:
        return chance.choice([0, 1, -1, 2**31, -(2**62), chance.randrange(10**6)])
    if kind == 4:
        return chance.choice([0.5, -2.25, 1e-3, 3.75])
    if kind == 5:
        return [_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return _table(chance, depth - 1)


def _word(chance: random.Random) -> str:
    letters = "ab-_ .\"'\\\n\té❯=#[]{},\x7f"
    return "".join(chance.choice(letters) for _ in range(chance.randrange(6)))
