"""Reads of the archive: of no changed file, and not at the cost of the log; nor is archiving."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import (
    ArchiveError,
    InvalidArgument,
    StoreUnavailable,
    StrategyExecutionLogRepository,
    maintain,
)
from execlog.admin import summing, yielding
from execlog.admin.lease import Lease
from execlog.archive.files import Files
from execlog.archive.part import Sums
from tests.archiving import (
    archived,
    ids,
    in_files,
    in_log,
    midnight,
    move,
    path,
    problems,
    with_partitions,
)
from tests.maintaining import DAY, day
from tests.types import Pool

Log = StrategyExecutionLogRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
async def log(pool: Pool, repository: Log, folder: Path) -> Log:
    """Two days, both in files."""
    await with_partitions(pool, 20, 21)
    await repository.insert_rows([*(day(20, notes=f"{n}") for n in range(50)), day(21)])
    await archived(pool, folder)
    return Log(pool, archive=folder)


def flipped(file: Path, place: int, bit: int = 0) -> None:
    """Changes one bit, in place."""
    with file.open("r+b") as bytes_:
        bytes_.seek(place)
        [value] = bytes_.read(1)
        bytes_.seek(place)
        bytes_.write(bytes([value ^ 1 << bit]))


def places_of(file: Path) -> dict[str, int]:
    """A byte of each part of a Parquet file: the footer lies at its end, before its length."""
    data = file.read_bytes()
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    statistics = data.rindex(b"strategy", footer)
    return {
        "magic": 0,
        "header of the first page": 4,
        "data of a page": 4 + (footer - 4) // 3,
        "data of the last page": footer - 1,
        "footer": footer + 9,
        "statistics": statistics,
        "length of the footer": len(data) - 8,
        "last byte": len(data) - 1,
    }


async def refused(log: Log, file: Path) -> None:
    """No answer is made of the file, which is named; the other day is answered."""
    said = re.escape(f"{file} is damaged: its digest is another")
    with pytest.raises(ArchiveError, match=said):
        await log.count_executions()
    with pytest.raises(ArchiveError, match=said):
        await log.list_executions(since=midnight(20), limit=1)
    assert await log.count_executions(until=midnight(20)) == 1


async def test_a_flipped_bit_in_any_part_is_noticed(log: Log, folder: Path) -> None:
    file = folder / path(20)
    assert await log.count_executions() == 51
    for place in places_of(file).values():
        flipped(file, place)
        await refused(log, file)
        flipped(file, place)
    assert await log.count_executions() == 51


@pytest.mark.long
async def test_any_flipped_bit_is_noticed(log: Log, folder: Path) -> None:
    file, draw = folder / path(20), random.Random(3)
    for _ in range(300):
        place, bit = draw.randrange(file.stat().st_size), draw.randrange(8)
        flipped(file, place, bit)
        await refused(log, file)
        flipped(file, place, bit)
    assert await log.count_executions() == 51


async def test_a_file_is_read_whole_once_a_process(
    log: Log, pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    digest = hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        taken.append(name)
        return digest(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    for reader in (log, log, Log(pool, archive=folder)):
        assert await reader.count_executions() == 51
    assert len(taken) == 2


@pytest.mark.long
async def test_files_that_take_long_to_check_are_checked_in_several_calls(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    digest = hashlib.file_digest

    def slow(file: Any, name: str) -> Any:
        time.sleep(0.3)
        taken.append(name)
        return digest(file, name)

    await with_partitions(pool, *range(20, 26))
    await repository.insert_rows([day(ago) for ago in range(20, 26)])
    await archived(pool, folder)
    monkeypatch.setattr(hashlib, "file_digest", slow)
    hasty, failed = Log(pool, archive=folder, timeout=0.5), 0
    while failed < 20:
        try:
            assert await hasty.count_by_status(strategy_id=day(20).strategy_id) == {"ok": 6}
            break
        except StoreUnavailable:
            failed += 1
    assert 0 < failed < 20
    assert len(taken) == 6


async def test_a_change_that_leaves_the_time_is_noticed(log: Log, folder: Path) -> None:
    """As by a copy that keeps times, or another file that takes the name."""
    file = folder / path(20)
    assert await log.count_executions() == 51
    before = file.stat()
    flipped(file, 400)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    await refused(log, file)
    flipped(file, 400)
    move(file, folder / "aside")
    changed = bytearray((folder / "aside").read_bytes())
    changed[400] ^= 1
    file.write_bytes(changed)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    await refused(log, file)
    (folder / "aside").replace(file)
    assert await log.count_executions() == 51


async def test_a_path_that_would_be_a_pattern_is_refused(pool: Pool, tmp_path: Path) -> None:
    for name in ("a*b", "a?b", "a[1]b", "[", "**/x"):
        odd = tmp_path / name / "archive"
        with pytest.raises(InvalidArgument, match=r"^archive: must be a path without"):
            await maintain(pool, archive=odd)
        with pytest.raises(InvalidArgument, match=r"^archive: must be a path without"):
            Log(pool, archive=odd)
        assert not odd.parent.exists()


@pytest.mark.parametrize(
    "name",
    [
        'it\'s a "x" {a,b}',
        pytest.param("%41 #é\\$x", marks=pytest.mark.long),
        pytest.param("]~;--", marks=pytest.mark.long),
    ],
)
async def test_any_other_path_is_a_path(
    pool: Pool, repository: Log, tmp_path: Path, name: str
) -> None:
    await with_partitions(pool, 20)
    one = day(20)
    await repository.insert_rows([one])
    (tmp_path / name).mkdir()
    await archived(pool, tmp_path / name / name)
    assert await in_log(pool) == []
    found = await Log(pool, archive=tmp_path / name / name).list_newest()
    assert [one.id for one in found] == ids(one)


async def test_a_folder_of_files_that_is_a_link_is_named(
    log: Log, pool: Pool, folder: Path, tmp_path: Path
) -> None:
    table = folder / "strategy_execution_log"
    move(table, tmp_path / "elsewhere")
    table.symlink_to(tmp_path / "elsewhere")
    said = f"{table} is a symbolic link: name the folder that has the files"
    with pytest.raises(ArchiveError, match=re.escape(said)):
        await log.list_newest()
    await with_partitions(pool, 22)
    assert await problems(pool, folder) == [f"failed: {said}"]


async def test_a_link_to_the_whole_folder_is_as_good(
    log: Log, pool: Pool, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert await Log(pool, archive=tmp_path / "link").count_executions() == 51


@pytest.fixture
async def hasty(dsn: str, pool: Pool, repository: Log, folder: Path) -> AsyncIterator[Log]:
    """A log with runs of files between its failures; its sessions may be idle for 2 s."""
    await with_partitions(pool, 20, 21)
    failures = [day(ago, status="error") for ago in (0, 21)]
    await repository.insert_rows([*failures, *(day(20) for _ in range(600)), day(21)])
    await archived(pool, folder, retain_failures=30 * DAY)
    limits = {"idle_in_transaction_session_timeout": "2s"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=limits) as theirs:
        yield Log(theirs, archive=folder)


@pytest.mark.long
async def test_slow_files_do_not_end_the_transaction(
    hasty: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log's failure is read after them, from the snapshot of before."""
    rows, seconds = Files.rows, [3.0]

    async def slow(*given: Any, **values: Any) -> Any:
        await asyncio.sleep(seconds.pop() if seconds else 0)
        return await rows(*given, **values)

    monkeypatch.setattr(Files, "rows", slow)
    found = [one.status async for one in hasty.stream(since=midnight(20) - DAY, realm_id=None)]
    assert (len(found), found.count("error"), seconds) == (603, 2, [])


@pytest.mark.long
async def test_a_slow_reader_of_files_is_no_idle_one(hasty: Log) -> None:
    seen = 0
    async for _ in hasty.stream():
        seen += 1
        if 400 < seen < 411:
            await asyncio.sleep(0.3)
    assert seen == 603


@pytest.mark.long
async def test_a_reader_of_files_that_stops_is_ended(hasty: Log) -> None:
    with pytest.raises(StoreUnavailable, match="idle"):
        async for one in hasty.stream():
            if one.status == "ok":
                await asyncio.sleep(3)
    assert len([one async for one in hasty.stream()]) == 603


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Others store all the time, and pieces are of two pages; the pages that were read, at last."""
    monkeypatch.setattr(yielding, "_SHORTEST", 0.0)
    monkeypatch.setattr(yielding, "_BUSY_RATE", -1.0)
    monkeypatch.setattr(yielding, "WORK_SECONDS", 0.0)
    monkeypatch.setattr(summing, "WORK_SECONDS", 0.0)
    monkeypatch.setattr(summing, "_LEAST_PAGES", 2)
    monkeypatch.setattr(yielding, "_LONGEST_PAUSE", 0.001)
    statement, ends = summing._statement, []

    async def noting(lease: Lease, words: Mapping[str, str], *, whole: bool) -> summing.Read:
        own = await statement(lease, words, whole=whole)

        async def read(first: int, last: int) -> Sums:
            ends.append(last)
            return await own(first, last)

        return read

    monkeypatch.setattr(summing, "_statement", noting)
    return ends


async def test_archiving_beside_writers_is_the_same_but_waits(
    pool: Pool, repository: Log, folder: Path, busy: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pause, seen = yielding.Yielding.pause, []

    async def paused(self: yielding.Yielding) -> None:
        seen.append(self.is_busy)
        await pause(self)

    monkeypatch.setattr(yielding.Yielding, "pause", paused)
    await with_partitions(pool, 20)
    rows = [day(20, notes=f"{n}") for n in range(300)]
    await repository.insert_rows(rows)
    await archived(pool, folder)
    assert busy == list(range(2, max(busy) + 1, 2)) and len(busy) > 2
    assert len(seen) > len(busy) and all(seen)
    assert await in_log(pool) == []
    assert in_files(folder) == ids(*rows)


async def test_pages_that_are_left_are_summed_at_once_when_others_stop(
    pool: Pool, repository: Log, folder: Path, busy: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = yielding.Yielding.look

    def looked(self: yielding.Yielding, rows: int) -> None:
        look(self, rows)
        self.is_busy = len(busy) < 2

    monkeypatch.setattr(yielding.Yielding, "look", looked)
    await with_partitions(pool, 20)
    rows = [day(20, notes=f"{n:0600}") for n in range(300)]
    await repository.insert_rows(rows)
    await archived(pool, folder)
    assert busy[:2] == [2, 4] and busy[2] > 6 and len(busy) == 3
    assert in_files(folder) == ids(*rows)


async def test_archiving_that_is_cancelled_in_a_pause_leaves_nothing(
    pool: Pool, repository: Log, folder: Path, busy: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()

    async def paused(_: yielding.Yielding) -> None:
        waits.set()
        await asyncio.sleep(3600)

    await with_partitions(pool, 20)
    await repository.insert_rows([day(20)])
    with monkeypatch.context() as patch:
        patch.setattr(yielding.Yielding, "pause", paused)
        task = asyncio.create_task(archived(pool, folder))
        await asyncio.wait_for(waits.wait(), 60)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
    assert in_files(folder) == [] and len(await in_log(pool)) == 1
    await archived(pool, folder)
    assert await in_log(pool) == []
