"""Prints the lowest versions that pyproject.toml admits of what execlog needs, as constraints.

python3 tests/lowest.py          # name==version, one a line
python3 tests/lowest.py extras   # the extras that are no tools of ours: cli,demo,...
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["lowest", "runtime_extras"]

_FILE = Path(__file__).parents[1] / "pyproject.toml"
_TOOLS = re.compile(r"bench|dev|test(-.*)?|typing")
_BOUND = re.compile(r"([A-Za-z0-9._-]+)(?:\[.*\])?\s*>=\s*([0-9.]+)[^;]*(;.*)?")


def lowest() -> dict[str, str]:
    """The lowest version of each requirement by its name, a marker at its end if it has one.

    Raises:
        ValueError: A requirement has no lower bound.
    """
    project = _project()
    extras: Mapping[str, list[str]] = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(one for name in runtime_extras() for one in extras[name])]
    found = {}
    for requirement in wanted:
        if requirement.startswith(f"{project['name']}["):
            continue
        bound = _BOUND.fullmatch(requirement)
        if bound is None:
            raise ValueError(f"{requirement!r} has no lower bound")
        found[bound[1]] = bound[2] + (bound[3] or "")
    return found


def runtime_extras() -> list[str]:
    """The extras for those who use execlog."""
    return [name for name in _project()["optional-dependencies"] if not _TOOLS.fullmatch(name)]


def _project() -> Mapping[str, Any]:
    project: Mapping[str, Any] = tomllib.loads(_FILE.read_text())["project"]
    return project


if __name__ == "__main__":
    if sys.argv[1:] == ["extras"]:
        print(",".join(runtime_extras()))
    else:
        print("\n".join(f"{name}=={version}" for name, version in lowest().items()))
