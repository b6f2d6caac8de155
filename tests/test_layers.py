"""Nothing points up: who may import whom, read from the source itself."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "cc_ci_orch"

PURE = {
    *("__future__", "collections", "collections.abc", "dataclasses", "datetime", "enum"),
    *("math", "re", "string", "textwrap", "types", "typing"),
}
"""All of the standard library that the core may use."""

ADAPTERS = ("clock", "control", "git", "lock", "notify", "procs", "store", "tmux", "waiter")
"""Modules of shell/ whose classes only the composition root in cli/ puts together."""

ENTRANCES = ("launch.py", "launch-orchestrator.py", "launch-upgrader.py")

UP = {
    "core": ("agents", "shell", "cli", "*"),
    "agents": ("watchdog", "supervisor", "guardian", "status", "report", "doctor", "cli"),
    "shell": ("watchdog", "supervisor", "guardian", "status", "report", "doctor", "cli"),
    "watchdog": ("supervisor", "guardian", "status", "report", "doctor", "cli"),
    "supervisor": ("cli",),
    "guardian": ("watchdog", "supervisor", "cli"),
    "status": ("watchdog", "supervisor", "cli"),
    "status_table": ("watchdog", "supervisor", "cli"),
    "report": ("watchdog", "supervisor", "cli"),
    "doctor": ("watchdog", "supervisor", "cli"),
}
"""What each part must not import. `*`: nothing of the package but itself."""

Import = tuple[Path, int, str]


def sources() -> list[Path]:
    return sorted((ROOT / PACKAGE).rglob("*.py"))


def part_of(path: Path) -> str:
    """`core` for a file in core/, `watchdog` for watchdog.py."""
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[Import]:
    """Every module that a file imports; for `from a import b` both a and a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((path, node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative imports hide their arrow"
            yield path, node.lineno, node.module or ""
            yield from ((path, node.lineno, f"{node.module}.{a.name}") for a in node.names)


def where(found: list[Import]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{line}: {name}" for path, line, name in found]


def all_imports() -> list[Import]:
    return [entry for path in sources() for entry in imports(path)]


def within(name: str, *parts: str) -> bool:
    """Whether the module is one of these parts of the package, or below it."""
    return any(f"{name}.".startswith(f"{PACKAGE}.{part}.") for part in parts)


def test_the_walk_sees_the_package() -> None:
    """An empty walk would pass everything."""
    parts = {part_of(path) for path in sources()}
    assert {"core", "agents", "shell", "cli", "watchdog", "supervisor"} <= parts
    assert any(within(name, "core") for _, _, name in all_imports())


@pytest.mark.parametrize("part", sorted(UP))
def test_no_arrow_points_up(part: str) -> None:
    found = []
    for path, line, name in all_imports():
        if part_of(path) != part:
            continue
        up = within(name, *UP[part])
        if "*" in UP[part]:
            up = name.startswith(PACKAGE) and not within(name, part) and name != PACKAGE
        if up:
            found.append((path, line, name))
    assert where(found) == []


def test_the_core_uses_only_what_is_pure_of_the_standard_library() -> None:
    found = []
    for path, line, name in all_imports():
        pure = name in PURE or name.rpartition(".")[0] in PURE
        if part_of(path) == "core" and not name.startswith(PACKAGE) and not pure:
            found.append((path, line, name))
    assert where(found) == []


def test_only_one_module_runs_programs() -> None:
    allowed = ROOT / PACKAGE / "shell" / "run.py"
    runs = ("subprocess", "pty", "os.system", "os.popen", "os.fork", "os.posix_spawn")
    found = [entry for entry in all_imports() if entry[2].startswith(runs) and entry[0] != allowed]
    assert where(found) == []


def test_only_the_composition_root_makes_adapters() -> None:
    """Shell files may know each other; everybody else knows the ports."""
    found = [
        (path, line, name)
        for path, line, name in all_imports()
        if part_of(path) not in ("cli", "shell")
        and within(name, *(f"shell.{adapter}" for adapter in ADAPTERS))
    ]
    assert where(found) == []


def test_nothing_but_the_entrances_imports_the_command_line() -> None:
    found = [
        (path, line, name)
        for path, line, name in all_imports()
        if within(name, "cli") and part_of(path) not in ("cli", "__main__")
    ]
    assert where(found) == []
    for entrance in ENTRANCES:
        if (ROOT / entrance).exists():
            used = {name for _, _, name in imports(ROOT / entrance) if name.startswith(PACKAGE)}
            assert used and all(within(name, "cli") or name == PACKAGE for name in used)


def test_nothing_but_the_standard_library_is_imported() -> None:
    """No third-party package at run time."""
    found = [
        (path, line, name)
        for path, line, name in all_imports()
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not name.startswith(f"{PACKAGE}.")
        and name != PACKAGE
    ]
    assert where(found) == []


def test_pure_modules_neither_print_nor_read_nor_look_at_a_clock() -> None:
    """Not even through a name that needs no import."""
    forbidden = {"print", "open", "input", "eval", "exec", "__import__"}
    found = []
    for path in sources():
        if part_of(path) != "core":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                if node.func.id in forbidden:
                    found.append((path, node.lineno, node.func.id))
            elif isinstance(node, ast.Attribute) and node.attr in ("now", "utcnow", "today"):
                clock = isinstance(node.value, ast.Name) and node.value.id in ("datetime", "date")
                if clock:
                    found.append((path, node.lineno, f"datetime.{node.attr}"))
    assert where(found) == []
