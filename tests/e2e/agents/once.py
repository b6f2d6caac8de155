"""Runs once: `once.py FOLDER PROMPT_FILE`. Notes what it was given in FOLDER/noted.ROLE, prints,
waits for FOLDER/go and ends with the status that stands in it. FOLDER/deaf: it ignores TERM. It
leaves a child of its own behind.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
if (folder / "deaf").exists():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
left = subprocess.Popen(["sleep", "1000"], start_new_session=True)
prompt = Path(sys.argv[2]).read_text() if len(sys.argv) > 2 else sys.stdin.read()
note = {
    "env": dict(os.environ),
    "cwd": str(Path.cwd()),
    "pid": os.getpid(),
    "left": left.pid,
    "prompt": prompt,
    "tty": sys.stdout.isatty(),
}
print("the upgrade begins", flush=True)
noted = folder / f"noted.{os.environ['ORCH_ROLE']}"
noted.with_suffix(".new").write_text(json.dumps(note))
noted.with_suffix(".new").rename(noted)
while not (folder / "go").exists():
    time.sleep(0.05)
print("the upgrade ends", flush=True)
raise SystemExit(int((folder / "go").read_text()))
