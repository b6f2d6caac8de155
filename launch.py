"""Starts and drives the two loops: `./launch.sh --help` says how."""

from cc_ci_orch.cli.loops import main

raise SystemExit(main())
