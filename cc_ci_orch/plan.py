"""plan/phases.toml, read and checked once at a start."""

from __future__ import annotations

import tomllib
from pathlib import Path

from cc_ci_orch.core.phases import PhaseError, PhaseSpec, parse_phases
from cc_ci_orch.errors import ConfigError


def phases_file(root: Path) -> Path:
    """Where the phases of an instance stand."""
    return root / "plan" / "phases.toml"


def load_phases(root: Path) -> tuple[PhaseSpec, ...]:
    """The phases in their order; ConfigError for a missing or invalid file."""
    path = phases_file(root)
    what = f"can't use the plan: {path}"
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        return parse_phases(data)
    except FileNotFoundError:
        raise ConfigError(f"{what}: it is missing", "copy plan/ from the program") from None
    except OSError as error:
        raise ConfigError(f"{what}: {error.strerror}") from None
    except PhaseError as error:
        raise ConfigError(f"{what}: {error}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{what}: not valid TOML: {error}") from None
