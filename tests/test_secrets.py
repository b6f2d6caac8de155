"""`.testenv`, and the mask over all that is written."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cc_ci_orch.errors import ConfigError
from cc_ci_orch.secrets import STARS, Mask, in_url, parse, read

NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
VALUES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("\n  \n# comment = 1\n   # another", {}),
        ("A=b", {"A": "b"}),
        ("export A=b\n  export  B=c\r\n", {"A": "b", "B": "c"}),
        ("A=", {"A": ""}),
        ("A= # none", {"A": ""}),
        ("A=b # comment", {"A": "b"}),
        ("A=b#c", {"A": "b#c"}),
        ("A=#b", {"A": "#b"}),
        ("A='b # c' # d", {"A": "b # c"}),
        ("A= b", {"A": "b"}),
        ("A=b c  ", {"A": "b c"}),
        ("A=$HOME", {"A": "$HOME"}),
        ("A=b=c==", {"A": "b=c=="}),
        (r"A='b\n$c'", {"A": r"b\n$c"}),
        (r'A="b\"\\\$c\n"', {"A": r'b"\$c\n'}),
        ("A='one\ntwo'\nB=c", {"A": "one\ntwo", "B": "c"}),
        ("A=b\nA=c", {"A": "c"}),
    ],
)
def test_assignments_read_as_written(text: str, expected: dict[str, str]) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A=b\nnonsense-secret", 2),
        ("A='hunter22", 1),
        ('\n\nA="hunter22', 3),
        ("A='hunter22' more", 1),
        ("A=it's-hunter22", 1),
        ("1A=hunter22", 1),
        ("A =hunter22", 1),
        ("=hunter22", 1),
        ("A='x\ny'\nhunter22", 3),
        ("A=hunter22\0", 1),
    ],
)
def test_a_line_that_cannot_be_read_is_named_without_its_text(text: str, line: int) -> None:
    with pytest.raises(ValueError, match=f"^line {line}: ") as caught:
        parse(text)
    assert ("hunter22" in str(caught.value), "nonsense" in str(caught.value)) == (False, False)


@given(st.dictionaries(NAMES, VALUES, max_size=4), st.booleans())
def test_quoted_values_come_back(values: dict[str, str], single: bool) -> None:
    """Whatever the value, there is a way to write it down."""
    lines = []
    for name, value in values.items():
        if single:
            assume("'" not in value)
            lines.append(f"{name}='{value}'")
        else:
            escaped = "".join(f"\\{c}" if c in '"\\$`' else c for c in value)
            lines.append(f'export {name}="{escaped}"  # comment')
    assert parse("\n".join(lines)) == values


@given(st.text(alphabet="AB= '\"\\#\n$x", max_size=30))
def test_any_text_is_parsed_or_refused_by_line(text: str) -> None:
    try:
        assert all(name.isidentifier() for name in parse(text))
    except ValueError as error:
        assert str(error).startswith("line ")


@settings(max_examples=20, deadline=None)
@given(st.text(alphabet="ab'\"\\#$` =", max_size=12))
def test_a_quoted_value_means_what_it_means_to_the_shell(value: str) -> None:
    """A file that people also `source` has one meaning."""
    escaped = "".join(f"\\{c}" if c in '"\\$`' else c for c in value)
    text = f'A="{escaped}"\n'
    shell = subprocess.run(["sh", "-c", f'{text}printf %s "$A"'], capture_output=True, check=True)
    assert parse(text)["A"] == shell.stdout.decode() == value


# ------------------------------------------------------------------------------- the file


@pytest.fixture
def testenv(tmp_path: Path) -> Path:
    path = tmp_path / ".testenv"
    path.write_text("TOKEN=hunter22\n")
    path.chmod(0o600)
    return path


def test_no_file_is_fine(tmp_path: Path) -> None:
    assert read(tmp_path / ".testenv") == {}


def test_a_private_file_is_read(testenv: Path) -> None:
    assert read(testenv) == {"TOKEN": "hunter22"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o601])
def test_a_file_that_others_can_get_at_is_refused(testenv: Path, mode: int) -> None:
    testenv.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read(testenv)
    assert caught.value.hint == f"chmod 600 {shlex.quote(str(testenv))}"


def test_a_file_that_cannot_be_parsed_is_refused_by_its_line(testenv: Path) -> None:
    testenv.write_bytes(b"A=b\nB=\xffhunter22\n")
    with pytest.raises(ConfigError, match="line 2: not UTF-8") as caught:
        read(testenv)
    assert "hunter22" not in caught.value.message


def test_a_pipe_does_not_hang_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".testenv", 0o600)
    with pytest.raises(ConfigError, match="no file"):
        read(tmp_path / ".testenv")


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a file away")
def test_another_users_file_is_refused(testenv: Path) -> None:
    os.chown(testenv, 12345, -1)
    with pytest.raises(ConfigError, match="another user"):
        read(testenv)


# ------------------------------------------------------------------------------- the mask


def test_the_longest_secret_is_hidden_first() -> None:
    """A secret that begins with another must not show its end."""
    assert Mask(["password", "password-two"])("password-two password") == f"{STARS} {STARS}"


def test_short_values_are_not_masked() -> None:
    assert Mask(["1234567", ""])("1234567") == "1234567"


def test_a_mask_without_secrets_changes_nothing() -> None:
    assert Mask([])("text") == "text"


def test_each_line_of_a_secret_of_several_lines_is_hidden() -> None:
    mask = Mask(["-----BEGIN-----\nabcdefghij\n-----END-----"])
    assert mask("  abcdefghij") == f"  {STARS}"


def test_the_mask_does_not_show_what_it_hides() -> None:
    assert "hunter22" not in repr(Mask(["hunter22"]))


def test_a_json_value_stays_json() -> None:
    """A secret of digits alone is hidden in texts; a number stays a number."""
    masked = Mask(["12345678"]).within({"pid": 12345678, "t": ["a 12345678", None], "12345678": 1})
    assert masked == {"pid": 12345678, "t": [f"a {STARS}", None], STARS: 1}


@given(VALUES.filter(lambda v: len(v) >= 8), VALUES, st.booleans())
def test_no_text_shows_a_secret(secret: str, before: str, ascii: bool) -> None:
    """Neither plain nor as it stands in JSON."""
    assume(not set(secret) & set("*" + before))
    mask = Mask([secret])
    assert secret not in mask(before + secret)
    line = mask(json.dumps({"a": before + secret}, ensure_ascii=ascii))
    assert json.dumps(secret, ensure_ascii=ascii)[1:-1] not in line


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://me:hunter22@host/x", ["hunter22", "hunter22"]),
        ("https://ghp_token@host/x", ["ghp_token", "ghp_token"]),
        ("https://me:a%2Fb@host/x", ["a%2Fb", "a/b"]),
        ("ssh://git@host/x", []),
        ("git@host:x.git", []),
        ("https://host/t?auth=abc", ["abc"]),
        ("https://[bad", []),
    ],
)
def test_what_of_an_address_is_secret(url: str, secret: list[str]) -> None:
    assert in_url(url) == secret
