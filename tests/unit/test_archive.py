"""The archive's extra is asked for by those who name a folder, and by nothing else."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path
from uuid import uuid4

import pytest

from execlog import ArchiveError, Maintenance, maintain
from execlog.archive.place import Place
from tests.command import run

NOWHERE = "postgresql://127.0.0.1:1/none"


def test_the_package_and_the_command_do_without_it() -> None:
    asked = "import sys, execlog, execlog.cli; sys.exit('duckdb' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked]).returncode == 0


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(ArchiveError, match=r"needs its extra: pip install 'execlog\[archive\]'"):
        await maintain(NOWHERE, archive=tmp_path)


def test_a_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Maintenance().folder() is None
    assert Maintenance(archive="a/../b").folder() == str(tmp_path / "b")


def test_a_name_is_given_once(tmp_path: Path) -> None:
    place = Place(str(tmp_path / "archive"))
    place.claim(uuid4())
    path = place.path_of(date(2026, 11, 26), 1)
    assert path == "strategy_execution_log/day=2026-11-26/part-0001.parquet"
    with place.workspace("one") as space:
        for text in ("first", "second"):
            (space / text).write_text(text)
        place.publish(space / "first", path)
        with pytest.raises(ArchiveError, match="file exists"):
            place.publish(space / "second", path)
    assert (place.root / path).read_text() == "first"
    assert list((place.root / "unfinished").iterdir()) == []
    # It has no entry, and no run of ours was writing it: it stays.
    place.sweep([])
    assert place.strangers([]) == [path]


def test_a_folder_of_another_kind_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "strategy_execution_log").mkdir()
    with pytest.raises(ArchiveError, match=r"log\.json is not beside them"):
        Place(str(tmp_path)).claim(uuid4())
    assert [one.name for one in tmp_path.iterdir()] == ["strategy_execution_log"]


@pytest.mark.parametrize("command", ["verify", "restore"])
def test_a_folder_must_be_named(command: str) -> None:
    done = run("archive", command, EXECLOG_DSN=NOWHERE)
    assert done.returncode == 2
    assert "--archive" in done.stderr
