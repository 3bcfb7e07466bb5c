"""Each extra for tests brings what it says, and `test` alone runs all that needs no other."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.extras import EXTRAS, missing

TESTS = Path(__file__).parents[1]
PROJECT = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["project"]
OPTIONAL: dict[str, list[str]] = PROJECT["optional-dependencies"]


def modules(extra: str) -> set[str]:
    """What an extra brings by itself, as modules."""
    named = (re.split(r"[^\w-]", one)[0] for one in OPTIONAL[extra])
    found = {name.replace("-sdk", ".sdk").replace("-", "_") for name in named}
    return {name.replace("pyyaml", "yaml") for name in found} - {"execlog"}


@pytest.mark.parametrize("extra", ["test-recipes", "test-web"])
def test_what_an_extra_brings_is_known_to_the_tests(extra: str) -> None:
    assert modules(extra) == {module for module, its in EXTRAS.items() if its == extra}
    assert not modules(extra) & modules("test")
    assert "execlog[test]" in OPTIONAL[extra]


def test_one_extra_brings_all() -> None:
    [ours] = [one for one in OPTIONAL["dev"] if one.startswith("execlog[")]
    tests = {extra for extra in OPTIONAL if re.fullmatch("bench|test.*", extra)}
    assert set(re.findall(r"[\w-]+", ours)) == {"execlog", *tests}


def imported(path: Path) -> Iterator[str]:
    """The packages that a file imports whenever it is collected."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (one.name.partition(".")[0] for one in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition(".")[0]


def test_no_file_imports_at_its_top_what_may_be_missing() -> None:
    programs = {TESTS / "bench", TESTS / "programs"}  # no test imports these
    files = [path for path in TESTS.rglob("*.py") if not programs.intersection(path.parents)]
    assert len(files) > 100
    wrong = {
        f"{path.relative_to(TESTS)} imports {name}"
        for path in files
        for name in imported(path)
        if name in EXTRAS
    }
    assert wrong == set()


def test_what_is_missing_is_said_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing() is None
    monkeypatch.setitem(EXTRAS, "nothing_of_the_sort", "test-recipes")
    said = missing("nothing_of_the_sort")
    assert said == "nothing_of_the_sort is not installed: the extra test-recipes brings it"
