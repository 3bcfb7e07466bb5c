"""Odd times, ids and files: reads of the archive answer, or name the file that is wrong."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from execlog import ArchiveError, StrategyExecutionLogRepository, restore_archive
from tests.archiving import archived, ids, in_log, midnight, move, path, with_partitions
from tests.maintaining import day
from tests.rows import row
from tests.types import Pool

Log = StrategyExecutionLogRepository
FIRST = datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def test_ids_are_looked_for_beside_a_file_of_the_first_hour(
    pool: Pool, repository: Log, folder: Path
) -> None:
    rows = [row(created_at=FIRST), day(20)]
    await repository.insert_rows(rows)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    for one in rows:
        found = await log.get(id=one.id)
        assert found is not None
        assert found.id == one.id
    for unknown in (UUID("01900000-0000-7000-8000-000000000001"), UUID(int=2**128 - 1)):
        assert await log.get(id=unknown) is None
    # An id of version 7 has room for times beyond the calendar.
    assert await log.get(id=UUID("ffffffff-ffff-7fff-bfff-ffffffffffff")) is None


async def test_restored_rows_of_the_first_day_leave_again(
    pool: Pool, repository: Log, folder: Path
) -> None:
    one = row(created_at=FIRST)
    await repository.insert_rows([one])
    await archived(pool, folder)
    assert [found.restored async for found in restore_archive(pool, archive=folder)] == [1]
    assert await in_log(pool) == ids(one)
    await archived(pool, folder)
    assert await in_log(pool) == []


async def test_a_file_of_another_size_is_not_read(
    pool: Pool, repository: Log, folder: Path
) -> None:
    await with_partitions(pool, 20, 21)
    rows = [day(20, notes=f"{number}") for number in range(9)] + [day(21), day(0)]
    await repository.insert_rows(rows)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    # It can be decoded: without the sizes nine runs would be missing, and one there twice.
    move(folder / path(20), folder / "aside")
    shutil.copy(folder / path(21), folder / path(20))
    with pytest.raises(ArchiveError, match=f"{path(20)} has another size"):
        await log.list_newest()
    with pytest.raises(ArchiveError, match=f"{path(20)} has another size"):
        assert [one async for one in log.stream()]
    (folder / path(20)).unlink()
    with pytest.raises(ArchiveError, match=f"{path(20)} is missing"):
        await log.count_executions()
    assert [one.id for one in await log.list_executions(since=midnight(1))] == ids(rows[-1])
