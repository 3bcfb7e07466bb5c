"""What the parts of the benchmark share: the server, the peer, the rows, the printing of lines."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateSchema

import execlog.ids
from execlog import StrategyExecutionLog
from execlog.embedded import EmbeddedPostgres
from execlog.rows import row_arguments
from tests import databases
from tests.bench.peer import SCHEMA, Base, PeerRepository

STRATEGIES = 10
FAILED = 0.05
BATCH = 5000
TRACE = [
    {"node": f"rule-{n}", "ms": 0.125 * n, "input": {"points": n}, "output": {"points": n + 1}}
    for n in range(10)
]
DURABLE = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "1GB",
    "max_wal_size": "16GB",
}


def fields(n: int, end: datetime, dice: random.Random) -> dict[str, Any]:
    """The fields of the n-th execution before `end`, one millisecond each."""
    failed = dice.random() < FAILED
    return {
        "id": execlog.ids.uuid7(),
        "created_at": end - timedelta(milliseconds=n),
        "strategy_id": f"strategy-{n % STRATEGIES}",
        "strategy_version": 3,
        "strategy_type": "DSL_FULL",
        "realm_id": f"realm-{n % 3}",
        "external_game_id": f"game-{n % 100}",
        "external_task_id": f"task-{n % 1000}",
        "external_user_id": f"user-{n % 50_000}",
        "status": dice.choice(["error", "error", "timeout", "limit"]) if failed else "ok",
        "error_code": f"E{dice.randrange(5)}" if failed else None,
        "points": None if failed else float(dice.randrange(50)),
        "case_name": f"case-{dice.randrange(7)}",
        "duration_ms": dice.lognormvariate(2, 1),
        "nodes_executed": dice.randrange(1, 30),
        "trace": TRACE if failed else None,
    }


@asynccontextmanager
async def bench_database() -> AsyncIterator[str]:
    """A database of this run alone."""
    with ExitStack() as stack:
        given = os.environ.get("EXECLOG_TEST_DSN")
        dsn = given or stack.enter_context(EmbeddedPostgres(settings=DURABLE)).dsn
        async with databases.database(dsn, databases.TEMPLATE, template="template0") as own:
            yield own


@asynccontextmanager
async def peer_repository(dsn: str) -> AsyncIterator[PeerRepository]:
    """The peer on this database, its table made."""
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.execute(CreateSchema(SCHEMA))
            await connection.run_sync(Base.metadata.create_all)
        yield PeerRepository(async_sessionmaker(engine, expire_on_commit=False))
    finally:
        await engine.dispose()


class Fresh:
    """Rows that were not stored yet, a batch at a time, each later than the one before."""

    def __init__(self, end: datetime) -> None:
        self._dice = random.Random(2)
        self._end = end

    def models(self, count: int) -> list[StrategyExecutionLog]:
        self._end += timedelta(milliseconds=count)
        return [
            StrategyExecutionLog(**fields(n, self._end, self._dice)) for n in range(count, 0, -1)
        ]

    def tuples(self, count: int) -> list[tuple[Any, ...]]:
        return [row_arguments(model, "row") for model in self.models(count)]


def print_line(widths: tuple[int, ...], *cells: str) -> None:
    """One line of a table, as soon as it is known: the first cell to the left, the rest right."""
    padded = [
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    print(" ".join(padded).rstrip(), flush=True)
