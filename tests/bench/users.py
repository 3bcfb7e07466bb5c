"""What the index of users costs COPY, beside none and beside the hash index that was there before.

    python -m tests.bench.users [--rounds 9] [--scale 1] [--only NAME[,NAME]]

`table` is a table of nothing but users, so that the index is nearly all that is measured. `log` is
a whole log, in batches of 2,000 lines that are ready. Each row has the user of a shape: the same
one; that one in one row of ten, and one of 50,000 in the others; one of 50,000; another one each
time; none. Bytes are those of the index, a row.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial

from execlog.db.copy_format import NULL
from tests.bench.common import Bench, Sections, run_sections
from tests.bench.rollup_shapes import BATCH, Log, batches, drop, mixed, timed
from tests.types import Pool

_USER = 8  # its place in a line
_ROWS = 400_000
INDEXES = {
    "ours": "create index own on {} (pg_catalog.hashtextextended(external_user_id, 0))",
    "hash": "create index own on {} using hash (external_user_id)"
    " where external_user_id is not null",
    "none": "select",
}

Users = Callable[[], str]


def shapes(dice: random.Random) -> dict[str, Users]:
    """Whose row the next one is, as a field of COPY."""

    def of_many() -> str:
        return f"user-{dice.randrange(50_000)}"

    return {
        "one user": lambda: "user-busy",
        "one user, 10 %": lambda: "user-busy" if dice.random() < 0.1 else of_many(),
        "50,000 users": of_many,
        "another each": lambda: f"user-{dice.getrandbits(60):015x}",
        "no user": lambda: NULL,
    }


async def _copy(pool: Pool, side: str, pieces: list[bytes]) -> None:
    async def source() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async with pool.acquire() as connection:
        await connection.copy_to_table(side, source=source(), format="text", null=NULL)


async def bench_table(bench: Bench) -> None:
    """COPY of all rows at once into a table that has one column."""
    rows = bench.scaled(_ROWS)
    for what, user in shapes(random.Random(6)).items():
        lines = [f"{user()}\n".encode() for _ in range(rows)]
        pieces = [b"".join(lines[n : n + BATCH]) for n in range(0, rows, BATCH)]
        taken: dict[str, list[float]] = {side: [] for side in INDEXES}
        sizes: dict[str, float] = {}
        for turn in range(max(bench.rounds // 3, 1)):
            for side in list(INDEXES)[:: 1 if turn % 2 else -1]:
                await bench.pool.execute(
                    f'create table {side} (external_user_id text collate "C");'
                    f"{INDEXES[side].format(side)}"
                )
                taken[side].append(await timed(partial(_copy, bench.pool, side, pieces)))
                sizes[side] = await bench.pool.fetchval(f"select pg_indexes_size('{side}')") / rows
                await bench.pool.execute(f"drop table {side}")
        _report(bench, f"table, {what}", rows, taken, sizes)


def _lines(dice: random.Random, begin: datetime, user: Users) -> Iterator[bytes]:
    for line in mixed(dice, begin, 10):
        fields = line[:-1].split(b"\t")
        fields[_USER] = user().encode()
        yield b"\t".join(fields) + b"\n"


async def bench_log(bench: Bench) -> None:
    """COPY of batches into a log, the sides in another order each time."""
    for what, user in shapes(random.Random(6)).items():
        logs = {side: Log(bench.pool, f"log_{side}") for side in INDEXES}
        for side, log in logs.items():
            await log.make(datetime.now(UTC))
            await bench.pool.execute(f"drop index {log.schema}.strategy_execution_log_user_hash")
            await bench.pool.execute(INDEXES[side].format(log.table))
        dice = random.Random(4)
        order = list(INDEXES)
        taken: dict[str, list[float]] = {side: [] for side in INDEXES}
        for turn in range(-10, bench.scaled(20 * bench.rounds)):
            begin = datetime.now(UTC) - timedelta(seconds=2)
            [lines] = batches(_lines(dice, begin, user), BATCH)
            dice.shuffle(order)
            for side in order:
                seconds = await timed(partial(logs[side].copy, lines))
                if turn >= 0:
                    taken[side].append(seconds)
        _report(bench, f"log, {what}", BATCH, taken, {})
        await drop(*logs.values())


def _report(
    bench: Bench,
    what: str,
    rows: int,
    taken: Mapping[str, list[float]],
    sizes: Mapping[str, float],
) -> None:
    rates = {side: rows / statistics.median(found) for side, found in taken.items()}
    for side in ("ours", "hash"):
        size = f", {sizes[side]:.1f} B" if sizes else ""
        ratio = rates[side] / rates["none"]
        ours = f"{rates[side]:,.0f} /s{size}"
        bench.report.row(f"{what}, {side}", ours, f"none {rates['none']:,.0f} /s", ratio)


SECTIONS: Sections = {"table": bench_table, "log": bench_log}


if __name__ == "__main__":
    run_sections("tests.bench.users", __doc__, SECTIONS)
