"""Runs the demo: engine processes score, this process records their runs and reads the log back."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg

from execlog import (
    ExecutionRecorder,
    RecorderStats,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    migrate,
)
from execlog.db.connect import Connector
from execlog.demo.engine import STRATEGY, score
from execlog.display.format import percent
from execlog.errors import driver_errors

__all__ = ["Answers", "Recorded", "read_answers", "record_executions", "run"]

_MODULES_A_TASK = 25
_MOST_PROCESSES = 4
_FAILURES_SHOWN = 3  # of each status
_FAILED = ("error", "timeout", "limit")

Progress = Callable[[int], None]
"""Called with the number of executions recorded since the last call."""


@dataclass(frozen=True)
class Recorded:
    """What was recorded: start time, seconds in all, seconds in `record`, the final account."""

    since: datetime
    seconds: float
    record_seconds: float
    stats: RecorderStats


@dataclass(frozen=True)
class Answers:
    """The repository's answers; rows and columns as for a table."""

    server: str
    total: int
    statuses: list[tuple[str, int, str]]
    codes: list[tuple[str, int]]
    cases: list[tuple[str, int]]
    percentiles: list[tuple[str, str]]
    method: str
    failures: list[tuple[datetime | str | None, ...]]


async def run(dsn: str, paths: Sequence[str], progress: Progress) -> tuple[Recorded, Answers]:
    """Migrates, scores the modules, records each execution and reads the log back.

    Raises:
        ExeclogError: The server can't be used.
    """
    await migrate(dsn)
    recorded = await record_executions(dsn, paths, progress)
    # Read where it was written: a standby may not have it yet.
    connect = Connector(dsn, "dsn", writes=True, seconds=10)
    with driver_errors("demo"):
        pool = await asyncpg.create_pool(connect=connect, min_size=1, max_size=4)
    try:
        repository = StrategyExecutionLogRepository(pool)
        return recorded, await read_answers(repository, pool, recorded.since)
    finally:
        await asyncio.wait_for(pool.close(), 10)


async def record_executions(dsn: str, paths: Sequence[str], progress: Progress) -> Recorded:
    """Scores in separate processes, as engines do, and records what these return.

    Raises:
        StoreUnavailable: Not every execution was stored.
    """
    loop = asyncio.get_running_loop()
    began, since, record_seconds = time.perf_counter(), datetime.now(UTC), 0.0
    # Spawned, not forked: the engine's runtime has threads.
    engines = ProcessPoolExecutor(
        min(os.cpu_count() or 1, _MOST_PROCESSES), multiprocessing.get_context("spawn")
    )
    try:
        async with ExecutionRecorder(dsn) as recorder:
            # This process alone handles Ctrl-C; its children block the signal.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            tasks = [
                loop.run_in_executor(engines, score, paths[first : first + _MODULES_A_TASK])
                for first in range(0, len(paths), _MODULES_A_TASK)
            ]
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            for task in asyncio.as_completed(tasks):
                executions = await task
                begin = time.perf_counter()
                for fields in executions:
                    recorder.record(**fields)
                record_seconds += time.perf_counter() - begin
                progress(len(executions))
            stats = await recorder.aclose()
    finally:
        engines.shutdown(wait=False, cancel_futures=True)
    if stats.written < stats.offered:
        lost = f"{stats.offered - stats.written} of {stats.offered} executions were not stored"
        raise StoreUnavailable(f"{lost}: {stats.last_error or stats.rejected}")
    return Recorded(since, time.perf_counter() - began, record_seconds, stats)


async def read_answers(
    repository: StrategyExecutionLogRepository,
    pool: asyncpg.Pool[asyncpg.Record],
    since: datetime,
) -> Answers:
    """The runbook's first questions, answered by the repository.

    Raises:
        ExeclogError: The server can't be used.
    """
    scope: dict[str, Any] = {"strategy_id": STRATEGY, "since": since}
    counts, codes, cases, percentiles, failures = await asyncio.gather(
        repository.count_by_status(**scope),
        repository.count_by_error_code(**scope),
        repository.count_by_case_name(**scope),
        repository.duration_percentiles(**scope),
        _newest_failures(repository, since),
    )
    total = sum(counts.values())
    async with pool.acquire() as connection:
        version = connection.get_settings().server_version.split()[0]
    return Answers(
        server=f"Postgres {version}",
        total=total,
        statuses=[(s, n, percent(n / total)) for s, n in counts.items()],
        codes=[(row.code, row.count) for row in codes],
        cases=[(row.case_name or "(no rule matched)", row.count) for row in cases],
        percentiles=[
            (f"p{fraction * 100:g}", f"{value:.2f} ms")
            for fraction, value in zip(percentiles.fractions, percentiles.values_ms, strict=True)
        ],
        method=f"{percentiles.method}, {percentiles.sample_size:,} rows",
        failures=[_failure(row) for row in failures],
    )


async def _newest_failures(
    repository: StrategyExecutionLogRepository, since: datetime
) -> list[StrategyExecutionLog]:
    """The newest of each failed status, so that no kind crowds out the others."""
    lists = await asyncio.gather(
        *(
            repository.list_for_strategy(strategy_id=STRATEGY, status=status, limit=_FAILURES_SHOWN)
            for status in _FAILED
        )
    )
    return [row for rows in lists for row in rows if row.created_at and row.created_at >= since]


def _failure(row: StrategyExecutionLog) -> tuple[datetime | str | None, ...]:
    first_line = (row.error_message or "").partition("\n")[0]
    return (
        row.created_at,
        row.status,
        row.error_code or "",
        f"{row.duration_ms:.1f} ms",
        row.external_user_id or "",
        first_line,
    )
