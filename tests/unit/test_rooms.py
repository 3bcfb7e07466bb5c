"""Which room may import which: data flows one way, and a stranger finds a thing by its place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import execlog
from execlog.cli import app

PACKAGE = Path(execlog.__file__).parent
# Each may import those before it, and itself; `execlog` is what the package itself gives.
ORDER = (
    {"context", "errors", "ids", "display", "statistics", "whole_file"},
    {"models"},
    {"db"},
    {"archive", "embedded"},
    {"repository"},
    {"admin"},
    {"recorder"},
    {"moving", "replaying"},
    {"execlog", "prometheus"},
    {"otel", "web", "demo"},
    {"cli"},
    {"__main__"},
)
LEVEL = {room: level for level, rooms in enumerate(ORDER) for room in rooms}


def imports(path: Path) -> Iterator[str]:
    """The rooms that a module imports, within functions too; for types alone does not count."""
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        names = []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{one.name}" for one in node.names]
        elif isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        for name in names:
            package, _, rest = name.partition(".")
            if package == "execlog":
                room = rest.partition(".")[0]
                yield room if room in LEVEL else "execlog"
        waiting += ast.iter_child_nodes(node)


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "execlog" if first == "__init__" else first


def test_each_room_imports_only_those_below_it() -> None:
    wrong = {
        f"{path.relative_to(PACKAGE)} imports {room}"
        for path in PACKAGE.rglob("*.py")
        for room in imports(path)
        if room != room_of(path) and LEVEL[room] >= LEVEL[room_of(path)]
    }
    assert wrong == set()


def test_every_module_is_in_a_room() -> None:
    assert {room_of(path) for path in PACKAGE.rglob("*.py")} == LEVEL.keys()
    directly = {path.stem for path in PACKAGE.glob("*.py")}
    assert directly == {"__init__", "__main__", "context", "errors", "ids", "models", "whole_file"}


def test_each_command_is_found_in_the_file_of_its_name() -> None:
    found = [(command.name, command.callback) for command in app.registered_commands]
    for group in app.registered_groups:
        assert group.typer_instance is not None
        found += [(group.name, one.callback) for one in group.typer_instance.registered_commands]
    for name, function in found:
        assert name is not None and function is not None
        assert function.__module__.removesuffix("_") == f"execlog.cli.{name.replace('-', '_')}"
