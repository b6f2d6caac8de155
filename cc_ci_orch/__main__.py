"""`python -m cc_ci_orch`, and `python path/to/cc_ci_orch`: the same as launch.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Run by its path, Python would look for modules in the package's own folder.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)
    if sys.argv[1:2] == ["guard"]:
        from cc_ci_orch import guardian  # small, and to stay so

        raise SystemExit(guardian.main(sys.argv[2:]))
    if sys.argv[1:2] == ["opencode-turn"]:  # the orchestrator's pane under opencode
        from cc_ci_orch.cli import opencode_turn

        raise SystemExit(opencode_turn.main(sys.argv[2:], os.environ))
    if sys.argv[1:] == ["upgrade"]:  # the pane's own process of a run of the upgrader
        from cc_ci_orch.cli import upgrading

        raise SystemExit(upgrading.main(os.environ))
    from cc_ci_orch.cli.loops import main

    raise SystemExit(main())
