"""A file that an erasure replaces between being listed and being opened: its successor is read."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest

from execlog import (
    ArchiveError,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    erase_archived,
    maintain,
)
from execlog.archive.asking import Held
from execlog.archive.files import Files
from execlog.archive.replaced import successors
from execlog.web import create_app
from tests.archiving import WANTED, archived, files_of, midnight, path, with_partitions
from tests.maintaining import DAY
from tests.rows import row
from tests.types import Pool

Log = StrategyExecutionLogRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


class _Erasing:
    """Erases a user once, just before the files that were listed are opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pool: Pool, folder: Path) -> None:
        self.users: list[str] = []
        check = Files.check

        async def checked(*arguments: Any) -> None:
            while self.users:
                user = self.users.pop()
                erased = erase_archived(pool, archive=folder, external_user_id=user)
                assert any([one.executions async for one in erased])
            await check(*arguments)

        monkeypatch.setattr(Files, "check", checked)


async def _prepared(pool: Pool, folder: Path) -> list[StrategyExecutionLog]:
    """A log whose rows are all in two files, one user in both of them."""
    await with_partitions(pool, 20, 21)
    rows = [
        row(created_at=midnight(days) + timedelta(hours=number), external_user_id=f"u{number}")
        for days in (20, 21)
        for number in range(4)
    ]
    await Log(pool).insert_rows(rows)
    await archived(pool, folder)
    return sorted(rows, key=lambda one: one.created_at or midnight(0), reverse=True)


def _ids(rows: list[StrategyExecutionLog]) -> list[UUID]:
    return [one.id for one in rows]


async def test_a_read_goes_on_with_the_successor(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = await _prepared(pool, folder)
    log, erasing = Log(pool, archive=folder), _Erasing(monkeypatch, pool, folder)
    erasing.users = ["u0"]
    found = await log.list_executions()
    assert _ids(found) == _ids(rows)
    assert [one.external_user_id for one in found] == [
        None if one.external_user_id == "u0" else one.external_user_id for one in rows
    ]
    assert files_of(folder) == [path(21, 2), path(20, 2)]
    erasing.users = ["u1"]
    assert await log.count_executions() == len(rows)
    erasing.users = ["u2"]
    assert _ids([one async for one in log.stream()]) == _ids(rows)
    erasing.users = ["u3"]
    assert (await log.get(id=rows[-1].id, strategy_id=rows[-1].strategy_id)) is not None
    assert files_of(folder) == [path(21, 5), path(20, 5)]
    (folder / path(20, 5)).unlink()
    with pytest.raises(ArchiveError, match="part-0005"):
        await log.list_executions()


@pytest.mark.long
async def test_a_page_goes_on_with_the_successor(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page reads in one snapshot, which has the old entry for good."""
    rows = await _prepared(pool, folder)
    erasing = _Erasing(monkeypatch, pool, folder)
    transport = httpx2.ASGITransport(
        app=create_app(pool, archive=folder), client=("127.0.0.1", 50000)
    )
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as site:
        erasing.users = ["u0"]
        found = await site.get("/executions?since=40d")
        assert found.status_code == 200, found.text
        assert all(str(one.id) in found.text for one in rows)
        assert "A part is missing" not in found.text and ">u0<" not in found.text


async def test_what_the_log_held_when_files_were_listed_is_not_read_twice(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The snapshot has failures of a thinned day; they are removed before the file is opened."""
    await with_partitions(pool, 20)
    rows = [
        row(created_at=midnight(20) + timedelta(hours=number), status=status, external_user_id="u")
        for number, status in enumerate(("ok", "error", "ok"))
    ]
    log = Log(pool)
    await log.insert_rows(rows)
    await archived(pool, folder, retain_failures=40 * DAY)
    check, erased = Files.check, list[bool]()

    async def checked(*arguments: Any) -> None:
        if not erased:
            erased.append(True)
            asked: dict[str, Any] = {"archive": folder, "external_user_id": "u"}
            _ = [one async for one in erase_archived(pool, **asked)]
            await maintain(pool, **WANTED, archive=folder)
        await check(*arguments)

    monkeypatch.setattr(Files, "check", checked)
    found = await Log(pool, archive=folder).list_executions()
    assert _ids(found) == _ids(rows[::-1])
    assert _ids(await Log(pool, archive=folder).list_executions()) == _ids(rows[::-1])


def _held(name: str, **changes: Any) -> Held:
    known = {
        "path": f"day/{name}",
        "bytes": 1,
        "first_at": midnight(20),
        "last_at": midnight(20),
        "rows": 3,
        "ok_rows": 1,
        "in_log": [(1, 2)],
        "failures_in_log": [],
    }
    usual: Held = Held._make(known.get(field) for field in Held._fields)
    return usual._replace(**changes)


def test_a_successor_must_be_certain() -> None:
    old, new = _held("part-0001"), _held("part-0002", bytes=9, in_log=[])
    assert successors([old], [new]) == {old.path: new._replace(in_log=[(1, 2)])}
    assert successors([old], [old, new]) == {}
    assert successors([old], [new, _held("part-0003")]) == {}
    assert successors([old, _held("part-0003")], [new]) == {}
    assert successors([old], [new._replace(rows=4)]) == {}
    assert successors([old], [new._replace(path="other/part-0002")]) == {}
    assert successors([], [new]) == {}
    # A failure of the log became an ok row of the file.
    assert successors([old], [new._replace(ok_rows=2)]) != {}
    assert successors([old._replace(failures_in_log=[(1, 2)])], [new._replace(ok_rows=2)]) == {}
