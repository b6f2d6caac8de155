"""Settings: where they come from, which one wins, and what is refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cc_ci_orch import places, values
from cc_ci_orch.config import Config, load
from cc_ci_orch.core.policy import Policy
from cc_ci_orch.errors import ConfigError
from cc_ci_orch.settings import SETTINGS, Setting, page

Load = Callable[..., Config]


@pytest.fixture
def read(tmp_path: Path) -> Load:
    """Load the instance in tmp_path, with this orch.toml and these variables."""

    def read(toml: str | None = None, **env: str) -> Config:
        if toml is not None:
            (tmp_path / "orch.toml").write_text(toml, encoding="utf-8")
        return load(env, tmp_path)

    return read


def refusal(read: Load, toml: str | None = None, **env: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(toml, **env)
    assert caught.value.exit_code == 78
    return caught.value


# -------------------------------------------------------------------------------- defaults


def test_a_fresh_machine_has_no_settings_at_all(read: Load, tmp_path: Path) -> None:
    """With nothing set, every setting has the default that the contract states."""
    config = read()
    assert (config.root, config.state) == (tmp_path, tmp_path / ".orch")
    assert (config.name, config.identity, config.branch) == ("cc-ci", "cc-ci", "main")
    assert config.socket == Path(f"/tmp/tmux-{os.getuid()}/cc-ci")
    assert config.policy == Policy()
    assert [(r.name, r.backend, r.model, r.prompt) for r in config.roles] == [
        ("builder", "claude", None, "builder.md"),
        ("adversary", "claude", None, "adversary.md"),
    ]
    assert config.repo is None
    assert {origin for _, _, origin in config.rows()} == {"default"}
    assert config.warnings == ()


def test_every_setting_has_a_row(read: Load) -> None:
    """The rows name each setting of the table once, in its order."""
    assert [name for name, _, _ in read().rows()] == [s.name for s in SETTINGS]


def test_the_page_of_the_settings_is_up_to_date() -> None:
    """docs/settings.md is what `settings.page()` makes."""
    docs = Path(__file__).parent.parent / "docs" / "settings.md"
    assert docs.read_text(encoding="utf-8") == page()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: s.name)
def test_help_texts_are_lower_case_without_a_full_stop(setting: Setting) -> None:
    assert (setting.help[0].isupper(), setting.help.endswith(".")) == (False, False)


# ------------------------------------------------------------------------------ precedence


def test_the_environment_wins_over_the_file_wins_over_the_default(read: Load) -> None:
    """Each setting names the place that decided it."""
    toml = 'work_branch = "next"\norch_name = "two"\n[watchdog]\npoll = "7s"'
    rows = {name: (value, origin) for name, value, origin in read(toml, ORCH_NAME="one").rows()}
    assert rows["ORCH_NAME"] == ("one", "environment")
    assert rows["WORK_BRANCH"] == ("next", "orch.toml")
    assert rows["ORCH_POLL"] == ("7s", "orch.toml")
    assert rows["ORCH_STALL_AFTER"] == ("15m", "default")


def test_an_empty_variable_counts_as_unset(read: Load) -> None:
    config = read('loop_backend = "demo"', LOOP_BACKEND="", ORCH_POLL=" ")
    assert {role.backend for role in config.roles} == {"demo"}
    assert config.policy.poll == Policy().poll


@pytest.mark.parametrize("what", ["backend", "model"])
def test_loop_wins_over_the_role_wins_over_its_table(read: Load, what: str) -> None:
    """The first that is set counts, wherever it is set: LOOP_, <ROLE>_, [[role]], default."""
    table = f'[[role]]\nname = "code-reader"\nprompt = "r.md"\n{what} = "demo"\n'
    own = {f"CODE_READER_{what.upper()}": "opencode"}

    def reader(toml: str, **env: str) -> str | None:
        role = read(toml, **env).role("code-reader")
        assert role
        return role.backend if what == "backend" else role.model

    assert reader(f'loop_{what} = "claude"\n{table}', **own) == "claude"
    assert reader(table, **own) == "opencode"
    assert reader(f'code_reader_{what} = "opencode"\n{table}') == "opencode"
    assert reader(table) == "demo"


def test_the_adversary_works_with_another_model(read: Load) -> None:
    config = read(BUILDER_MODEL="large", ADVERSARY_MODEL="other", UPGRADER_BACKEND="opencode")
    assert [role.model for role in config.roles] == ["large", "other"]
    assert (config.upgrader.backend, config.orchestrator.backend) == ("opencode", "claude")


def test_a_row_of_a_role_says_that_loop_backend_decided(read: Load) -> None:
    rows = {row[0]: row[1:] for row in read(LOOP_BACKEND="demo", BUILDER_BACKEND="claude").rows()}
    assert rows["BUILDER_BACKEND"] == ("demo", "environment (LOOP_BACKEND)")


# ------------------------------------------------------------------------------- orch.toml


def test_a_whole_orch_toml_is_taken(read: Load) -> None:
    """Every form that a value can have there: strings, bare numbers, booleans, arrays."""
    config = read(
        """
        resume_phase = true
        orch_roles = ["builder", "scribe"]
        loop_backend = "command"
        loop_command = "agent {prompt_file}"
        [watchdog]
        poll = 0.5
        stall_after = "1h30m"
        max_restarts = 0
        log_max = "64KiB"
        [[role]]
        name = "scribe"
        prompt = "scribe.md"
        """
    )
    assert config.resume_phase is True
    assert [(r.name, r.prompt, r.has_turn) for r in config.roles] == [
        ("builder", "builder.md", True),
        ("scribe", "scribe.md", False),
    ]
    policy = config.policy
    assert (policy.poll, policy.stall_after) == (0.5, 5400.0)
    assert (policy.max_restarts, policy.log_max) == (0, 65536)


@pytest.mark.parametrize(
    ("toml", "key", "accepted", "hint"),
    [
        ('loop_backnd = "demo"', "loop_backnd", "loop_backend", "did you mean loop_backend?"),
        ("[watchdog]\nstal_after = 3", "[watchdog] stal_after", "stall_after", "stall_after"),
        ("poll = 3", "poll", "loop_backend", "[watchdog] poll"),
        ("stall_after = 3", "stall_after", "loop_backend", "[watchdog] stall_after"),
        ("orch_stall_after = 3", "orch_stall_after", "", "[watchdog] stall_after"),
        ('[watchdog]\nloop_model = "x"', "loop_model", "poll", "at the top"),
        ('orch_root = "/x"', "orch_root", "set ORCH_ROOT", None),
        ('loop_backend = "codex"', "loop_backend", "claude, opencode, command, demo", None),
        ("loop_backend = 3", "loop_backend", "claude, opencode", None),
        ("resume_phase = 2", "resume_phase", "1 or 0", None),
        ('work_branch = ""', "work_branch", "branch", None),
        ('work_branch = "a\\u001bb"', "work_branch", "branch", None),
        ("watchdog = 3", "watchdog", "[watchdog]", None),
        ("[watchdog]\npoll = true", "[watchdog] poll", "15m", None),
        ("[watchdog]\npoll = nan", "[watchdog] poll", "15m", None),
        ("[watchdog]\npoll = inf", "[watchdog] poll", "15m", None),
        ("[watchdog]\npoll = -1", "[watchdog] poll", "15m", None),
        ("[watchdog]\npoll = 0", "[watchdog] poll", "more than 0", None),
        ("[watchdog]\nmax_restarts = 1.5", "[watchdog] max_restarts", "whole number", None),
        ("[watchdog]\npoll = 2001-01-01", "[watchdog] poll", "15m", None),
        ("role = 3", "role", "[[role]]", None),
        ('[role]\nname = "x"', "role", "[[role]]", None),
        ('[[role]]\nname = "x"', "[[role]] 1 prompt", "prompts/", None),
        ('[[role]]\nprompt = "x.md"', "[[role]] 1 name", "a-z", None),
        ('[[role]]\nname = "x"\nprompt = "x.md"\nmodle = "m"', "modle", "model", "mean model?"),
        ('[[role]]\nname = "X"\nprompt = "x.md"', "[[role]] 1 name", "lower-case", None),
        ('[[role]]\nname = "watchdog"\nprompt = "x.md"', "[[role]] 1 name", "any name but", None),
        ('[[role]]\nname = "loop"\nprompt = "x.md"', "[[role]] 1 name", "any name but", None),
        ('[[role]]\nname = "builder"\nprompt = "x.md"', "[[role]] 1 name", "named twice", None),
        ('[[role]]\nname = "x"\nprompt = "../x.md"', "[[role]] 1 prompt", "prompts/", None),
        ('[[role]]\nname = "x"\nprompt = "/x.md"', "[[role]] 1 prompt", "prompts/", None),
        ('[[role]]\nname = "x"\nprompt = ".."', "[[role]] 1 prompt", "prompts/", None),
        ('[[role]]\nname = "x"\nprompt = "x"\nbackend = "y"', "backend", "claude, open", None),
        ('orch_roles = ["builder", 3]', "orch_roles", "names", None),
        ('orch_roles = "bilder"', "orch_roles", "builder, adversary", "did you mean builder?"),
        ('loop_command = "x {promt}"', "loop_command", "{prompt_file}", None),
        ('notify_command = "\'x"', "notify_command", "like a shell", None),
        ("this is no toml", "no TOML", "", None),
        ("a = " + "[" * 5000, "no TOML", "", None),
        ("start_phase = " + "9" * 5000, "", "", None),
    ],
)
def test_a_mistake_in_orch_toml_is_refused(
    read: Load, tmp_path: Path, toml: str, key: str, accepted: str, hint: str | None
) -> None:
    """The message names the file, the key and what is accepted; a hint names what was meant."""
    error = refusal(read, toml)
    assert str(tmp_path / "orch.toml") in error.message
    assert key in error.message
    assert accepted in error.message
    assert (hint or "") in (error.hint or "")


def test_two_roles_of_one_name_are_refused(read: Load) -> None:
    role = '[[role]]\nname = "scribe"\nprompt = "s.md"\n'
    assert "'scribe' is named twice" in refusal(read, role * 2).message


def test_an_orch_toml_that_is_a_folder_or_no_text_is_refused(read: Load, tmp_path: Path) -> None:
    file = tmp_path / "orch.toml"
    file.write_bytes(b"a = '\xff'")
    assert str(file) in refusal(read).message
    file.unlink()
    file.mkdir()
    assert str(file) in refusal(read).message


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_whatever_stands_in_orch_toml_it_is_taken_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    """No content of the file leads to anything but a Config or a ConfigError."""
    root = tmp_path_factory.getbasetemp()
    (root / "orch.toml").write_bytes(content)
    try:
        load({}, root)
    except ConfigError as error:
        assert str(root / "orch.toml") in error.message


# ----------------------------------------------------------------------------- environment


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ORCH_NAME", "Two"),
        ("ORCH_NAME", "a" * 33),
        ("ORCH_NAME", "a\nb"),
        ("ORCH_NAME", "-a"),
        ("WORK_IDENTITY", "a b"),
        ("WORK_REPO", "--upload-pack=x"),
        ("WORK_BRANCH", "-f"),
        ("WORK_BRANCH", "a..b"),
        ("WORK_BRANCH", "a b"),
        ("LOOP_BACKEND", "cluade"),
        ("BUILDER_MODEL", "--help"),
        ("RESUME_PHASE", "maybe"),
        ("START_PHASE", "../1"),
        ("OPENCODE_URL", "ftp://x"),
        ("OPENCODE_URL", "http://x:99999/"),
        ("OPENCODE_URL", "http://"),
        ("CLAUDE_BIN", "-x"),
        ("ORCH_ROLES", ","),
        ("ORCH_ROLES", "builder,upgrader"),
        ("LOOP_COMMAND", "a 'b"),
        ("LOOP_COMMAND_RESUME", "a {"),
        ("NOTIFY_COMMAND", "''"),
        ("ORCH_POLL", "0"),
        ("ORCH_POLL", "5x"),
        ("ORCH_STALL_AFTER", "0"),
        ("ORCH_LOG_MAX", "16MB"),
        ("ORCH_MAX_RESTARTS", "-1"),
    ],
)
def test_a_variable_that_makes_no_sense_is_refused(read: Load, name: str, value: str) -> None:
    """The message names the variable and what is accepted."""
    message = refusal(read, **{name: value}).message
    assert (f": {name}: " in message, "accepted: " in message) == (True, True)


def test_a_refused_address_is_not_repeated(read: Load) -> None:
    """A password can stand in it."""
    assert "hunter22" not in refusal(read, NOTIFY_URL="https://me:hunter22@host:port/").message


def test_a_typo_in_a_variable_is_a_warning(read: Load) -> None:
    """Another program's variable must not keep the instance from starting; ours are known."""
    config = read(ORCH_STAL_AFTER="5", ORCH_ROLE="builder", ORCH_ACTIVITY_FILE="/x")
    assert config.warnings == ("ORCH_STAL_AFTER is no setting; did you mean ORCH_STALL_AFTER?",)


def test_start_phase_and_resume_phase_contradict_each_other(read: Load) -> None:
    message = refusal(read, "resume_phase = true", START_PHASE="2").message
    assert "START_PHASE (environment) and RESUME_PHASE (orch.toml)" in message
    assert read("", START_PHASE="2", RESUME_PHASE="0").start_phase == "2"


def test_the_command_backend_needs_a_command(read: Load) -> None:
    """Only where a session that this instance may start has that backend."""
    assert "adversary" in refusal(read, ADVERSARY_BACKEND="command").message
    assert "upgrader" in refusal(read, LOOP_BACKEND="command").message
    read(ADVERSARY_BACKEND="command", ORCH_ROLES="builder")
    assert read(ADVERSARY_BACKEND="command", LOOP_COMMAND="agent").loop_command


def test_the_roles_to_run_can_be_chosen(read: Load) -> None:
    """Commas or spaces, in any order, each once."""
    for text in ("adversary", "adversary,adversary", " adversary , "):
        assert [role.name for role in read(ORCH_ROLES=text).roles] == ["adversary"]
    both = [role.name for role in read(ORCH_ROLES="adversary builder").roles]
    assert both == ["builder", "adversary"]


def test_relative_paths_count_from_where_they_were_written(
    read: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder in the environment, the root in orch.toml; a URL stays as it is."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    config = read('orch_state = "state"\nwork_repo = "../work.git"', CLAUDE_BIN="./claude")
    assert config.state == tmp_path / "state"
    assert config.repo == str(tmp_path.parent / "work.git")
    assert config.claude_bin == str(tmp_path / "here" / "claude")
    assert read("", WORK_REPO="git@host:a/b.git").repo == "git@host:a/b.git"
    assert read("", WORK_REPO="~/w.git", HOME="/home/me").repo == "/home/me/w.git"
    assert read("", OPENCODE_BIN="opencode").opencode_bin == "opencode"


def test_a_root_that_is_no_folder_is_refused(read: Load, tmp_path: Path) -> None:
    assert "ORCH_ROOT" in refusal(read, ORCH_ROOT=str(tmp_path / "missing")).message


def test_orch_root_wins_over_the_programs_folder(read: Load, tmp_path: Path) -> None:
    """And it is that folder's orch.toml which counts."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "orch.toml").write_text('orch_name = "there"')
    config = read('orch_name = "here"', ORCH_ROOT=str(other))
    assert (config.root, config.name, config.file) == (other, "there", other / "orch.toml")


def test_what_is_exported_gives_the_same_instance_from_any_folder(
    read: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an installer writes it into a unit, or as the orchestrator's session gets it."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "orch.toml").write_text('adversary_model = "m"')
    env = {
        "ORCH_STATE": "s",
        "LOOP_COMMAND": "a '{role} x'",
        "ORCH_POLL": "1m30s",
        "BUILDER_BACKEND": "command",
        "NOTIFY_COMMAND": "say 'a b'",
        "RESUME_PHASE": "yes",
        "ORCH_ROLES": "builder adversary",
    }
    first = read(**env)
    monkeypatch.chdir("/")
    exported = first.exported()
    second = load(exported, Path("/usr"))
    assert [row[:2] for row in second.rows()] == [row[:2] for row in first.rows()]
    assert "ADVERSARY_MODEL" not in exported


# --------------------------------------------------------------------------------- secrets


def test_the_secrets_are_read_and_never_shown(read: Load, tmp_path: Path) -> None:
    """Neither the repr nor a row has a secret, wherever it came from."""
    (tmp_path / ".testenv").write_text("TOKEN=swordfish1\n")
    (tmp_path / ".testenv").chmod(0o600)
    config = read(
        WORK_REPO="https://me:correcthorse@host/x.git",
        NOTIFY_URL="https://ntfy.example/t?auth=batterystaple",
        NOTIFY_COMMAND="post --token swordfish1",
    )
    secrets = ("swordfish1", "correcthorse", "batterystaple")
    assert config.secrets == {"TOKEN": "swordfish1"}
    shown = repr(config) + str(config.rows()) + config.mask(" ".join(secrets))
    assert [secret for secret in secrets if secret in shown] == []
    rows = {name: value for name, value, _ in config.rows()}
    assert rows["WORK_REPO"] == "https://me:********@host/x.git"


def test_a_testenv_that_others_can_read_is_refused(read: Load, tmp_path: Path) -> None:
    (tmp_path / ".testenv").write_text("TOKEN=swordfish1\n")
    (tmp_path / ".testenv").chmod(0o640)
    assert refusal(read).hint == f"chmod 600 {tmp_path / '.testenv'}"


# ------------------------------------------------------------------- durations, sizes, names


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("90s", 90),
        ("0.5s", 0.5),
        ("15m", 900),
        ("1h30m", 5400),
        ("0", 0),
        ("2h", 7200),
        ("1h1m1s", 3661),
        ("1.5h", 5400),
    ],
)
def test_durations_read_as_people_write_them(text: str, seconds: float) -> None:
    assert values.duration(text) == seconds


ODD = ["", " ", "-1", "5x", "nan", "inf", "1e3", "1h30", "30m1h", "1m1m", "1 h", "1,5s", ".5"]
ODD += ["5.", "+1", "1H", "\u0663s", "9" * 400, "8761h", "1d", "0x10", "1_000", "s", "1s\n"]


@pytest.mark.parametrize("text", ODD)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it is"):
        values.duration(text)


@given(st.integers(0, int(values.LONGEST)) | st.floats(0, values.LONGEST))
def test_a_duration_that_is_shown_reads_as_the_same(seconds: float) -> None:
    assert values.duration(values.show_duration(seconds)) == seconds


@given(st.text(max_size=12) | st.text(alphabet="019.hms", max_size=12))
def test_any_text_is_a_sane_duration_or_refused(text: str) -> None:
    """What is accepted is a number of seconds that a timeout can take."""
    with suppress(ValueError):
        assert 0 <= values.duration(text) <= values.LONGEST


@given(st.integers(0, 10**15 - 1))
def test_a_size_that_is_shown_reads_as_the_same(size: int) -> None:
    assert values.size(values.show_size(size)) == size


def test_sizes_read_as_people_write_them() -> None:
    sizes = [values.size(text) for text in ("16MiB", "64KiB", "1GiB", "512", "0")]
    assert sizes == [16 << 20, 64 << 10, 1 << 30, 512, 0]


# ---------------------------------------------------------------------------------- places


def test_a_socket_path_that_the_kernel_would_not_take_is_refused(read: Load) -> None:
    """100 bytes are the most, counted as bytes."""
    assert read(ORCH_TMUX_SOCKET="/" + "a" * 99).socket == Path("/" + "a" * 99)
    assert "100 bytes" in refusal(read, ORCH_TMUX_SOCKET="/" + "a" * 100).message
    refusal(read, ORCH_TMUX_SOCKET="/" + "\xe4" * 50)


def test_the_socket_stands_where_tmux_puts_it(read: Load) -> None:
    """In TMUX_TMPDIR if that is a folder, else in /tmp."""
    below = f"tmux-{os.getuid()}/cc-ci"
    assert read(TMUX_TMPDIR="/usr").socket == Path("/usr") / below
    assert read(TMUX_TMPDIR="/no/such/folder").socket == Path("/tmp") / below


def test_the_recorded_socket_wins_over_another_setting(read: Load, tmp_path: Path) -> None:
    """Whoever started the server: every command uses that one, and says so."""
    (tmp_path / ".orch").mkdir()
    (tmp_path / ".orch" / "socket").write_text("/run/old/s\n")
    config = read(ORCH_TMUX_SOCKET="/run/new/s")
    assert config.socket == Path("/run/old/s")
    assert ["/run/old/s" in warning for warning in config.warnings] == [True]
    rows = {name: value for name, value, _ in config.rows()}
    assert rows["ORCH_TMUX_SOCKET"] == "/run/new/s"


@pytest.mark.parametrize("record", [b"", b"\n", b"relative", b"/a\nb", b"\xff", b"/" + b"a" * 200])
def test_a_nonsensical_record_of_the_socket_counts_as_none(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "socket").write_bytes(record)
    assert places.recorded_socket(tmp_path) is None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0, 0o22, 0o77])
def test_the_state_folder_is_made_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    """With its parents; a second time changes nothing."""
    state = tmp_path / "a" / "state"
    before = os.umask(umask)
    try:
        places.prepare_state(state)
        places.prepare_state(state)
    finally:
        os.umask(before)
    assert [mode(state), mode(state / "logs"), mode(state / "activity")] == [0o700] * 3


def test_a_state_folder_that_others_may_enter_is_closed_to_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    places.prepare_state(tmp_path)
    assert mode(tmp_path) == 0o700


def test_a_state_folder_that_cannot_be_ours_is_refused(tmp_path: Path) -> None:
    """A file in its place, or below a file."""
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(ConfigError) as caught:
            places.prepare_state(path)
        assert (str(path) in caught.value.message, caught.value.hint is not None) == (True, True)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to give a folder away")
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    """Root could use it, and its owner could read and replace what stands in it."""
    os.chown(tmp_path, 12345, 12345)
    with pytest.raises(ConfigError, match="another user"):
        places.prepare_state(tmp_path)
    with pytest.raises(ConfigError, match="another user"):
        places.prepare_socket_folder(tmp_path / "s")


@pytest.mark.skipif(os.getuid() == 0, reason="root can write everywhere")
def test_a_state_folder_that_is_not_writable_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="not writable"):
        places.prepare_state(tmp_path)


def test_the_sockets_folder_is_made_private_and_kept_so(tmp_path: Path) -> None:
    """Missing: made. One in which others can put their own server: refused."""
    folder = tmp_path / "s"
    places.prepare_socket_folder(folder / "sock")
    assert mode(folder) == 0o700
    folder.chmod(0o777)
    with pytest.raises(ConfigError) as caught:
        places.prepare_socket_folder(folder / "sock")
    assert caught.value.hint == f"chmod 700 {folder}"
