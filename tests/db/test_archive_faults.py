"""Archiving is killed, or the disk refuses: nothing is lost, and nothing doubled."""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from execlog import (
    StrategyExecutionLogRepository,
    erase_archived,
    maintain,
    verify_archive,
)
from execlog.archive.place import Place
from tests.archiving import (
    WANTED,
    archived,
    die_at,
    erasing,
    files_of,
    ids,
    in_files,
    in_log,
    killing,
    let_go,
    listed,
    moving_out,
    problems,
    users_in,
    with_partitions,
)
from tests.maintaining import DAY, day
from tests.types import Pool

Log = StrategyExecutionLogRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def killed_and_resumed(dsn: str, pool: Pool, log: Log, folder: Path, at: int | str) -> bool:
    """Whether a process was killed there; the next run ends what it began."""
    rows = [day(20), day(20, status="error"), day(40), day(41, status="error")]
    await with_partitions(pool, 20)
    await log.insert_rows(rows)
    process = killing().Process(target=die_at, args=(moving_out, dsn, str(folder), at))
    process.start()
    await asyncio.to_thread(process.join, 60)
    trusted = {name for name, *_ in await listed(pool)}
    assert trusted <= set(files_of(folder))
    await let_go(pool)
    await archived(pool, folder, retain_failures=30 * DAY)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == ids(rows[1])
    assert {name for name, *_ in await listed(pool)} == set(files_of(folder))
    assert not list(folder.glob("unfinished/*"))  # noqa: ASYNC240 - a few names
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == []
    return process.exitcode != 0


@pytest.mark.parametrize("at", ["write", "linked", "thin"])
async def test_a_kill_is_resumed(
    dsn: str, pool: Pool, repository: Log, folder: Path, at: str
) -> None:
    assert await killed_and_resumed(dsn, pool, repository, folder, at)


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_kill_anywhere_is_resumed(
    dsn: str, pool: Pool, repository: Log, tmp_path: Path
) -> None:
    place = 1
    while await killed_and_resumed(dsn, pool, repository, tmp_path / f"{place}", place):
        place += 2
        await pool.execute("truncate execlog.archived_file, execlog.archive")
    assert place > 20


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of one megabyte."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    with tempfile.TemporaryDirectory(prefix="execlog-disk-", dir="/tmp") as place:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place])
        if done.returncode:
            pytest.skip("no file system can be mounted here")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)


def remount(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", options, str(disk)], check=True)


async def test_a_full_disk(pool: Pool, repository: Log, small_disk: Path) -> None:
    folder = small_disk / "archive"
    await with_partitions(pool, 20)
    rows = [day(20, notes=os.urandom(400).hex()) for _ in range(1200)]
    await repository.insert_rows(rows)
    [problem] = await problems(pool, folder)
    assert problem == f"failed: {folder}: no space left on device"
    assert await in_log(pool) == ids(*rows)
    assert files_of(folder) == []
    # The rows have room, and the file does not.
    remount(small_disk, "remount,size=1400k")
    [problem] = await problems(pool, folder)
    assert problem.startswith("failed: ")
    assert "space" in problem
    assert await in_log(pool) == ids(*rows)
    assert files_of(folder) == []
    remount(small_disk, "remount,size=20m")
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == []


async def test_a_limit_of_the_size_of_files(pool: Pool, repository: Log, folder: Path) -> None:
    await with_partitions(pool, 20)
    rows = [day(20, notes=os.urandom(400).hex()) for _ in range(300)]
    await repository.insert_rows(rows)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        [problem] = await problems(pool, folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert problem == f"failed: {folder}: file too large"
    assert await in_log(pool) == ids(*rows)
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)


async def test_a_folder_that_can_t_be_written_to(
    pool: Pool, repository: Log, small_disk: Path
) -> None:
    folder = small_disk / "archive"
    await with_partitions(pool, 20, 21)
    rows = [day(20), day(21)]
    await repository.insert_rows(rows[:1])
    await archived(pool, folder)
    await repository.insert_rows(rows[1:])
    remount(small_disk, "remount,ro")
    assert await problems(pool, folder) == [f"failed: {folder}: read-only file system"]
    assert await in_log(pool) == ids(rows[1])
    remount(small_disk, "remount,rw")
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)


async def test_partitions_ahead_are_made_all_the_same(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    await with_partitions(pool, 20)
    steps = await maintain(pool, **WANTED, archive=tmp_path / "file")
    assert {one.outcome for one in steps if one.action == "attach"} == {"done"}
    [dropped] = [one for one in steps if one.action == "drop"]
    assert (dropped.outcome, dropped.problem) == ("failed", f"{tmp_path}/file: file exists")


async def test_a_connection_that_is_lost(
    dsn: str, repository: Log, pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_partitions(pool, 20)
    rows = [day(20)]
    await repository.insert_rows(rows)
    publish, loop = Place.publish, asyncio.get_running_loop()

    async def end_others() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()"
            " and datname = current_database() and state = 'idle in transaction'"
        )
        await connection.close()

    def publishing(self: Place, written: Path, name: str) -> None:
        publish(self, written, name)
        asyncio.run_coroutine_threadsafe(end_others(), loop).result()
        monkeypatch.setattr(Place, "publish", publish)

    monkeypatch.setattr(Place, "publish", publishing)
    steps = await maintain(dsn, **WANTED, archive=folder)
    [dropped] = [one for one in steps if one.action == "drop"]
    assert dropped.outcome == "failed"
    assert dropped.problem in ("the connection was lost", "admin shutdown (57P01)")
    assert await in_log(pool) == ids(*rows)
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == []


async def killed_while_erasing(dsn: str, pool: Pool, log: Log, folder: Path, at: int | str) -> bool:
    """Whether a process was killed there; the next run erases what is left."""
    rows = [day(20, external_user_id=user) for user in ("u", "v", None, "u")]
    await with_partitions(pool, 20)
    await log.insert_rows(rows)
    await archived(pool, folder)
    process = killing().Process(target=die_at, args=(erasing, dsn, str(folder), at))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert {name for name, *_ in await listed(pool)} <= set(files_of(folder))
    await let_go(pool)
    for expected in ({0, 2}, {0}):
        parts = erase_archived(pool, archive=folder, external_user_id="u")
        assert sum([one.executions async for one in parts]) in expected
    assert in_files(folder) == ids(*rows)
    assert users_in(folder) == ["v"]
    assert {name for name, *_ in await listed(pool)} == set(files_of(folder))
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    return process.exitcode != 0


@pytest.mark.parametrize("at", ["erase", "linked", "unlink"])
async def test_a_kill_while_erasing(
    dsn: str, pool: Pool, repository: Log, folder: Path, at: str
) -> None:
    assert await killed_while_erasing(dsn, pool, repository, folder, at)


@pytest.mark.long
async def test_a_kill_anywhere_while_erasing(
    dsn: str, pool: Pool, repository: Log, tmp_path: Path
) -> None:
    place = 1
    while await killed_while_erasing(dsn, pool, repository, tmp_path / f"{place}", place):
        place += 2
        await pool.execute("truncate execlog.archived_file, execlog.archive")
    assert place > 8
