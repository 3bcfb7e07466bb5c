"""Measures what viewers of an open list of executions cost a recorder in their process.

    python -m tests.bench.live [--rate 5000] [--viewers 50] [--seconds 10]

The recorder, the viewers and the application share one event loop and one pool of five connections.
Each viewer asks once a second; they look at one list, or at twenty. The lag is by how much a sleep
of a millisecond overshoots.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx2

import execlog
from execlog import ExecutionRecorder
from execlog.web import create_app
from tests.bench.common import STRATEGIES, Report, bench_database, load
from tests.bench.flow import paced, runs
from tests.types import Pool

CONNECTIONS = 5
LISTS = {
    "one list": ["/executions"],
    "failures": ["/executions?status=failed"],
    "20 lists": [
        *(f"/executions?id=strategy-{n}" for n in range(STRATEGIES)),
        *(f"/executions?status=failed&external_game_id=game-{n}" for n in range(STRATEGIES)),
    ],
}


@dataclass
class Beside:
    """What was measured: executions/s, lag in milliseconds, answers, statements and errors."""

    rate: float
    lag: list[float]
    rows: int = 0
    answers: int = 0
    slowest: float = 0.0
    statements: int = 0
    errors: int = 0


async def beside(pool: Pool, rate: int, seconds: float, paths: list[str], viewers: int) -> Beside:
    """The recorder at a rate, with so many viewers of these lists."""
    app = create_app(pool)
    found = Beside(0.0, [])
    chosen = runs(1000, failures=True)
    ends = time.perf_counter() + seconds

    async def view(n: int, api: httpx2.AsyncClient) -> None:
        path = paths[n % len(paths)]
        place = (await api.get(path)).text.partition('data-follow="')[2].partition('"')[0]
        while time.perf_counter() < ends:
            mark = "&" if "?" in path else "?"
            begin = time.perf_counter()
            answer = await api.get(f"/live{path}{mark}after={place}")
            found.slowest = max(found.slowest, time.perf_counter() - begin)
            found.answers += 1
            found.errors += answer.status_code not in (200, 204)
            if answer.status_code == 200:
                found.rows += answer.text.count('<tr><th scope="row"')
                place = answer.text.partition('data-place="')[2].partition('"')[0]
            await asyncio.sleep(max(begin + 1 - time.perf_counter(), 0))

    async def probe() -> None:
        while (begin := time.perf_counter()) < ends:
            await asyncio.sleep(0.001)
            found.lag.append((time.perf_counter() - begin - 0.001) * 1000)

    def sent(query: Any) -> None:
        found.statements += "list_stored" in query.query or "stored_xid" in query.query

    connections = [await pool.acquire() for _ in range(CONNECTIONS)]
    for one in connections:
        one.add_query_logger(sent)
        await pool.release(one)
    transport = httpx2.ASGITransport(app=app)
    async with (
        httpx2.AsyncClient(transport=transport, base_url="http://localhost") as api,
        ExecutionRecorder(pool) as recorder,
    ):
        record = recorder.record

        def burst(first: int, last: int) -> None:
            for n in range(first, last):
                record(**chosen[n % len(chosen)])

        viewing = [asyncio.ensure_future(view(n, api)) for n in range(viewers)]
        probing = asyncio.ensure_future(probe())
        found.rate = await paced(seconds, burst, rate)
        await asyncio.gather(probing, *viewing)
        stats = recorder.stats()
    await app.state.reader.aclose()
    if stats.dropped:
        raise SystemExit(f"the recorder lost rows: {stats}")
    found.lag.sort()
    return found


async def bench_live(rate: int, viewers: int, seconds: float) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
            version = await pool.fetchval("show server_version")
            print(f"Postgres {version}, {rate:,} executions/s for {seconds:g} s\n{load()}\n")
            report = Report()
            alone = await beside(pool, rate, seconds, [], 0)
            for name, paths in LISTS.items():
                for count in (1, viewers):
                    one = await beside(pool, rate, seconds, paths, count)
                    label = f"{count} of {name}"
                    report.row(
                        f"{label}: executions/s",
                        f"{one.rate:,.0f}",
                        f"alone {alone.rate:,.0f}",
                        one.rate / alone.rate,
                        ">= 0.98",
                        one.rate >= 0.98 * alone.rate,
                    )
                    for share in (0.5, 0.99, 1.0):
                        lag, usual = (
                            all_[min(int(share * len(all_)), len(all_) - 1)]
                            for all_ in (one.lag, alone.lag)
                        )
                        report.row(
                            f"{label}: lag, p{share * 100:g}",
                            f"{lag:.1f} ms",
                            f"alone {usual:.1f} ms",
                            lag / usual,
                            "",
                            None,
                        )
                    report.row(
                        f"{label}: statements/s",
                        f"{one.statements / seconds:.1f}",
                        f"{one.answers} answers, {one.rows} rows, {one.errors} errors",
                        one.slowest,
                        "no error",
                        one.errors == 0,
                    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.live", description=__doc__)
    parser.add_argument("--rate", type=int, default=5000)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    asyncio.run(bench_live(given.rate, given.viewers, given.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
