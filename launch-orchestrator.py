"""Starts and looks after the orchestrator: `./launch-orchestrator.sh --help` says how."""

from cc_ci_orch.cli.orchestrator import main

raise SystemExit(main())
