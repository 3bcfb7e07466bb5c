"""What a dead process stored and left in its spool is in the archive by the time it is found."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLogRepository,
    restore_archive,
)
from execlog.recorder.archived import Archived
from execlog.recorder.spool.listing import list_spool
from tests.archiving import archived, in_files, in_log, midnight, path, with_partitions
from tests.command import run
from tests.databases import TABLE
from tests.recording import AWAY, record
from tests.types import Pool

Log = StrategyExecutionLogRepository
ROWS = 40
# It dies once the rows are stored, before their file goes.
STORED = """
import os, sys, time
from datetime import datetime, timedelta
import execlog
from execlog.recorder.spool.spool import Spool
from tests.recording import record
begin = datetime.fromisoformat(sys.argv[3])
Spool.discard = lambda *_, **__: os.kill(os.getpid(), 9)
recorder = execlog.ExecutionRecorder(sys.argv[1], spool=sys.argv[2], linger=0.3)
recorder.__enter__()
for n in range(40):
    record(recorder, n, created_at=begin + timedelta(minutes=n))
time.sleep(60)
"""
# It dies before it has sent any.
WAITING = STORED.replace("linger=0.3", "linger=60").replace(
    "time.sleep(60)", "os.kill(os.getpid(), 9)"
)

RIGHTS = f"""
create role storing;
grant usage on schema execlog to storing;
grant insert on {TABLE} to storing;
grant execute on function
    execlog.claim_batch(uuid, bigint, uuid, uuid),
    execlog.keep_account(uuid, jsonb),
    execlog.list_stored_ids(uuid[], timestamptz[]),
    execlog.log_id()
to storing;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def died(script: str, dsn: str, spool: Path, begin: datetime) -> None:
    words = [sys.executable, "-c", script, dsn, str(spool), begin.isoformat()]
    assert subprocess.run(words, timeout=60).returncode == -signal.SIGKILL


async def stored_long_ago(dsn: str, pool: Pool, spool: Path, folder: Path) -> list[UUID]:
    """The ids of rows in a spool; all but three were stored, and moved to the archive since."""
    await with_partitions(pool, 20)
    died(STORED, dsn, spool, midnight(20))
    ids = await in_log(pool)
    assert len(ids) == ROWS
    await pool.execute(f"delete from {TABLE} where id = any($1)", ids[:3])
    await pool.execute("delete from execlog.recorder_progress")  # as a month later
    await archived(pool, folder)
    assert await in_log(pool) == []
    [left] = list_spool(spool)
    assert (left.state, left.rows) == ("dead", ROWS)
    return ids


async def test_it_waits_for_the_folder(
    dsn: str, pool: Pool, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    async with ExecutionRecorder(pool, spool=spool) as recorder:
        assert await recorder.flush()
        assert (recorder.stats().written, recorder.stats().pending_rows) == (0, 0)
    assert caplog.text.count(f"may be in the archive in {folder} on ") == 1
    assert [one.rows for one in list_spool(spool)] == [ROWS]
    async with ExecutionRecorder(pool, spool=spool, archive=folder) as second:
        assert await second.flush()
        assert second.stats().written == 3
    assert list_spool(spool) == []
    assert await in_log(pool) == ids[:3]
    assert sorted([*in_files(folder), *await in_log(pool)]) == ids


@pytest.mark.long
async def test_it_is_neither_lost_nor_doubled(
    dsn: str, pool: Pool, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    died(WAITING, AWAY, spool, midnight(20))  # which no process has sent
    async with ExecutionRecorder(dsn, spool=spool, linger=0.05) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        stats = recorder.stats()
        assert (stats.written, stats.recovered, stats.pending_rows) == (ROWS + 1, ROWS, 0)
    assert caplog.text.count(f"may be in the archive in {folder} on ") == 1
    assert len(await in_log(pool)) == ROWS + 1
    [left] = list_spool(spool)
    assert (left.state, left.rows) == ("dead", ROWS)
    done = run("spool", str(spool), "--drain", EXECLOG_DSN=dsn)
    assert done.returncode == 1
    assert done.stdout.startswith("stored 0 executions\n")
    assert "40 wait in their files: they may be in the archive: name it (--arc" in done.stderr
    done = run("spool", str(spool), "--drain", EXECLOG_DSN=dsn, EXECLOG_ARCHIVE=str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "stored 3 executions, 37 stored already\n"
    assert list_spool(spool) == []
    log = Log(pool, archive=folder)
    found = [one.id async for one in log.stream()]
    assert len(found) == len(set(found)) == 2 * ROWS + 1
    assert set(ids) < set(found)
    await archived(pool, folder)
    assert len(in_files(folder)) == 2 * ROWS
    assert await log.count_executions() == 2 * ROWS + 1


@pytest.mark.long
async def test_a_folder_that_can_t_be_read(
    dsn: str, pool: Pool, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    whole = (folder / path(20)).read_bytes()
    (folder / path(20)).write_bytes(whole[:-9])
    with ExecutionRecorder(dsn, spool=spool, archive=folder) as recorder:
        assert recorder.flush_blocking()
        assert recorder.stats().written == 0
    assert "has another size: it is damaged" in caplog.text
    assert await in_log(pool) == []
    (folder / path(20)).write_bytes(whole)
    async with ExecutionRecorder(pool, spool=spool, archive=folder) as second:
        assert await second.flush()
        assert (second.stats().written, second.stats().recovered) == (3, 3)
    assert list_spool(spool) == []
    assert sorted([*in_files(folder), *await in_log(pool)]) == ids


@pytest.mark.long
async def test_a_day_that_was_restored(dsn: str, pool: Pool, tmp_path: Path, folder: Path) -> None:
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    assert [one.restored async for one in restore_archive(pool, archive=folder)] == [37]
    async with ExecutionRecorder(pool, spool=spool) as recorder:
        assert await recorder.flush()
        assert recorder.stats().written == 3
    assert list_spool(spool) == []
    assert await in_log(pool) == ids
    await archived(pool, folder)
    assert in_files(folder) == ids


@pytest.mark.long
async def test_a_day_that_is_restored_meanwhile(
    dsn: str, pool: Pool, tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not in the log when that was asked, and is in no file alone when files are."""
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    await with_partitions(pool, 20)  # there is one again, for rows that come late
    files, times = Archived.files, []

    async def later(*arguments: Any) -> Any:
        times.append([one.restored async for one in restore_archive(pool, archive=folder)])
        return await files(*arguments)

    monkeypatch.setattr(Archived, "files", later)
    async with ExecutionRecorder(pool, spool=spool, archive=folder) as recorder:
        assert await recorder.flush()
        stats = recorder.stats()
        assert (stats.written, stats.rejected, stats.recovered) == (3, {}, 3)
    assert times == [[37]]
    assert (list_spool(spool), await in_log(pool)) == ([], ids)


@pytest.mark.long
async def test_a_role_that_may_not_ask_for_files(
    dsn: str, pool: Pool, tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What it finds stays there, and its own rows are stored."""
    spool = tmp_path / "spool"
    ids = await stored_long_ago(dsn, pool, spool, folder)
    await pool.execute("revoke execute on function execlog.archived_on(date[]) from public")
    role = f"storing_{uuid4().hex}"
    await pool.execute(RIGHTS.replace("storing", role))
    try:
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings={"role": role}
        ) as own:
            async with ExecutionRecorder(own, spool=spool, archive=folder) as recorder:
                record(recorder, 1)
                assert await recorder.flush()
                assert (recorder.stats().written, recorder.stats().recovered) == (1, 0)
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")
    assert caplog.text.count("may be in the archive, whose files the role may not ask for") == 1
    assert [one.rows for one in list_spool(spool)] == [ROWS]
    assert not set(ids) & set(await in_log(pool))


def test_an_archive_is_for_a_spool(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"^archive: is for a recorder with a spool$"):
        ExecutionRecorder(AWAY, archive=tmp_path)
    with pytest.raises(InvalidArgument, match=r"^archive: must be the path of a folder$"):
        ExecutionRecorder(AWAY, spool=tmp_path / "spool", archive=3)  # type: ignore[arg-type]
