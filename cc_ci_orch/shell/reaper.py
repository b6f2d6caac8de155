"""Run a program as the reaper of all that descends from it: `reaper.py PROGRAM ARG…`.

A child subreaper (prctl(2), Linux) inherits its orphans in place of init, and stays one
through exec. So a tmux server started by this file is the parent of whatever an agent left
behind, however thoroughly that detached itself, and it can be found.

Run as `python -I -S`, and by itself: it imports nothing of the package.
"""

import os
import signal
import sys

PR_SET_CHILD_SUBREAPER = 36

if __name__ == "__main__":
    try:
        import ctypes

        if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
    except (ImportError, OSError, AttributeError) as error:
        # Supervision works without it; only a detached orphan is then out of sight.
        print(f"not a reaper: {error}", file=sys.stderr)
    # Python ignores these two, and an ignored signal survives exec too: agents would inherit it.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        os.execvp(sys.argv[1], sys.argv[1:])
    except OSError as error:
        sys.exit(f"{sys.argv[1]}: {error.strerror}")
