"""`python path/to/cc_ci_orch/agents/demo ROLE …`: one demo agent."""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    # Run by its path, Python would look for modules in this folder.
    sys.path[:] = [path for path in sys.path if path != os.path.dirname(__file__)]
    sys.path.insert(0, os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", "..")))
    from cc_ci_orch.agents.demo.main import main

    raise SystemExit(main(sys.argv[1:]))
