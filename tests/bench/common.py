"""What the benchmarks share: server, peer, rows, clock, report, and the command of sections."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.schema import CreateSchema

import execlog.ids
from execlog import StrategyExecutionLog
from execlog.db.rows import checked_values
from execlog.embedded import EmbeddedPostgres
from tests import databases
from tests.bench.peer import SCHEMA, Base, PeerRepository
from tests.types import Pool

PATIENCE = 3600.0  # seconds, of a statement
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


@dataclass(frozen=True)
class Bench:
    """What all sections are given."""

    report: Report
    pool: Pool
    rounds: int
    scale: float
    dsn: str

    def scaled(self, number: int) -> int:
        return max(int(number * self.scale), 1)


Sections = Mapping[str, Callable[[Bench], Awaitable[None]]]


@contextmanager
def alone() -> Iterator[None]:
    """Two benchmarks never run at once: the second one would measure the first."""
    with (Path(tempfile.gettempdir()) / "execlog-bench.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"another benchmark is running: it holds {file.name}") from None
        yield


async def bench_sections(sections: Sections, rounds: int, scale: float) -> None:
    async with (
        bench_database() as dsn,
        asyncpg.create_pool(dsn, min_size=4, max_size=4, command_timeout=PATIENCE) as pool,
    ):
        version = await pool.fetchval("show server_version")
        print(f"Postgres {version}, {rounds} rounds, {scale:g} of the rows\n{load()}\n")
        bench = Bench(Report(), pool, rounds, scale, dsn)
        for section in sections.values():
            await section(bench)
        print(f"\nat the end: {load()}")


def run_sections(program: str, description: str | None, sections: Sections) -> None:
    """The command of a benchmark that is made of sections: all of them, or those of `--only`."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=description)
    parser.add_argument("--rounds", type=int, choices=range(1, 25), default=9)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", metavar="NAME[,NAME]", default=",".join(sections))
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := sorted({*names} - {*sections}):
        parser.error(f"no section {', '.join(unknown)}: there are {', '.join(sections)}")
    chosen = {name: sections[name] for name in names}
    with alone():
        asyncio.run(bench_sections(chosen, options.rounds, options.scale))
