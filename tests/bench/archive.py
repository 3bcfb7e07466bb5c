"""Measures the archive: how fast a day moves out, verified, and what a run takes in a file.

    python -m tests.bench.archive [--rows 2000000] [--only ten|hundred|month|traced|inputs]

Each shape is a partition of one day, or of thirty, that a call of `maintain` moves out: COPY,
sorting and writing by DuckDB, reading back, comparing, flushing, and the drop.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

import execlog
from execlog import archived_files, maintain
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.common import PATIENCE, bench_database, load, print_line
from tests.bench.rollup_shapes import DAY, batches, mixed, month
from tests.databases import TABLE
from tests.types import Pool

AGO = 60 * DAY
MINUTES_OF_A_DAY = 1440
MOST_BYTES = {"ten": 40, "hundred": 40, "month": 40, "traced": 56}
LEAST_RATE = 150_000  # rows/s, on a server without other work
_WIDTHS = (10, 12, 14, 12, 16, 14)


def ten(dice: random.Random, begin: datetime, rows: int) -> Iterator[bytes]:
    return mixed(dice, begin, 10)


def hundred(dice: random.Random, begin: datetime, rows: int) -> Iterator[bytes]:
    return mixed(dice, begin, 100)


def thirty_days(dice: random.Random, begin: datetime, rows: int) -> Iterator[bytes]:
    return month(dice, begin, 30 * MINUTES_OF_A_DAY)


def traced(dice: random.Random, begin: datetime, rows: int) -> Iterator[bytes]:
    """Shape ten, each run of a distributed trace of its own."""
    for text in mixed(dice, begin, 10):
        values = text.split(b"\t")
        values[20] = str(UUID(int=dice.getrandbits(128))).encode()
        yield b"\t".join(values)


def inputs(dice: random.Random, begin: datetime, rows: int) -> Iterator[bytes]:
    """Shape ten, each run with an input of 300 bytes."""
    for text in mixed(dice, begin, 10):
        values = text.split(b"\t")
        values[22] = (
            f'{{"user": "user-{dice.randrange(50_000)}", "orders": {dice.random()}, "items": ['
            + ", ".join(f'{{"sku": "sku-{dice.randrange(500)}", "n": {n}}}' for n in range(8))
            + "]}"
        ).encode()
        yield b"\t".join(values)


SHAPES: dict[str, Callable[[random.Random, datetime, int], Iterator[bytes]]] = {
    "ten": ten,
    "hundred": hundred,
    "month": thirty_days,
    "traced": traced,
    "inputs": inputs,
}


async def bench(rows: int, only: str | None) -> None:
    print(load())
    said = ", ".join(f"{name} {most}" for name, most in MOST_BYTES.items())
    print(f"targets: {LEAST_RATE:,} rows/s on an idle server; bytes a run at most: {said}")
    print_line(
        _WIDTHS, "shape", "rows", "rows/s", "bytes a run", "bytes in the log", "largest file"
    )
    for name, shape in SHAPES.items():
        if only in (None, name):
            async with bench_database() as dsn:
                await execlog.migrate(dsn)
                async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
                    await measure(pool, name, shape, rows)


async def measure(
    pool: Pool,
    name: str,
    shape: Callable[[random.Random, datetime, int], Iterator[bytes]],
    rows: int,
) -> None:
    begin = (datetime.now(UTC) - AGO).replace(hour=0, minute=0, second=0, microsecond=0)
    days = 31 if name == "month" else 1
    await pool.execute(
        f"create table execlog.old partition of {TABLE} for values from ('{begin}') to"
        f" ('{begin + days * DAY}')"
    )
    await pool.execute(f"alter table {TABLE} disable trigger mark_late")
    store = Store(pool, PATIENCE)
    for batch in batches(shape(random.Random(1), begin, rows), rows):
        await store.copy(statements()["insert_rows"], batch)
    await pool.execute(f"alter table {TABLE} enable always trigger mark_late")
    async for _ in execlog.rebuild_rollups(pool):
        pass
    await pool.execute("vacuum (analyze) execlog.old")
    held = await pool.fetchval("select pg_total_relation_size('execlog.old')")
    stored = await pool.fetchval("select count(*) from execlog.old")
    with tempfile.TemporaryDirectory() as place:
        steps = await maintain(pool, retain=timedelta(days=20), archive=Path(place, "archive"))
        assert {one.outcome for one in steps} == {"done"}, [str(one) for one in steps]
        seconds = next(one.seconds for one in steps if one.action == "drop")
        files = await archived_files(pool)
    filters = await pool.fetchval("select sum(octet_length(users)) from execlog.archived_file")
    assert sum(one.rows for one in files) == stored
    total = sum(one.bytes for one in files) + filters
    print_line(
        _WIDTHS,
        name,
        f"{stored:,}",
        f"{stored / seconds:,.0f}",
        f"{total / stored:.1f}" + _met(total / stored, MOST_BYTES.get(name)),
        f"{held / stored:.0f}",
        f"{max(one.bytes for one in files) / 2**20:.1f} MiB",
    )


def _met(bytes_of_a_run: float, most: int | None) -> str:
    return "" if most is None else f" {'yes' if bytes_of_a_run <= most else 'NO'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--only", choices=SHAPES)
    given = parser.parse_args()
    asyncio.run(bench(given.rows, given.only))


if __name__ == "__main__":
    main()
