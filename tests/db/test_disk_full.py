"""A disk that is full: the recorder keeps what it has, and stores it when there is room again."""

from __future__ import annotations

import asyncio
import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.embedded import EmbeddedPostgres
from tests.databases import TABLE
from tests.maintaining import DAY
from tests.recording import assert_sum, record, until
from tests.rows import row


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A file system of three megabytes, for the server's user; it can grow."""
    if os.getuid() != 0:
        pytest.skip("only root can mount a small file system")
    with tempfile.TemporaryDirectory(prefix="execlog-disk-", dir="/tmp") as folder:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder])
        if done.returncode:
            pytest.skip("no file system can be mounted here")
        try:
            place = Path(folder, "tablespace")
            place.mkdir(mode=0o700)
            nobody = pwd.getpwnam("nobody")
            os.chown(place, nobody.pw_uid, nobody.pw_gid)
            Path(folder).chmod(0o755)
            yield place
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def grow(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk.parent)], check=True)


@pytest.mark.long
async def test_the_batch_waits_for_room(small_disk: Path) -> None:
    with EmbeddedPostgres() as server:
        await execlog.migrate(server.dsn)
        await execlog.maintain(server.dsn)
        async with asyncpg.create_pool(server.dsn, min_size=1, max_size=2) as pool:
            await pool.execute(f"create tablespace small location '{small_disk}'")
            now = await pool.fetchval("select to_char(now() at time zone 'UTC', 'YYYYMM')")
            await pool.execute(f"alter table {TABLE}_{now} set tablespace small")
            log = StrategyExecutionLogRepository(pool)
            async with ExecutionRecorder(server.dsn, linger=0.02) as recorder:
                while recorder.stats().retries == 0:
                    assert recorder.stats().written < 60_000, "the disk is not full"
                    for n in range(500 if recorder.stats().pending_rows < 5000 else 0):
                        record(recorder, n, notes="x" * 300)
                    await asyncio.sleep(0.02)
                await until(lambda: recorder.stats().retries > 2)
                stats = recorder.stats()
                assert stats.alive
                assert stats.last_error == "record: disk full (53100)"
                assert stats.dropped == stats.rejected == {}
                with pytest.raises(StoreUnavailable, match=r"^insert_rows: disk full \(53100\)$"):
                    await log.insert_rows(row(notes="x" * 3000) for _ in range(3000))
                await asyncio.to_thread(grow, small_disk)
                assert await recorder.flush(30)
            stats = recorder.stats()
            assert stats.written == stats.offered
            await assert_sum(server.dsn, stats)


@pytest.mark.long
async def test_no_room_to_rebuild_an_index(small_disk: Path) -> None:
    """What was begun is removed at once: it would keep the room from those that store."""
    begins = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - 45 * DAY
    indexes = (
        "select indexrelid::regclass::text from pg_index"
        " where indrelid = 'execlog.closed'::regclass"
    )
    with EmbeddedPostgres() as server:
        await execlog.migrate(server.dsn)
        async with asyncpg.create_pool(server.dsn, min_size=1, max_size=2) as pool:
            await pool.execute(f"create tablespace small location '{small_disk}'")
            await pool.execute(
                f"create table execlog.closed partition of {TABLE}"
                f" for values from ('{begins}') to ('{begins + DAY}')"
            )
            largest = await pool.fetchval(f"{indexes} and pg_get_indexdef(indexrelid) ~ 'INCLUDE'")
            await pool.execute(f"alter index {largest} set tablespace small")
            log = StrategyExecutionLogRepository(pool)
            for n in range(14):
                await log.insert_rows(
                    row(created_at=begins + timedelta(seconds=n * 1000 + m)) for m in range(1000)
                )
            names = {found[0] for found in await pool.fetch(indexes)}
            for outcome, problem in (("failed", "disk full (53100)"), ("done", None)):
                steps = await execlog.maintain(server.dsn)
                [step] = [one for one in steps if one.action == "rebuild"]
                assert (step.outcome, step.problem) == (outcome, problem)
                assert {found[0] for found in await pool.fetch(indexes)} == names
                assert await log.insert_rows([row(created_at=begins)]) == 1
                await asyncio.to_thread(grow, small_disk)
            assert await execlog.maintain(server.dsn) == []
