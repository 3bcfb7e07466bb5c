"""What the parts of the benchmark share: the server, the peer, the rows, the clock, the report."""

from __future__ import annotations

import os
import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateSchema

import execlog.ids
from execlog import StrategyExecutionLog
from execlog.db.rows import checked_values
from execlog.embedded import EmbeddedPostgres
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


Work = Callable[[], Awaitable[object]]


async def medians(rounds: int, sides: dict[str, Work]) -> dict[str, float]:
    """Seconds of each side, all sides in turn in each round.

    A turn is one untimed call and three timed ones, so that no side pays for the caches that
    another has emptied, or gains from those that it has filled. Two rounds go before the first that
    counts: the server plans a statement anew for its first five calls.
    """
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(-2, rounds):
        for side, work in sides.items():
            await work()
            for _ in range(3):
                begin = time.perf_counter()
                await work()
                if turn >= 0:
                    taken[side].append(time.perf_counter() - begin)
    return {side: statistics.median(seconds) for side, seconds in taken.items()}


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
        return [checked_values(model, "row") for model in self.models(count)]


def print_line(widths: tuple[int, ...], *cells: str) -> None:
    """One line of a table, as soon as it is known: the first cell to the left, the rest right."""
    padded = [
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=False))
    ]
    print(" ".join(padded).rstrip(), flush=True)


class Report:
    """Prints its lines as they come."""

    def __init__(self) -> None:
        self._line("measure", "execlog", "beside", "ratio", "target", "met?")

    def _line(self, *cells: str) -> None:
        print_line((36, 26, 38, 10, 16, 5), *cells)

    def row(
        self,
        measure: str,
        ours: str,
        beside: str,
        ratio: float,
        target: str = "",
        met: bool | None = None,
    ) -> None:
        """What has no target is neither met nor missed."""
        verdict = "" if met is None else "yes" if met else "NO"
        self._line(measure, ours, beside, _ratio(ratio), target, verdict)


def load() -> str:
    """How many others there were, at the start; at the end this run is in it."""
    return f"load average {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors"


def _ratio(ratio: float) -> str:
    return f"{ratio:.3f} x" if ratio < 1 else f"{ratio:.2f} x"
