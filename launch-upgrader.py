"""Runs the upgrader, once: `./launch-upgrader.sh --help` says how."""

from cc_ci_orch.cli.upgrader import main

raise SystemExit(main())
