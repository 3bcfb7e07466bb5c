"""Fixtures of the tests that ask a server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import ExecutionRecorder, StrategyExecutionLog, StrategyExecutionLogRepository
from tests import databases
from tests.maintaining import day, run_out
from tests.plans import seed
from tests.rows import row
from tests.types import Pool


@pytest.fixture(scope="module")
async def shared_repository(shared_dsn: str) -> AsyncIterator[StrategyExecutionLogRepository]:
    """One database for all examples of a module: each has strategies and realms of its own."""
    async with asyncpg.create_pool(shared_dsn, min_size=1, max_size=2) as pool:
        yield StrategyExecutionLogRepository(pool)


@pytest.fixture(scope="module")
async def seeded(template: str) -> AsyncIterator[Pool]:
    """A pool of one connection on the log whose plans are looked at."""
    # Vacuum marks no page as visible to all whose commit is not on disk yet, and the throwaway
    # server commits asynchronously.
    durable = {"synchronous_commit": "on"}
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=durable) as own,
    ):
        await seed(own)
        yield own


@pytest.fixture
async def scattered(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> list[StrategyExecutionLog]:
    """Rows of many days in DEFAULT, and those whose place is there."""
    await run_out(pool)
    rows = [day(ago, status=status) for ago in (0, 3, 15, 45) for status in ("ok", "error")]
    rows += [row(created_at=time) for time in (None, datetime.max.replace(tzinfo=UTC))]
    await repository.insert_rows(rows)
    return rows


@pytest.fixture
async def within_an_hour() -> None:
    """Begins when the hour does not end in the next moments: partitions of hours are counted."""
    rest = 3600 - time.time() % 3600
    if rest < 25:
        await asyncio.sleep(rest)


_LONG_WAYS = [pytest.param(name, marks=pytest.mark.long) for name in ("thread", "spool")]


@pytest.fixture(params=["loop", *_LONG_WAYS])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """Recorders of DSNs run in the test's event loop, in threads of their own, and with a spool."""
    begin, make = ExecutionRecorder.start, ExecutionRecorder.__init__

    async def start(recorder: ExecutionRecorder) -> None:
        background = recorder.background()
        if recorder._link.is_shared() or not background.is_new():
            await begin(recorder)
        else:
            background.start_thread()

    def make_spooled(recorder: ExecutionRecorder, *target: Any, **options: Any) -> None:
        make(recorder, *target, **({"spool": tmp_path / "spool"} | options))

    if request.param == "thread":
        monkeypatch.setattr(ExecutionRecorder, "start", start)
    elif request.param == "spool":
        monkeypatch.setattr(ExecutionRecorder, "__init__", make_spooled)
    return str(request.param)
