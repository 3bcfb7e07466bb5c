"""No file of tests is too long to be read."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parents[1]
LONGEST = 600
# Files that may be longer, and why.
EXCEPTIONS = {"db/test_rollups.py": "is split when the rollups are rewritten"}


def test_no_file_of_tests_is_longer() -> None:
    found = {str(path.relative_to(TESTS)): path for path in TESTS.rglob("*.py")}
    lengths = {name: path.read_text().count("\n") for name, path in found.items()}
    assert len(lengths) > 100
    too_long = {name: lines for name, lines in lengths.items() if lines > LONGEST}
    assert too_long.keys() <= EXCEPTIONS.keys(), too_long
