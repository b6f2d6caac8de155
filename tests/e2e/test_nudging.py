"""A prompt that a person types: byte for byte, once, and proved; or not at all, and said."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Make
from tests.e2e.instance import LONG, Instance
from tests.waiting import eventually

pytestmark = pytest.mark.tmux

NASTY = "\n".join(
    [
        "sixty lines; what a shell, tmux or Python would love to touch:",
        "'single' \"double\" `id` $(id) ${HOME} $$ !! !1 ;; && || > /dev/null < x | y",
        "#{pane_id} #(id) #[fg=red] %1 %H:%M ~ ~root * ? [a-z] {a,b} \\ \\\\ \\n \\033[31m",
        "ünï—cödé ☃ 漢字 \U0001f600 e\u0301 \u200b|",
        "\ttabs\tand  spaces  ",
        "-x --help ; C-c Enter Escape",
        "",
        *(f"line {n}: {'x' * n}" for n in range(8, 60)),
        "it ends in a backslash \\",
    ]
)
assert NASTY.count("\n") == 59


def reader(make: Make, mode: str) -> Instance:
    """An instance whose agents keep what is typed, past their first prompt."""
    it = make()
    it.settings["LOOP_COMMAND"] = it.agent("reads.py", str(it.folder / "typed"), mode)
    it.start()
    eventually(lambda: "ready" in it.log(), LONG)
    settled(it)
    return it


def typed(it: Instance, role: str = "builder") -> bytes:
    path = it.folder / f"typed.{role}"
    return path.read_bytes() if path.exists() else b""


def settled(it: Instance) -> None:
    """The first prompt has been typed, and nothing more comes."""
    eventually(
        lambda: typed(it).rstrip(b"~102[\x1b\r\n").endswith(b"End of the first prompt"), LONG
    )
    (it.folder / "typed.builder").write_bytes(b"")


@pytest.fixture
def make(instance: Make) -> Make:
    """Instances with a first prompt whose end can be told."""

    def with_prompts(*agent: str, place: str = "here", **settings: str) -> Instance:
        it = instance(*agent, place=place, **settings)
        (it.root / "prompts").mkdir()
        for name in ("builder", "adversary", "handover", "resume"):
            (it.root / "prompts" / f"{name}.md").write_text("Begin.\nEnd of the first prompt\n")
        return it

    return with_prompts


@pytest.mark.parametrize("mode", ["echo", "quiet"])
@pytest.mark.parametrize("way", ["argument", "standard input"])
def test_every_byte_arrives_once(make: Make, mode: str, way: str) -> None:
    """Sixty lines of what shells and tmux would touch, to a program that reads lines."""
    it = reader(make, mode)
    before = len(it.events("session.nudged", "builder"))
    if way == "argument":
        done = it.run("nudge", "builder", NASTY)
    else:
        done = it.run("nudge", "builder", "-", input=NASTY)
    assert done.code == 0, done
    eventually(lambda: len(typed(it)) >= len(NASTY.encode()) + 1, LONG)
    assert typed(it).decode() == NASTY + "\n"
    (event,) = it.events("session.nudged", "builder")[before:]
    assert (event["proved"], event["by"]) == (True, "operator")


def test_a_framed_paste(make: Make) -> None:
    """A client that asks for bracketed paste gets one frame, and one Enter after it."""
    it = reader(make, "raw")
    done = it.run("nudge", "builder", NASTY)
    assert done.code == 0, done
    expected = b"\x1b[200~" + NASTY.encode() + b"\x1b[201~\r"
    eventually(lambda: len(typed(it)) >= len(expected), LONG)
    assert typed(it) == expected


def test_the_other_role_hears_nothing(make: Make) -> None:
    """A nudge reaches the role that it is for."""
    it = reader(make, "quiet")
    eventually(lambda: b"first prompt" in typed(it, "adversary"), LONG)
    before = typed(it, "adversary")
    assert it.run("nudge", "builder", "only for you").code == 0
    eventually(lambda: typed(it) == b"only for you\n", LONG)
    assert typed(it, "adversary") == before


def test_what_is_not_typed(make: Make) -> None:
    """Keys in disguise are taken out, not pressed; nothing and too much are refused."""
    it = reader(make, "quiet")
    hidden = "a\x1b[31mb\x03c\x04d\x00e\x7ff\x9bg\r\nh\ri"
    assert it.run("nudge", "builder", "-", input=hidden).code == 0
    eventually(lambda: typed(it).endswith(b"i\n"), LONG)
    assert typed(it) == b"a[31mbcdefg\nh\ni\n"
    for text in ("", "  \n ", "\x1b\x03", "x" * 5000, "ü" * 2500):
        done = it.run("nudge", "builder", "-", input=text)
        assert (done.code == 2 and "hint" in done.err) or "no text" in done.err, done
    assert typed(it) == b"a[31mbcdefg\nh\ni\n"


def test_the_longest_line(make: Make) -> None:
    """What is accepted arrives whole, in a terminal that reads line by line too."""
    it = reader(make, "echo")
    line = "x" * 4000
    assert it.run("nudge", "builder", f"{line}\n{line}").code == 0
    eventually(lambda: len(typed(it)) >= 8002, LONG)
    assert typed(it).decode() == f"{line}\n{line}\n"


def test_in_copy_mode(make: Make) -> None:
    """A pane that somebody left in copy mode takes the prompt all the same."""
    it = reader(make, "quiet")
    assert it.tmux("copy-mode", "-t", "=cc-ci-builder:").code == 0
    assert it.run("nudge", "builder", "hello").code == 0
    eventually(lambda: typed(it) == b"hello\n", LONG)


def test_to_one_that_hears_nothing(instance: Make) -> None:
    """Not proved is said, as a failure; the text is not typed again."""
    it = instance("silent.py")
    it.start()
    eventually(lambda: "hello" in it.log(), LONG)
    done = it.run("nudge", "builder", "hello")
    assert done.code == 1 and "no sign" in done.err, done
    assert it.events("session.nudged", "builder")[-1]["proved"] is False


def test_to_a_role_that_cannot_take_it(make: Make) -> None:
    """Held, stopped, unknown: nothing is typed, and it is said why."""
    it = reader(make, "quiet")
    it.run("hold", "builder")
    done = it.run("nudge", "builder", "hello")
    assert done.code == 1 and "held" in done.err, done
    it.run("release", "builder")
    it.run("stop", "builder", "--grace", "1s")
    done = it.run("nudge", "builder", "hello")
    assert done.code == 1 and "not running" in done.err, done
    assert it.run("nudge", "nobody", "hello").code == 2
    assert typed(it) == b""


def test_without_a_supervisor(make: Make) -> None:
    """75: a prompt that is typed hours later does harm."""
    it = make()
    done = it.run("nudge", "builder", "hello")
    assert done.code == 75 and "hint: ./launch.sh start" in done.err, done


def test_many_at_once(make: Make) -> None:
    """Nudges from several terminals are typed one after the other, none into another."""
    it = reader(make, "quiet")
    texts = [f"message {n}\nof two lines" for n in range(4)]
    running = [it.background("nudge", "builder", text) for text in texts]
    for process in running:
        process.communicate(timeout=LONG)
    assert [process.returncode for process in running] == [0] * 4
    parts = typed(it).decode().removesuffix("\n").split("\nof two lines")
    assert sorted(part.strip() for part in parts if part) == sorted(t.split("\n")[0] for t in texts)


def test_the_text_for_an_idle_role(make: Make) -> None:
    """Without TEXT the prompt for an idle role is typed, filled in like the watchdog's own."""
    it = reader(make, "quiet")
    (it.root / "prompts" / "nudge.md").write_text("You are {role} in phase {phase}.\n")
    assert it.run("nudge", "builder").code == 0
    eventually(lambda: typed(it).strip() == b"You are builder in phase 1.", LONG)


@pytest.mark.parametrize(
    ("body", "proved"),
    [
        ("while read -r line; do echo got; done", True),
        ("while read -r line; do :; done", True),
        ("cat >/dev/null", True),
        ("exec sleep 1000", False),
        ("while :; do sleep 1000; done", False),
    ],
    ids=["answers", "reads", "reads blocks", "deaf", "deaf shell"],
)
def test_what_proves_that_a_program_heard(instance: Make, body: str, proved: bool) -> None:
    """That it answers, or that its terminal is empty again; the terminal's own echo does not."""
    it = instance(ORCH_SUBMIT_WAIT="1s")
    script = it.folder / "agent.sh"
    script.write_text(f"# {{prompt_file}}\necho begun\n{body}\n")
    it.settings["LOOP_COMMAND"] = f"/bin/sh {script} {{prompt_file}}"
    it.start()
    eventually(lambda: "begun" in it.log(), LONG)
    done = it.run("nudge", "builder", "go\non")
    assert done.code == (0 if proved else 1), done
    assert it.events("session.nudged", "builder")[-1]["proved"] is proved
    assert proved or "go" in it.log()
