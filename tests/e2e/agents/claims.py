"""A client that ends with a status of its own and says something else: `claims.py FILE … `.

FILE holds the status on its first line, and what to print on the others.
"""

import os
import sys
from pathlib import Path

Path(os.environ["HOME"], "argv").write_text("\n".join(sys.argv[1:]))
status, _, text = Path(os.environ["HOME"], "claim").read_text().partition("\n")
print(text, flush=True)
raise SystemExit(int(status))
