"""What the recorder's tests share: a load, an absent server, a hostile value, the final sum."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any

import asyncpg

from execlog import ExecutionRecorder, RecorderStats
from tests.databases import CLIENTS, TABLE
from tests.rows import fields
from tests.types import Connection

AWAY = "postgresql://user:s3cret@127.0.0.1:1/nowhere"


def unstarted(target: Any, **options: Any) -> ExecutionRecorder:
    """A recorder that executions don't start: they wait until the test starts it, if it does."""
    recorder = ExecutionRecorder(target, **options)
    recorder._background.take_over = lambda: None  # type: ignore[method-assign]
    recorder._background.is_paused = lambda: False  # type: ignore[method-assign]
    recorder._background._start_by_itself = lambda: None  # type: ignore[method-assign]
    return recorder


class Hostile:
    """Answers every question with an exception."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Hostile
        raise RuntimeError("s3cret")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("s3cret")

    __hash__ = object.__hash__


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns when the condition holds; it may answer an awaitable. Fails after so many seconds."""
    for _ in range(int(seconds * 100)):
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


async def terminate_others(connection: Connection) -> int:
    """Ends every other client's backend; how many there were."""
    return len(
        await connection.fetch(
            f"select pg_terminate_backend(pid) from {CLIENTS} and pid <> pg_backend_pid()"
        )
    )


async def load(recorder: ExecutionRecorder, seconds: float, rate: int = 5000) -> None:
    """Records at this rate, one run of twenty a failure with a trace, for so many seconds."""
    clock = asyncio.get_running_loop().time
    begin, sent = clock(), 0
    while (passed := clock() - begin) < seconds:
        while sent < passed * rate:
            record(recorder, sent)
            sent += 1
        await asyncio.sleep(0.002)


def record(recorder: ExecutionRecorder, n: int, **changes: Any) -> object:
    usual: dict[str, Any] = {"nodes_executed": n % 1000, "notes": str(n)}
    if n % 20 == 0:
        usual |= {"status": "error", "error_code": "E1", "trace": [{"node": n}]}
    return recorder.record(**fields(**(usual | changes)))


def balanced(stats: RecorderStats) -> bool:
    """Whether what was offered or recovered is the sum of what became of it."""
    return stats.offered + stats.recovered == (
        stats.sampled_out
        + sum(stats.rejected.values())
        + sum(stats.dropped.values())
        + stats.written
        + stats.pending_rows
    )


async def assert_sum(dsn: str, stats: RecorderStats) -> None:
    """Each execution that counts as written is there once, and no other is."""
    assert balanced(stats), stats
    await assert_stored(dsn, stats.written)


def assert_left(stats: RecorderStats, way: str, rows: int, reason: str) -> None:
    """So many were neither stored nor rejected: dropped for a reason, but with a spool they wait.

    `way` is the fixture's name for how the recorder runs.
    """
    assert balanced(stats), stats
    waits = rows if way == "spool" else 0
    assert (stats.pending_rows, stats.spooled_rows) == (waits, waits), stats
    assert stats.dropped == ({} if waits else {reason: rows}), stats


async def assert_none_is_missing(dsn: str, rows: int, **options: Any) -> RecorderStats:
    """Another recorder stores what a spool holds: then so many are there, each once."""
    async with ExecutionRecorder(dsn, **options) as recorder:
        assert await recorder.flush(30), recorder.stats()
    stats = recorder.stats()
    assert balanced(stats), stats
    assert stats.pending_rows == 0, stats
    await assert_stored(dsn, rows)
    return stats


async def assert_stored(dsn: str, rows: int) -> None:
    """So many executions are stored, each once."""
    connection = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        found = await connection.fetchrow(f"select count(*), count(distinct id) from {TABLE}")
    finally:
        await connection.close()
    assert found is not None
    assert (found[0], found[1]) == (rows, rows)
