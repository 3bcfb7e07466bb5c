"""How a recorder with a spool ends, and that the next one has what it left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from asyncpg.transaction import Transaction

from execlog import ExecutionRecorder
from execlog.recorder.buffer import Policy
from execlog.recorder.spool import owner as owners
from execlog.recorder.spool.row_file import Content, RowFile
from execlog.recorder.spool.spool import Spool
from tests.db.test_spool import killed
from tests.db.test_spool_faults import rows_of, sizes_of
from tests.recording import AWAY, assert_none_is_missing, balanced, record, until

CREATE, COMMIT = RowFile.create, Transaction.commit


def is_own(path: Path) -> bool:
    """Whether this process made a file."""
    return owners.about(str(path.parent)).get("pid") == os.getpid()


@pytest.mark.long
async def test_it_ends_while_a_file_is_read(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread must go on, or the folders stay locked for as long as the process lives."""
    spool = tmp_path / "spool"
    killed(AWAY, spool)
    reading = threading.Event()
    read = RowFile.read

    def slowly(file: RowFile) -> Content:
        reading.set()
        time.sleep(0.5)
        return read(file)

    with monkeypatch.context() as slow:
        slow.setattr(RowFile, "read", slowly)
        recorder = ExecutionRecorder(dsn, spool=spool)
        await recorder.start()
        await until(reading.is_set)
        record(recorder, 1)
        stats = await recorder.aclose(0.1)
    assert stats.pending_rows == stats.spooled_rows == 3001
    assert (await assert_none_is_missing(dsn, 3001, spool=spool)).recovered == 3001
    assert os.listdir(spool) == []


def test_what_it_leaves_is_closed_and_cut(tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    for rows in (1, 700):  # some files of these wait open
        before = set(os.listdir("/proc/self/fd"))
        with ExecutionRecorder(AWAY, spool=spool, batch_rows=100) as recorder:
            for n in range(rows):
                record(recorder, n)
            recorder.close(0.05)
        del recorder
        gc.collect()
        assert set(os.listdir("/proc/self/fd")) <= before
        assert max(path.stat().st_size for path in spool.glob("*/*.rows")) < 64 * 1024


async def test_times_at_the_ends_of_the_calendar(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was stored is found, whatever its time is: it is neither sent again nor refused."""
    spool = tmp_path / "spool"
    first, last = (time.replace(tzinfo=UTC) for time in (datetime.min, datetime.max))
    odd = datetime(1960, 1, 2, 3, 4, 5, 678901, timezone(-timedelta(hours=23, minutes=59)))
    with monkeypatch.context() as killed_before:
        killed_before.setattr(Spool, "discard", lambda *_, **__: None)
        async with ExecutionRecorder(dsn, spool=spool) as recorder:
            for created_at in (first, last, odd, datetime(9999, 6, 1, tzinfo=UTC), None):
                record(recorder, 1, created_at=created_at)
            assert await recorder.flush()
    stats = await assert_none_is_missing(dsn, 5, spool=spool)
    assert (stats.recovered, stats.written, stats.rejected) == (0, 0, {})
    assert os.listdir(spool) == []


@pytest.mark.parametrize(
    "policy", ["drop_newest", pytest.param("drop_oldest", marks=pytest.mark.long)]
)
async def test_what_it_adopts_gives_way_to_nothing(
    dsn: str, tmp_path: Path, policy: Policy
) -> None:
    """It was accepted and has its place, also if its process had a larger limit."""
    spool = tmp_path / "spool"
    killed(AWAY, spool, rows=9000)
    limits: dict[str, Any] = {"spool": spool, "spool_bytes": 2**20, "policy": policy}
    with ExecutionRecorder(AWAY, **limits) as recorder:
        assert recorder.stats().recovered == 9000
        for n in range(20_000):
            record(recorder, n)
            if n % 500 == 0:
                await asyncio.sleep(0.002)  # the spool's thread has its turn
        own = [path for path in spool.glob("*/*.rows") if is_own(path)]
        assert sum(sizes_of(own)) <= 2**20
        stats = recorder.close(0.05)
    assert set(stats.dropped) <= {"full", "closed"}
    assert 9500 < stats.pending_rows < 20_000
    await assert_none_is_missing(dsn, stats.pending_rows, spool=spool)
    assert os.listdir(spool) == []


async def test_what_waited_in_memory_takes_few_descriptors_and_no_more_room_than_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(RowFile, "create", Mock(side_effect=OSError(28, "No space left on device")))
        recorder = ExecutionRecorder(AWAY, spool=tmp_path / "spool", batch_rows=50)
        await recorder.start()
        for n in range(10_000):
            record(recorder, n)
        assert recorder.stats().spooled_rows == 0
    before = len(os.listdir("/proc/self/fd"))
    await until(lambda: recorder.stats().spooled_rows >= 9900)
    assert len(os.listdir("/proc/self/fd")) < before + 40
    sizes = sizes_of(rows_of(tmp_path / "spool"))
    assert len(sizes) > 190
    assert sum(sizes) < 20 * 2**20
    stats = await recorder.aclose(0.05)
    assert balanced(stats)
    assert stats.dropped in ({}, {"closed": 50})


@pytest.mark.long
def test_small_batches_at_full_speed_are_in_files(tmp_path: Path) -> None:
    """Nothing waits in memory because the spool's thread hardly has its turn."""
    with ExecutionRecorder(AWAY, spool=tmp_path / "spool", batch_rows=100) as recorder:
        for n in range(40_000):
            record(recorder, n)
        stats = recorder.stats()
        assert stats.spooled_rows > 0.9 * stats.pending_rows
        recorder.close(0.05)


@pytest.mark.parametrize("doubtful", [False, True])
async def test_what_waits_in_memory_when_it_is_closed_goes_to_files(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, doubtful: bool
) -> None:
    """Also the batch that is being stored, whose commit may or may not have been done."""
    spool = tmp_path / "spool"
    recorder = ExecutionRecorder(dsn, spool=spool, batch_rows=100)
    with monkeypatch.context() as full:
        full.setattr(RowFile, "create", Mock(side_effect=OSError(28, "No space left on device")))
        if doubtful:
            full.setattr(Transaction, "commit", lost_commit)
        else:
            full.setattr("execlog.recorder.flusher.Delivery._claim", no_answer)
        await recorder.start()
        for n in range(1000):
            record(recorder, n)
        await until(lambda: recorder.stats().retries)
        assert recorder.stats().spooled_rows == 0
        full.setattr(RowFile, "create", CREATE)
        recorder._spool.trouble = None  # type: ignore[union-attr]
        stats = await recorder.aclose(0.01)
    assert balanced(stats)
    assert (stats.pending_rows, stats.spooled_rows, stats.dropped) == (1000, 1000, {})
    after = await assert_none_is_missing(dsn, 1000, spool=spool)
    assert (after.recovered, after.written) == ((900, 900) if doubtful else (1000, 1000))


async def lost_commit(transaction: Transaction) -> None:
    await COMMIT(transaction)
    raise ConnectionResetError


async def no_answer(*_: object) -> None:
    raise ConnectionResetError
