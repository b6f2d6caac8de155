"""The environment of an agent: the supervisor's, without what would confuse it, plus its own.

An agent must not believe that it runs inside another agent, another tmux server or a
systemd unit; git must take the identity that it is given; and a test of the agent that
calls `launch.sh stop` must not hit the instance that the agent is a part of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cc_ci_orch.settings import BY_NAME

if TYPE_CHECKING:
    from cc_ci_orch.config import Config

MARKERS = frozenset(
    {
        "TMUX",
        "TMUX_PANE",
        "STY",
        "COLUMNS",
        "LINES",
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_EXECPATH",
        "CLAUDE_CODE_SSE_PORT",
        "CLAUDE_CODE_SESSION",
        "CLAUDE_CODE_SESSION_ID",
        "CLAUDE_CODE_PARENT_SESSION_ID",
        "CLAUDE_CODE_CHILD_SESSION",
        "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
        "CLAUDE_CODE_WEBSOCKET_AUTH_FILE_DESCRIPTOR",
        "CLAUDE_CODE_REMOTE",
        "CLAUDE_CODE_REMOTE_SESSION_ID",
        "CLAUDE_CODE_CONTAINER_ID",
        "CLAUDE_CODE_AGENT_ID",
        "CLAUDE_CODE_AGENT_NAME",
        "CLAUDE_CODE_TEAM_NAME",
        "CLAUDE_CODE_TASK_LIST_ID",
        "CLAUDE_AGENT_SDK_VERSION",
        "CLAUDE_PROJECT_DIR",
        "CLAUDE_ENV_FILE",
        "CLAUDE_PLUGIN_ROOT",
        "AI_AGENT",
        "OPENCODE",
        "OPENCODE_PID",
        "OPENCODE_RUN_ID",
        "OPENCODE_PROCESS_ROLE",
        "AGENT",
        "NOTIFY_SOCKET",
        "INVOCATION_ID",
        "JOURNAL_STREAM",
        "MAINPID",
        "MANAGERPID",
        "SYSTEMD_EXEC_PID",
    }
)
"""Left by whatever started the supervisor; they say "you run inside me". A user's own
configuration of a client (ANTHROPIC_*, CLAUDE_CONFIG_DIR, CLAUDE_CODE_USE_BEDROCK,
CLAUDE_CODE_OAUTH_TOKEN, OPENCODE_CONFIG …) is not among them."""

PREFIXES = ("WATCHDOG_", "LISTEN_", "GIT_")


def agent_env(
    config: Config,
    role: str,
    *,
    phase: str | None,
    conversation: str,
    keep_settings: bool = False,
) -> dict[str, str]:
    """The whole environment of the role's process, the values of .testenv included.

    `keep_settings` is for the orchestrator's session, which shells out to `launch.sh`: it
    gets the instance's settings as they are, whatever its folder is, but for START_PHASE:
    that counts once, and not for whoever starts again what is down.
    """
    settings = {*BY_NAME, *config.found}
    inherited = {
        name: value
        for name, value in config.environment.items()
        if name not in MARKERS and not name.startswith((*PREFIXES, "ORCH_"))
    }
    env = {n: v for n, v in (inherited | dict(config.secrets)).items() if n not in settings}
    if keep_settings:
        env |= config.exported()
        env.pop("START_PHASE", None)
    author, address = f"{config.identity} {role}", f"{role}@{config.identity}.invalid"
    return env | {
        "ORCH_ROLE": role,
        "ORCH_PHASE": phase or "",
        "ORCH_CONVERSATION": conversation,
        "ORCH_ACTIVITY_FILE": str(config.state / "activity" / role),
        "GIT_AUTHOR_NAME": author,
        "GIT_AUTHOR_EMAIL": address,
        "GIT_COMMITTER_NAME": author,
        "GIT_COMMITTER_EMAIL": address,
    }
