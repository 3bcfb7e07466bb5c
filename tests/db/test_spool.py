"""What a recorder's spool keeps, and who stores it afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from execlog import ExecutionRecorder
from tests.databases import TABLE
from tests.recording import AWAY, assert_sum, balanced, load, record
from tests.rows import fields

KILLED = """
import os, sys, time
import execlog
from tests.recording import record
recorder = execlog.ExecutionRecorder(sys.argv[1], spool=sys.argv[2], linger=float(sys.argv[3]))
recorder.__enter__()
for n in range(int(sys.argv[4])):
    record(recorder, n)
print(recorder.stats().spooled_rows, flush=True)
for _ in range(600):  # a signal that comes just when one of them begins is seen after it
    time.sleep(0.1)
"""


def killed(dsn: str, spool: Path, *, rows: int = 3000, linger: float = 30) -> int:
    """A process records so many runs, and is killed; how many lay in files."""
    arguments = [sys.executable, "-c", KILLED, dsn, str(spool), str(linger), str(rows)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        spooled = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    return spooled


async def test_what_waits_is_in_files_and_is_stored(dsn: str, tmp_path: Path) -> None:
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool", linger=30) as recorder:
        for n in range(3000):
            record(recorder, n)
        stats = recorder.stats()
        assert stats.spooled_rows == stats.pending_rows > 0
        assert stats.spooled_bytes > 100 * stats.spooled_rows
        assert await recorder.flush()
        assert recorder.stats().spooled_rows == recorder.stats().spooled_bytes == 0
    await assert_sum(dsn, recorder.stats())
    assert recorder.stats().written == 3000
    assert os.listdir(tmp_path / "spool") == []


async def test_a_killed_process_loses_nothing(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    assert killed(AWAY, spool, rows=5000) == 5000
    recorder = ExecutionRecorder(dsn, spool=spool)
    await recorder.start()
    stats = recorder.stats()
    assert stats.recovered == 5000
    assert stats.offered == 0
    assert await recorder.flush()
    stats = await recorder.aclose()
    assert (stats.recovered, stats.written, stats.pending_rows) == (5000, 5000, 0)
    await assert_sum(dsn, stats)
    assert os.listdir(spool) == []


@pytest.mark.long
async def test_a_store_that_is_away_until_the_end(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    recorder = ExecutionRecorder(AWAY, spool=spool)
    await recorder.start()
    await load(recorder, 1)
    stats = await recorder.aclose(timeout=0.5)
    assert balanced(stats)
    assert stats.dropped == {}
    assert stats.pending_rows == stats.spooled_rows == stats.offered > 1000
    async with ExecutionRecorder(dsn, spool=spool) as other:
        assert other.stats().recovered == stats.offered
        assert await other.flush()
    await assert_sum(dsn, other.stats())


async def test_a_store_that_is_away_is_not_waited_for_long(tmp_path: Path) -> None:
    """What lies in files is safe; a recorder without a spool waits as long as it may."""
    recorder = ExecutionRecorder(AWAY, spool=tmp_path / "spool")
    await recorder.start()
    record(recorder, 1)
    begin = time.monotonic()
    stats = await recorder.aclose()
    assert time.monotonic() - begin < 5
    assert (stats.pending_rows, stats.spooled_rows, stats.dropped) == (1, 1, {})


async def test_an_id_that_was_given_twice_is_stored_twice(dsn: str, tmp_path: Path) -> None:
    """Of one that is in the log, an execution of another time is no copy."""
    recorder = ExecutionRecorder(AWAY, spool=tmp_path / "spool")
    await recorder.start()
    twice = uuid4()
    times = [datetime(2026, 5, day, tzinfo=UTC) for day in (1, 2)]
    for time_ in times:
        recorder.record(**fields(id=twice, created_at=time_))
    await recorder.aclose(timeout=0.3)
    async with ExecutionRecorder(dsn) as other:
        other.record(**fields(id=twice, created_at=times[0]))
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool") as other:
        assert await other.flush()
    stats = other.stats()
    assert balanced(stats)
    connection = await asyncpg.connect(dsn)
    found = await connection.fetch(f"select created_at from {TABLE} order by 1")
    await connection.close()
    assert [one["created_at"] for one in found] == times
    assert (stats.written, stats.rejected) == (1, {"refused_by_store": 1})
