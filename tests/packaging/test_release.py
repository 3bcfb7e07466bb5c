"""A release is the same bytes wherever and whenever it is built, and its description renders."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.extras import needs
from tests.readme import README

ROOT = Path(__file__).parents[2]


def test_the_description_has_no_link_that_leads_nowhere() -> None:
    """A package index has no files beside it: their paths are shown instead."""
    command = [sys.executable, "-m", "hatchling", "metadata", "readme"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    links = re.findall(r"\]\((?!https?:)[^)]*\)", done.stdout)
    assert links == [] and "](" in README
    assert "[execlog/web](execlog/web/README.md)" in README
    assert "execlog/web (`execlog/web/README.md`)" in done.stdout
    for code in re.findall(r"```.+?```", README, re.DOTALL):
        assert code in done.stdout


@pytest.mark.long
@needs("readme_renderer")
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a release is of a commit")
def test_two_builds_are_the_same_bytes(tmp_path: Path) -> None:
    """In two clones, at two times, with two umasks; and once more after that, from here."""
    folder = tmp_path / "dist"
    done = subprocess.run(
        [str(ROOT / ".ci/release"), str(folder)],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert set((folder / "SHA256SUMS").read_text().splitlines()) == {
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}"
        for path in folder.glob("*.*")
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert ("[project.urls]" in done.stdout) == ("urls" not in project)
    [wheel] = folder.glob("*.whl")
    [mode] = {one.external_attr >> 16 & 0o7077 for one in zipfile.ZipFile(wheel).infolist()}
    assert mode == 0o44
