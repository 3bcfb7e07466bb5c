"""The built wheel holds what it needs: an editable install would hide that it does not."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import execlog
from execlog.repository import statements

ROOT = Path(__file__).parents[2]
CHECK = """
import asyncio, pathlib, sys
import execlog
from execlog.repository import statements
here = pathlib.Path(execlog.__file__).parent
assert here.parent == pathlib.Path(sys.argv[1]), here
assert len(statements()) == int(sys.argv[2]), sorted(statements())
assert "create table" in "".join(execlog.dump_migrations())
if len(sys.argv) > 3:
    names = asyncio.run(execlog.migrate(sys.argv[3]))
    assert names == [path.stem for path in sorted((here / "migrations").glob("*.sql"))], names
print("ok")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout by its own build backend."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [built] = folder.glob("*.whl")
    return built


def test_what_is_inside(wheel: Path) -> None:
    assert wheel.name.startswith(f"execlog-{execlog.__version__}-")
    inside = set(zipfile.ZipFile(wheel).namelist())
    beside = {
        f"execlog/{path.relative_to(ROOT)}"
        for name in ("sql", "migrations")
        for path in (ROOT / name).rglob("*.sql")
    }
    assert beside <= inside
    assert {
        "execlog/py.typed",
        "execlog/embedded/_installation.py",
        "execlog/embedded/_watchdog.py",
        "execlog/demo/module_quality.json",
        "execlog/web/templates/replay.css",
    } <= inside
    assert not any(name.startswith(("tests/", "sql/", "migrations/")) for name in inside)


def test_it_works_where_there_is_no_checkout(wheel: Path, empty_dsn: str, tmp_path: Path) -> None:
    home = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(home)
    expected = len(statements())
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(home), str(expected), empty_dsn],
        cwd=tmp_path,
        env={"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == ("ok\n", "")


def test_a_stray_folder_beside_it_is_not_taken_for_ours(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(home)
    for name in ("sql", "migrations"):
        (home / "execlog" / name).rename(home / name)
    done = subprocess.run(
        [sys.executable, "-c", "import execlog; execlog.dump_migrations()"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(home)},
        capture_output=True,
        text=True,
    )
    assert "QueryFileError: this install lacks the folder" in done.stderr
