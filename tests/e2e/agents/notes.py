"""Notes its environment, its folder and its prompt in FILE, one JSON line a start; then works.

`notes.py FILE PROMPT_FILE`. It leaves when it is asked to, or when the file FILE.end holds a
status to end with.
"""

import json
import os
import sys
import time
from pathlib import Path

path, prompt = sys.argv[1:3]
note = {
    "env": dict(os.environ),
    "cwd": str(Path.cwd()),
    "pid": os.getpid(),
    "prompt": Path(prompt).read_text(),
    "argv": sys.argv,
}
with open(path, "a") as file:
    file.write(json.dumps(note) + "\n")
end = Path(f"{path}.end")
while not end.exists():
    print("working", flush=True)
    time.sleep(0.2)
raise SystemExit(int(end.read_text()))
