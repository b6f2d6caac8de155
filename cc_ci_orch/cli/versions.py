"""Has what is read only at a start been changed since?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cc_ci_orch.config import Config
from cc_ci_orch.core.model import Trouble
from cc_ci_orch.plan import phases_file

PACKAGE = Path(__file__).resolve().parent.parent
"""The folder of the program, which Python can run."""

TAKES_EFFECT = "takes effect with ./launch.sh start --takeover"


class Versions:
    """The configuration, the plan and the program as they were when this was made."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._before = self._marks()

    def changes(self) -> tuple[Trouble, ...]:
        """What is no longer as it was."""
        now = self._marks()
        return tuple(
            Trouble("changed", f"{what} has changed since the supervisor started; {TAKES_EFFECT}")
            for what in self._before
            if self._before[what] != now[what]
        )

    def _marks(self) -> Mapping[str, object]:
        files = {
            "orch.toml": [self._config.file],
            "phases.toml": [phases_file(self._config.root)],
            "the program": sorted(PACKAGE.rglob("*.py")),
        }
        return {what: tuple(map(_mark, paths)) for what, paths in files.items()}


def _mark(path: Path) -> tuple[int, int] | None:
    """Changes when the file does; None where there is none."""
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_size, info.st_mtime_ns
