"""A builder and an adversary without a model: they know docs/protocol.md and their prompts.

`pair.py PROMPT_FILE FOLDER`. What they do beside the honest job stands in FOLDER/script.json:

    bad       gates ("1/V1") that are built wrong at their first attempt
    refused   phases whose first DONE fails the final review
    blocked   phases in which the builder waits for FOLDER/key
    mischief  phase -> what the builder does at the first verdict: pass, done, rewrite
    idle      phases in which the builder does nothing at all

Whatever is typed goes to FOLDER/told.ROLE. They act on it, and never look by themselves.
"""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

PROMPT = Path(sys.argv[1]).read_text()
FOLDER = Path(sys.argv[2])
ROLE = os.environ["ORCH_ROLE"]
SCRIPT = json.loads((FOLDER / "script.json").read_text())
OWN = Path("STATUS.md" if ROLE == "builder" else "REVIEW.md")
LINE = re.compile(r"- ([\w.-]+): ([A-Z]+)(?: #([0-9]+))?")


def said(pattern):
    """What the prompt says; the section of the phase must be in it."""
    match = re.search(pattern, PROMPT, re.MULTILINE)
    return match[1] if match else ""


PHASE = said(r"[Pp]hase (\S+?)[:,]")
GATES = [gate for gate in said(r"Gates: ([^\n]*?)\.?(?: Branch.*)?$").split(", ") if gate != "none"]


def git(*argv):
    return subprocess.run(["git", *argv], capture_output=True, text=True)


def must(*argv):
    done = git(*argv)
    if done.returncode:
        raise OSError(f"git {argv}: {done.stderr}")
    return done.stdout


def pull():
    """Have the newest of the branch; an empty one has nothing."""
    for _ in range(100):
        git("rebase", "--abort")
        git("merge", "--abort")
        if "refs/heads/main" not in must("ls-remote", "origin"):
            return
        must("fetch", "-q", "origin")
        git("stash", "-q", "-u")
        if git("rebase", "-q", "origin/main").returncode == 0:
            return
        if git("reset", "-q", "--hard", "origin/main").returncode == 0:
            return
        time.sleep(0.1)


def push(*files, options=()):
    """Commit and push; again from the newest head where somebody was faster."""
    must("add", "--", *files)
    if git("diff", "--cached", "--quiet").returncode == 0:
        return
    must("commit", "-q", "-m", f"{ROLE}, phase {PHASE}")
    for _ in range(100):
        if git("push", "-q", *options, "origin", "HEAD:refs/heads/main").returncode == 0:
            return
        git("pull", "-q", "--rebase", "origin", "main")
    raise OSError("can't push")


def section(file):
    """The lines of the phase's section."""
    text = Path(file).read_text() if Path(file).exists() else ""
    parts = re.split(r"^## Phase (\S+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)).get(PHASE, "").splitlines()


def state(file):
    """key -> (word, attempt): the highest attempt, then the last line."""
    newest = {}
    for line in section(file):
        match = LINE.match(line)
        if match:
            key, word, attempt = match[1], match[2], int(match[3] or 1)
            if key not in newest or attempt >= newest[key][1]:
                newest[key] = word, attempt
    return newest


def write(file, lines):
    """Replace the phase's section by these lines."""
    text = Path(file).read_text() if Path(file).exists() else ""
    before, _, rest = text.partition(f"## Phase {PHASE}\n")
    after = re.search(r"^## ", rest, re.MULTILINE)
    end = rest[after.start() :] if after else ""
    Path(file).write_text(before + f"## Phase {PHASE}\n" + "".join(f"{x}\n" for x in lines) + end)


def work(gate):
    return Path(f"{PHASE}-{gate}.txt")


# ------------------------------------------------------------------------------- the builder


def build():
    status, review = state("STATUS.md"), state("REVIEW.md")
    if PHASE in SCRIPT.get("idle", ()):
        return
    key = FOLDER / "key"
    if PHASE in SCRIPT.get("blocked", ()) and not key.exists():
        if "phase" not in status:
            write(OWN, [*section(OWN), "- phase: BLOCKED — the key is missing"])
            push(OWN)
        return
    lines = [line for line in section(OWN) if ": BLOCKED" not in line]
    if mischief(status, review):
        return
    files = [OWN]
    for gate in GATES:
        claim, verdict = status.get(gate, ("", 0)), review.get(gate, ("", 0))
        if not claim[1] or verdict == ("FAIL", claim[1]):
            bad = f"{PHASE}/{gate}" in SCRIPT.get("bad", ()) and not claim[1]
            work(gate).write_text("bad\n" if bad else "good\n")
            files.append(work(gate))
            lines.append(f"- {gate}: CLAIMED #{claim[1] + 1} — cat {work(gate)}")
    passed = all(review.get(g) == ("PASS", status.get(g, ("", 0))[1]) for g in GATES)
    end, final = status.get("phase", ("", 0)), review.get("phase", ("", 0))
    if passed and (end[0] != "DONE" or final == ("FAIL", end[1])):
        attempt = end[1] + 1 if end[0] == "DONE" else 1
        lines.append(f"- phase: DONE #{attempt} — all gates passed")
    write(OWN, lines)
    push(*files)


def mischief(status, review):
    """What a builder must not do; once it has a verdict, and only once."""
    what = SCRIPT.get("mischief", {}).get(PHASE)
    if not what or not review:
        return False
    mark = FOLDER / f"mischief-{PHASE}"
    if mark.exists():
        return True
    mark.touch()
    if what == "pass":
        write("REVIEW.md", [*section("REVIEW.md"), *[f"- {g}: PASS #1" for g in GATES],
                            "- phase: PASS"])  # fmt: skip
        write(OWN, [*section(OWN), "- phase: DONE"])
        push("REVIEW.md", OWN)
    elif what == "done":
        write(OWN, [*section(OWN), "- phase: DONE"])
        push(OWN)
    elif what == "rewrite":
        must("reset", "-q", "--hard", must("log", "-1", "--format=%H", "--", "STATUS.md").strip())
        write(OWN, [*section(OWN), "- phase: DONE"])
        push(OWN, options=["--force"])
    return True


# ----------------------------------------------------------------------------- the adversary


def verify():
    status, review = state("STATUS.md"), state("REVIEW.md")
    lines = section(OWN)
    for gate in GATES:
        word, attempt = status.get(gate, ("", 0))
        if word == "CLAIMED" and attempt > review.get(gate, ("", 0))[1]:
            good = work(gate).exists() and work(gate).read_text() == "good\n"
            lines.append(f"- {gate}: {'PASS' if good else 'FAIL'} #{attempt} — looked at it")
            write(OWN, lines)
            push(OWN)  # one at a time
    word, attempt = status.get("phase", ("", 0))
    if word == "DONE" and attempt > review.get("phase", ("", 0))[1]:
        passed = all(state(OWN).get(gate, ("", 0))[0] == "PASS" for gate in GATES)
        refused = PHASE in SCRIPT.get("refused", ()) and attempt == 1
        verdict = "PASS" if passed and not refused else "FAIL"
        lines.append(f"- phase: {verdict} #{attempt} — all of it again")
    if lines:
        write(OWN, lines)
        push(OWN)


def restore():
    """Somebody else changed our file: have it again as we left it."""
    mine = must("log", "-1", "--format=%H", f"--author={ROLE}@", "--", OWN).strip()
    if mine and git("checkout", "-q", mine, "--", OWN).returncode == 0:
        push(OWN)
    elif OWN.exists():
        OWN.write_text("")
        push(OWN)


def act(line=""):
    print(f"{ROLE} acts in phase {PHASE}", flush=True)
    pull()
    if "which is yours" in line:
        restore()
    build() if ROLE == "builder" else verify()
    print(f"{ROLE} waits", flush=True)


assert PHASE, PROMPT
with open(FOLDER / f"told.{ROLE}", "a", buffering=1) as told:
    told.write(f"started in {PHASE}\n")
    for line in PROMPT.splitlines():
        if line.startswith("H-"):
            told.write(line + "\n")
    act()
    for line in sys.stdin:
        told.write(line)
        act(line)
