"""Measures the import of another program's table against an INSERT ... SELECT written by hand.

    python -m tests.bench.moving_in [--rows 200000]

The import runs within this process, so that the start of the command is not in it. Both store into
an empty log, in turn, five times; a line is the median of the seconds and of the ratios.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from functools import partial

import asyncpg

import execlog
from execlog.moving import Mover, Wishes, find_table, matched
from tests.bench.common import bench_database, load
from tests.databases import TABLE
from tests.types import Pool

THEIRS = """
    create table public.theirs (
        id serial primary key, "createdAt" timestamp, "strategyId" varchar(64),
        "strategyVersion" integer, "strategyType" varchar, status varchar, "errorCode" varchar,
        points numeric(12, 3), "caseName" varchar, "durationMs" double precision,
        "nodesExecuted" integer, trace json, sampled boolean, oauth_user_id varchar,
        "externalUserId" varchar
    )
"""
FILL = """
    insert into public.theirs ("createdAt", "strategyId", "strategyVersion", "strategyType", status,
        "errorCode", points, "caseName", "durationMs", "nodesExecuted", trace, sampled,
        oauth_user_id, "externalUserId")
    select timestamp '2026-11-01' + n * interval '1 second', 's' || n % 10, 1 + n % 3, 'DSL',
        case when n % 20 = 0 then 'error' else 'ok' end,
        case when n % 20 = 0 then 'E' || n % 7 end, n / 7.0,
        case when n % 3 = 0 then 'a' end, n % 1000 / 10.0, n % 50,
        case n % 4
            when 0 then 'null'
            when 1 then null
            when 2 then '{"node": "a"}'
            else '[{"node": "a", "ms": 1.5, "output": {"points": [1, 2, 3], "text": "lorem"}}]'
        end::json,
        n % 20 <> 0, 'caller' || n % 100, 'user' || n % 1000
    from generate_series(1, $1::integer) as n
"""
BY_HAND = f"""
    insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,
        external_user_id, status, error_code, points, case_name, duration_ms, nodes_executed, trace,
        sampled, sample_rate, attributes)
    select md5('theirs' || id)::uuid, "createdAt" at time zone 'UTC', "strategyId",
        "strategyVersion", "strategyType", "externalUserId", status, "errorCode", points,
        "caseName", "durationMs", "nodesExecuted",
        case json_typeof(trace)
            when 'array' then trace::jsonb
            when 'object' then jsonb_build_array(trace::jsonb)
        end,
        sampled, case when sampled then 0.05 else 1 end,
        jsonb_build_object('caller', oauth_user_id)
    from public.theirs
    order by id
"""


async def bench_moving_in(rows: int) -> None:
    async with bench_database() as dsn:
        await execlog.migrate(dsn)
        async with (
            asyncpg.create_pool(dsn, min_size=1, max_size=1, command_timeout=3600) as log,
            asyncpg.create_pool(dsn, min_size=1, max_size=1) as source,
        ):
            await log.execute(THEIRS)
            await log.execute(FILL, rows)
            await log.execute("vacuum analyze public.theirs")
            print(f"{rows:,} rows\n{load()}\n")

            sides: dict[str, Callable[[], Awaitable[object]]] = {
                "by hand": partial(log.execute, BY_HAND),
                "on the server": partial(moved, log, None),
                "through the client": partial(moved, log, source),
            }
            rounds = [[await taken(log, work) for work in sides.values()] for _ in range(5)]
            for name, seconds in zip(sides, zip(*rounds, strict=True), strict=True):
                ratio = statistics.median(
                    one / took[0] for one, took in zip(seconds, rounds, strict=True)
                )
                print(f"{name:20} {statistics.median(seconds):8.2f} s  {ratio:.2f}")


async def moved(log: Pool, through: Pool | None) -> None:
    wishes = Wishes([("oauth_user_id", "attributes.caller")])
    match = matched(await find_table(log, "public.theirs"), wishes)
    await Mover(match, log, through, sample_rate=0.05).run(lambda _: None)


async def taken(log: Pool, work: Callable[[], Awaitable[object]]) -> float:
    """The seconds that it takes on an empty log."""
    await log.execute(f"delete from {TABLE}")
    await log.execute(f"vacuum full {TABLE}")
    await log.execute("checkpoint")
    begin = time.perf_counter()
    await work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=200_000)
    asyncio.run(bench_moving_in(parser.parse_args().rows))
