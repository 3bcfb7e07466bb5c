"""Measures for how long a request holds the event loop at most, for the worst pages and answers.

    python -m tests.bench.holds [--rounds 5] [--only trace]

The application is called in this process, without a server or a client in between. Each callback of
the loop is timed; a page's figure is the longest of them, in time of the processor, so that what
else the machine does is not counted; the least of all rounds. Beside it: the same by the clock, and
in the first round. The rows have 10 MB at most: the driver decodes a row in one go, a megabyte in
0.5 ms or so, or in 2 ms if not all of it is ASCII.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import random
import sys
import time
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
from starlette.requests import Request

import execlog
from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.web import Scope, create_app
from tests.bench.common import Report, bench_database, load
from tests.databases import TABLE
from tests.rows import fields
from tests.types import Pool

LONGEST_MS = 20.0
PARTITIONS = 900
HOUR = timedelta(hours=1)
# What the pages escape, character by character.
ODD = "\N{RIGHT-TO-LEFT OVERRIDE}\x07é"


class Held:
    """The longest that one callback took, in milliseconds: of the processor, and by the clock."""

    def __init__(self) -> None:
        self.longest = self.by_clock = 0.0
        self._is_over = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        run: Callable[[events.Handle], None] = events.Handle._run

        def timed(handle: events.Handle) -> None:
            clock, begin = time.perf_counter(), time.thread_time()
            run(handle)
            if not self._is_over:  # else it has gone on with what is none of the request's
                self.longest = max(self.longest, (time.thread_time() - begin) * 1000)
                self.by_clock = max(self.by_clock, (time.perf_counter() - clock) * 1000)

        setattr(events.Handle, "_run", timed)  # noqa: B010 - mypy knows it as a method
        try:
            yield
        finally:
            self._is_over = True
            setattr(events.Handle, "_run", run)  # noqa: B010


async def asked(app: Any, path: str) -> tuple[int, int]:
    """The status of an answer and its size."""
    status = size = 0
    path, _, query = path.partition("?")
    connection = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "root_path": "",
    }

    async def send(message: Any) -> None:
        nonlocal status, size
        status = message.get("status", status)
        size += len(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()  # who asks says no more

    await app(connection, receive, send)
    return status, size


# What is stored.


def traces() -> dict[str, list[Any]]:
    """Traces that are large in one way each."""
    node = {"node": "rule", "ms": 0.01}
    chain: dict[str, Any] = dict(node)
    for _ in range(19):
        chain = {"node": "rule", "children": [chain]}
    deep: dict[str, Any] = dict(node)
    for _ in range(1500):
        deep = {"node": "rule", "children": [deep]}
    return {
        "90,000 children in one entry": [{"node": "all", "children": [node] * 90_000}],
        "200 entries of 15 chains of 20": [{"node": "n", "children": [chain] * 15}] * 200,
        "90,000 entries": [{"node": f"n{n}", "ms": n, "output": [n, n]} for n in range(90_000)],
        "500,000 numbers": [n * 0.1 for n in range(500_000)],
        "1,500 nodes within each other": [deep],
        "100,000 keys in one entry": [{f"key {n}": n for n in range(100_000)}],
        "a text of 8 MB": [{"node": "n", "output": "x" * 8_000_000}],
        "a text of 4 MB of quotes": [{"node": "n", "output": '"\\\n' * 1_300_000}],
        "a text of 4 MB, all odd": [{"node": "n", "output": ODD * 600_000}],
        "1,100 texts of 2 kB, all odd": [{"node": ODD * 60, "output": ODD * 300}] * 1100,
        "200,000 texts": ["x" * 20] * 200_000,
        "a fact of 8 MB": [{"node": "n", "output": [{"a": [n], "b": "c"} for n in range(400_000)]}],
    }


async def stored(pool: Pool, log: StrategyExecutionLogRepository, now: datetime) -> dict[str, str]:
    """Stores what is asked for, and answers the path of each page and its name."""
    pages: dict[str, str] = {}
    for name, trace in traces().items():
        one = StrategyExecutionLog(**fields(strategy_id="large", trace=None, created_at=now - HOUR))
        await log.insert_row(one)
        text = json.dumps(trace, ensure_ascii=False) if "1,500" not in name else _deep(trace)
        await pool.execute(
            f"update {TABLE} set trace = $2::text::jsonb where id = $1", one.id, text
        )
        pages[f"trace: {name}"] = f"/execution?id={one.id}"
        pages[f"its JSON: {name}"] = f"/api/executions/{one.id}"
    long = {
        name: ODD * 100_000
        for name in ("strategy_type", "notes", "external_user_id", "parent_strategy_id")
    }
    one = StrategyExecutionLog(**fields(strategy_id="large", created_at=now - HOUR, **long))
    await log.insert_row(one)
    pages["long texts"] = f"/execution?id={one.id}"
    pages["long texts, JSON"] = f"/api/executions/{one.id}"
    pages |= await _lists(pool, log, now)
    pages |= await _numbers(pool, log, now)
    return pages


def _deep(trace: list[Any]) -> str:
    text = '{"node": "rule", "children": [' * 1500 + '{"node": "rule", "ms": 0.01}' + "]}" * 1500
    return f"[{text}]"


async def _lists(pool: Pool, log: StrategyExecutionLogRepository, now: datetime) -> dict[str, str]:
    name = ODD * 80  # 512 bytes at most
    await log.insert_rows(
        fields(
            strategy_id="long names",
            status=name if n % 2 else "error",
            error_code=f"{n:03}{name}",
            case_name=f"{n:03}{name}",
            realm_id=name,
            strategy_type=ODD * 30_000,
            created_at=now - timedelta(seconds=n),
        )
        for n in range(200)
    )
    trace = [{"node": "n", "ms": 1.0, "output": "x" * 40}] * 12_000
    await log.insert_rows(
        fields(
            strategy_id="heavy", trace=trace, status="error", created_at=now - timedelta(seconds=n)
        )
        for n in range(50)
    )
    return {
        "200 executions with long names": "/executions?id=long+names&limit=200",
        "strategy with long names": "/strategy?id=long+names",
        "overview": "/",
        "50 executions of 1 MB": "/executions?id=heavy",
        "strategy with traces of 1 MB": "/strategy?id=heavy",
        "50 executions of 1 MB, JSON": "/api/strategies/heavy/executions",
        "newest failures, JSON": "/api/failures?limit=200",
    }


async def _numbers(
    pool: Pool, log: StrategyExecutionLogRepository, now: datetime
) -> dict[str, str]:
    """Sketches of durations from a nanosecond to thirty years, of many strategies."""
    dice = random.Random(1)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    await log.insert_rows(
        fields(
            strategy_id=f"wide-{n % 2}",
            duration_ms=10 ** dice.uniform(-3, 12),
            points=10 ** dice.uniform(-3, 12) * dice.choice([-1, 1]),
            created_at=now - 24 * HOUR * n / 60_000,
        )
        for n in range(60_000)
    )
    await log.insert_rows(
        fields(
            strategy_id=f"one-of-many-{n % 5000:05}",
            duration_ms=10 ** dice.uniform(-3, 12),
            created_at=now - HOUR,
        )
        for n in range(20_000)
    )
    await pool.execute(f"vacuum analyze {TABLE}")
    series = f"since={(now - 23 * HOUR).strftime('%Y%m%dT%H%M%SZ')}"
    return {
        "overview of 5,000 strategies": "/?by=p99",
        "overview by runs": "/?by=runs",
        "strategies by p99, JSON": "/api/strategies?by=p99&limit=50",
        "strategy, wide": "/strategy?id=wide-0",
        "compare, wide": "/compare?a=wide-0&b=wide-1",
        "920 buckets, JSON": f"/api/strategies/wide-0/timeseries?{series}&bucket=90s",
        "card, JSON": "/api/strategies/wide-0/metrics",
        "storage": "/storage",
        "health, JSON": "/api/health",
        "the document": "/api/openapi.json",
        "a query of 60 kB": f"/executions?id=wide-0&error_code={'%E2%82%AC' * 6600}",
        "no such page": "/nothing",
        "static": "/static/execlog.css",
    }


async def _partitions(pool: Pool) -> None:
    for year in range(1000, 1000 + PARTITIONS):
        await pool.execute(
            f"create table execlog.of_{year} partition of {TABLE}"
            f" for values from ('{year}-01-01') to ('{year}-02-01')"
        )


async def bench(rounds: int, only: str) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=2, max_size=4) as pool:
            log = StrategyExecutionLogRepository(pool, timeout=300)
            pages = await stored(pool, log, datetime.now(UTC))
            print(f"the least of {rounds} rounds\n{load()}\n")
            report = Report()
            app = create_app(pool, timeout=100)
            for name, path in pages.items():
                if only in name:
                    await _measure(report, app, name, path, rounds)
            many = Scope(realms=[f"realm-{n}" for n in range(20_000)])

            def authorize(_: Request) -> Scope:
                return many

            scoped = create_app(pool, timeout=100, authorize=authorize)
            if only in (name := "a scope of 20,000 realms"):
                await _measure(report, scoped, name, "/executions?id=heavy", rounds)
            if only in (name := f"storage of {PARTITIONS} partitions"):
                await _partitions(pool)
                await _measure(report, app, name, "/storage", rounds)


async def _measure(report: Report, app: Any, name: str, path: str, rounds: int) -> None:
    holds: list[Held] = []
    taken: list[float] = []
    status = size = 0
    for _ in range(rounds):
        gc.collect()
        held = Held()
        begin = time.perf_counter()
        with held.watched():
            # A task of its own: this one's step would be timed as well.
            status, size = await asyncio.create_task(asked(app, path))
        taken.append(time.perf_counter() - begin)
        holds.append(held)
    least = min(held.longest for held in holds)
    clock = min(held.by_clock for held in holds)
    report.row(
        name[:36],
        f"{least:.1f}, {clock:.1f}, {holds[0].longest:.1f} ms",
        f"{status}: {size / 1000:,.0f} kB in {min(taken) * 1000:,.0f} ms",
        least / LONGEST_MS,
        f"<= {LONGEST_MS:.0f} ms",
        least <= LONGEST_MS,
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="only those whose name holds this")
    given = parser.parse_args()
    asyncio.run(bench(given.rounds, given.only))
    return 0


if __name__ == "__main__":
    sys.exit(main())
