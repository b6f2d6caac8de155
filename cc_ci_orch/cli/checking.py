"""doctor, config, version."""

from __future__ import annotations

import json
from argparse import Namespace

from cc_ci_orch import __version__
from cc_ci_orch.cli.loops import Call


def version(args: Namespace) -> int:
    """The version."""
    print(f"cc-ci-orch {__version__}", flush=True)
    return 0


def show_config(call: Call) -> int:
    """Every setting, its value and where it came from."""
    rows = call.config.rows()
    width = max(len(name) for name, _, _ in rows)
    for name, value, origin in rows:
        call.out(f"{name:<{width}}  {value or '-'}  ({origin})")
    return 0


def doctor(call: Call) -> int:
    """Check everything that a start needs, each with its fix."""
    from cc_ci_orch import doctor as checks
    from cc_ci_orch.cli import talk

    def supervised() -> bool:
        return talk.query(call.config.state, "alive") is not None

    results = checks.examine(call.config, call.program_root, supervised)
    if call.args.json:
        call.out(json.dumps([vars(result) for result in results], indent=1))
    else:
        for result in results:
            call.out(f"{'ok     ' if result.ok else 'MISSING'} {result.what}: {result.found}")
            if not result.ok and result.fix:
                call.out(f"        fix: {result.fix}")
    return 0 if all(result.ok for result in results) else 1
