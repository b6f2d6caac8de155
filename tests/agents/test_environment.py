"""What an agent finds in its environment, and what it doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from cc_ci_orch.agents.environment import agent_env
from cc_ci_orch.config import Config, load
from cc_ci_orch.settings import SETTINGS

USERS = {
    "PATH": "/usr/bin",
    "HOME": "/home/me",
    "ANTHROPIC_API_KEY": "k",
    "CLAUDE_CONFIG_DIR": "/c",
    "CLAUDE_CODE_USE_BEDROCK": "1",
    "CLAUDE_CODE_OAUTH_TOKEN": "t",
    "OPENCODE_CONFIG_CONTENT": "{}",
    "XDG_RUNTIME_DIR": "/run/user/1",
}
CONFUSING = {
    "TMUX": "/tmp/x,1,0",
    "TMUX_PANE": "%1",
    "CLAUDECODE": "1",
    "CLAUDE_CODE_ENTRYPOINT": "cli",
    "CLAUDE_CODE_SSE_PORT": "1",
    "CLAUDE_CODE_SESSION_ID": "x",
    "OPENCODE": "1",
    "NOTIFY_SOCKET": "@x",
    "WATCHDOG_USEC": "1",
    "WATCHDOG_PID": "1",
    "INVOCATION_ID": "x",
    "JOURNAL_STREAM": "8:1",
    "LISTEN_FDS": "1",
    "GIT_DIR": "/x",
    "GIT_AUTHOR_NAME": "me",
    "COLUMNS": "80",
    "ORCH_ROLE": "orchestrator",
    "ORCH_UNKNOWN": "1",
}


def config(root: Path, **env: str) -> Config:
    return load(USERS | CONFUSING | env, root)


def environment(root: Path, **env: str) -> dict[str, str]:
    """Of the builder, in phase 2 and conversation c-1."""
    return agent_env(config(root, **env), "builder", phase="2", conversation="c-1")


def test_the_users_own_environment_is_kept(tmp_path: Path) -> None:
    """Also what configures a client."""
    env = environment(tmp_path)
    assert {name: env.get(name) for name in USERS} == USERS


def test_what_would_confuse_an_agent_is_gone(tmp_path: Path) -> None:
    """Nothing says that it runs inside tmux, another agent or a unit, or for another author."""
    env = environment(tmp_path)
    assert {name for name in CONFUSING if env.get(name) == CONFUSING[name]} == set()


def test_an_agent_is_told_who_it_is(tmp_path: Path) -> None:
    """Its role, phase and conversation, and the author of its commits."""
    env = environment(tmp_path, WORK_IDENTITY="acme")
    own = {name: env[name] for name in env if name.startswith(("ORCH_", "GIT_"))}
    assert own == {
        "ORCH_ROLE": "builder",
        "ORCH_PHASE": "2",
        "ORCH_CONVERSATION": "c-1",
        "ORCH_ACTIVITY_FILE": str(tmp_path / ".orch" / "activity" / "builder"),
        "GIT_AUTHOR_NAME": "acme builder",
        "GIT_AUTHOR_EMAIL": "builder@acme.invalid",
        "GIT_COMMITTER_NAME": "acme builder",
        "GIT_COMMITTER_EMAIL": "builder@acme.invalid",
    }


def test_an_agents_test_cannot_hit_the_instance(tmp_path: Path) -> None:
    """No setting of the instance is left, those of extra roles included."""
    (tmp_path / "orch.toml").write_text('[[role]]\nname = "code-reader"\nprompt = "r.md"\n')
    settings = {
        "ORCH_ROOT": str(tmp_path),
        "ORCH_STATE": str(tmp_path / "s"),
        "ORCH_NAME": "live",
        "LOOP_BACKEND": "demo",
        "WORK_REPO": "/w",
        "RESUME_PHASE": "1",
        "NOTIFY_URL": "http://n/",
        "CODE_READER_MODEL": "m",
        "ORCH_POLL": "3",
    }
    env = environment(tmp_path, **settings)
    assert {s.name for s in SETTINGS} & set(env) == set()
    assert set(settings) & set(env) == set()


def test_the_orchestrator_can_call_launch_sh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps the settings, as absolute paths, for its session has another folder.

    But START_PHASE counts once: a `start` of the orchestrator must not throw the phases back.
    """
    monkeypatch.chdir(tmp_path)
    settings = {"ORCH_STATE": "s", "LOOP_BACKEND": "demo", "START_PHASE": "1"}
    env = agent_env(
        config(tmp_path, **settings),
        "orchestrator",
        phase="2",
        conversation="c-1",
        keep_settings=True,
    )
    assert env["ORCH_ROOT"] == str(tmp_path)
    assert env["ORCH_STATE"] == str(tmp_path / "s")
    assert env["LOOP_BACKEND"] == "demo"
    assert env["GIT_AUTHOR_NAME"] == "cc-ci orchestrator"
    assert {"START_PHASE", "TMUX", "ORCH_UNKNOWN"} & set(env) == set()
    assert load(env, Path("/usr")).state == tmp_path / "s"


def test_the_secrets_reach_the_agent(tmp_path: Path) -> None:
    """They win over what is inherited, but change neither who it is nor the instance."""
    path = tmp_path / ".testenv"
    path.write_text("TOKEN=abc\nHOME=/elsewhere\nORCH_NAME=x\nORCH_ROLE=x\nGIT_SSH_COMMAND=s\n")
    path.chmod(0o600)
    env = environment(tmp_path)
    assert (env["TOKEN"], env["HOME"], env["ORCH_ROLE"]) == ("abc", "/elsewhere", "builder")
    assert (env["GIT_SSH_COMMAND"], env.get("ORCH_NAME")) == ("s", None)


def test_no_phase_is_an_empty_phase(tmp_path: Path) -> None:
    env = agent_env(config(tmp_path), "builder", phase=None, conversation="c")
    assert env["ORCH_PHASE"] == ""
