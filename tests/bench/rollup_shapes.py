"""Logs in the shapes that rollups are measured on: their rows, and lines about what they take.

Rows are made here as lines of COPY where storing is measured, and by the server elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import islice

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.admin.rollups import roll_up
from execlog.db.copy_format import line, timestamp
from execlog.db.executor import Store
from execlog.repository import statements
from tests.bench.common import PATIENCE, Bench, Work, medians
from tests.types import Pool

BATCH = 2000
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
BUSY = "strategy-0"
FAILED = 0.05
REALMS = ("a", "b", "c")
_REALM_BY_PERCENT = [REALMS[0]] * 60 + [REALMS[1]] * 30 + [REALMS[2]] * 10
_KINDS = ("error", "error", "timeout", "limit")
_TRIGGERS = ("mark_late", "mark_changed", "mark_removed")
_MEDIAN_MS = math.log(4)


def run(dice: random.Random, at: datetime, strategy: int, version: int = 3) -> bytes:
    """The line of a run that finished then; its id holds the same time."""
    chance = dice.random
    failed = chance() < FAILED
    milliseconds = int(at.timestamp() * 1000)
    bits = dice.getrandbits(74)
    number = milliseconds << 80 | 7 << 76 | bits >> 62 << 64 | 1 << 63 | bits & (1 << 62) - 1
    return line(
        f"{number:032x}",
        timestamp(at),
        f"strategy-{strategy}",
        version,
        "DSL_FULL",
        _REALM_BY_PERCENT[int(chance() * 100)],
        f"game-{int(chance() * 30)}",
        f"task-{int(chance() * 500)}",
        f"user-{int(chance() * 50_000)}",
        _KINDS[int(chance() * 4)] if failed else "ok",
        f"E{int(chance() * 6)}" if failed else None,
        None if failed else float(int(chance() * 50)),
        f"case-{int(chance() * 7)}",
        dice.lognormvariate(_MEDIAN_MS, 1),
        1 + int(chance() * 29),
        _trace(dice) if failed else None,
        False,
        1.0,
        *[None] * 6,
    )


def _trace(dice: random.Random) -> str:
    """Ten entries, 0.8 kB of JSON."""
    entries = (
        f'{{"node": "rule-{int(dice.random() * 500)}", "ms": {dice.random()!r},'
        f' "input": {{"points": {n}}}, "output": {{"n": {n + 1}}}}}'
        for n in range(10)
    )
    return f"[{', '.join(entries)}]"


def mixed(dice: random.Random, begin: datetime, strategies: int) -> Iterator[bytes]:
    """Shapes ten and hundred: a run every millisecond, the strategies evenly mixed."""
    tick = timedelta(milliseconds=1)
    while True:
        yield run(dice, begin, int(dice.random() * strategies))
        begin += tick


def month(dice: random.Random, begin: datetime, minutes: int) -> Iterator[bytes]:
    """Shape month: 50 runs a minute of one strategy, one of each of nine others.

    The second half of the time is of another version.
    """
    order = [0] * 50 + list(range(1, 10))
    tick = MINUTE / len(order)
    for minute in range(minutes):
        at = begin + minute * MINUTE
        dice.shuffle(order)
        for place, strategy in enumerate(order):
            yield run(dice, at + place * tick, strategy, 3 if minute < minutes // 2 else 4)


def batches(lines: Iterator[bytes], rows: int | None = None) -> Iterator[list[bytes]]:
    """The next lines, or so many of them, in batches as they are sent: joined to a few pieces."""
    lines = islice(lines, rows)
    while some := list(islice(lines, BATCH)):
        yield [b"".join(some[n : n + 500]) for n in range(0, len(some), 500)]


class Log:
    """A log in a schema of its own."""

    def __init__(self, pool: Pool, schema: str) -> None:
        self.pool = pool
        self.schema = schema
        self.table = f"{schema}.strategy_execution_log"
        self.repository = StrategyExecutionLogRepository(pool, schema=schema, timeout=PATIENCE)
        self.store = Store(pool, PATIENCE)

    async def make(self, since: datetime) -> None:
        """The log, with partitions from this time on."""
        await execlog.migrate(self.pool, schema=self.schema)
        this = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        while this > since:
            before = (this - DAY).replace(day=1)
            await self.pool.execute(
                f"create table {self.table}_{before:%Y%m} partition of {self.table}"
                f" for values from ('{before.isoformat()}') to ('{this.isoformat()}')"
            )
            this = before

    async def without_triggers(self) -> None:
        for trigger in _TRIGGERS:
            await self.pool.execute(f"drop trigger {trigger} on {self.table}")

    @asynccontextmanager
    async def nothing_late(self) -> AsyncIterator[None]:
        """Rows of the past are stored as those of now are: none is taken for a late one."""
        await self.pool.execute(f"alter table {self.table} disable trigger mark_late")
        yield
        await self.pool.execute(f"alter table {self.table} enable always trigger mark_late")

    async def copy(self, lines: list[bytes]) -> None:
        await self.store.copy(statements(self.schema)["insert_rows"], lines)

    async def roll_up(self, until: datetime) -> None:
        """Until the rollups hold every run that finished before this time."""
        while True:
            more = await roll_up(self.pool, schema=self.schema)
            if not more:
                reached = await self.pool.fetchval(
                    f"select complete_until >= $1 from {self.schema}.rollup_state", until
                )
                if reached:
                    return
                await asyncio.sleep(0.01)

    async def set_rollups(self, enabled: bool) -> None:
        await self.pool.execute(f"update {self.schema}.rollup_state set enabled = $1", enabled)

    async def vacuum(self) -> None:
        for table in (self.table, f"{self.schema}.rollup"):
            await self.pool.execute(f"vacuum (analyze) {table}", timeout=PATIENCE)

    async def sizes(self) -> tuple[int, int, int]:
        """The runs; the bytes of their rows and indexes; those of the rollups."""
        found = await self.pool.fetchrow(
            f"select (select count(*) from {self.table}) as runs,"
            " (select sum(pg_total_relation_size(relid))::bigint"
            f" from pg_partition_tree('{self.table}')) as rows,"
            f" pg_total_relation_size('{self.schema}.rollup') as rollups",
            timeout=PATIENCE,
        )
        assert found is not None
        return found["runs"], found["rows"], found["rollups"]

    async def fill(
        self,
        rows: int,
        begin: datetime,
        length: timedelta,
        *,
        strategy: str,
        realm: str | None = None,
        version: str = "3",
        ok_rate: float = 1.0,
    ) -> None:
        """Runs made by the server, evenly over a time.

        Args:
            rows: How many.
            begin: The time of the first one.
            length: The time from the first one to the last.
            strategy: SQL: the strategy of run n.
            realm: SQL: the realm of run n; None: one of three.
            version: SQL: the version of run n.
            ok_rate: The share of ok runs that is kept.
        """
        chosen = realm or (
            f"case when die < 0.6 then '{REALMS[0]}' when die < 0.9 then '{REALMS[1]}'"
            f" else '{REALMS[2]}' end"
        )
        failed = FAILED / (FAILED + (1 - FAILED) * ok_rate)
        async with self.nothing_late():
            await self.pool.execute(
                f"insert into {self.table} (id, created_at, strategy_id, strategy_version,"
                " strategy_type, realm_id, external_game_id, external_task_id, external_user_id,"
                " status, error_code, points, case_name, duration_ms, nodes_executed, sampled,"
                " sample_rate) select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12,"
                " '0') || '7' || left(md5(n::text), 3) || '8' || left(md5(luck::text), 15))::uuid,"
                f" at, {strategy}, {version}, 'DSL_FULL', {chosen},"
                " 'game-' || n % 30, 'task-' || n % 500,"
                " 'user-' || n % 50000, case when failed then 'error' else 'ok' end,"
                " case when failed then 'E' || n % 6 end, case when failed then null else n % 50"
                " end, 'case-' || floor(luck * 7)::integer, exp(ln(4) + random_normal()), 1 + n %"
                " 29, not failed and $4::float8 < 1, case when failed then 1 else $4::float8 end"
                " from (select n, $1::timestamptz + n * ($2::interval / $3::integer) as at,"
                f" random() as die, random() as luck, random() < {failed} as failed"
                " from generate_series(0, $3::integer - 1) as n offset 0) as made",
                begin,
                length,
                rows,
                ok_rate,
                timeout=PATIENCE,
            )


async def store(parts: Iterator[list[bytes]], logs: list[Log]) -> dict[Log, float]:
    """Stores each batch in each log, in turn, and says how long each of them took in all."""
    seconds = dict.fromkeys(logs, 0.0)
    for turn, lines in enumerate(parts):
        for log in logs if turn % 2 else logs[::-1]:
            seconds[log] += await timed(partial(log.copy, lines))
    return seconds


async def drop(*logs: Log) -> None:
    for log in logs:
        await log.pool.execute(f"drop schema {log.schema} cascade")


async def timed(work: Work) -> float:
    begin = time.perf_counter()
    await work()
    return time.perf_counter() - begin


async def in_turn(rounds: int, sides: Mapping[str, Work]) -> dict[str, float]:
    """Medians of calls that take long: one of each side in a round, the first round not counted."""
    taken: dict[str, list[float]] = {side: [] for side in sides}
    for turn in range(-1, rounds):
        for side, work in sides.items():
            seconds = await timed(work)
            if turn >= 0:
                taken[side].append(seconds)
    return {side: statistics.median(seconds) for side, seconds in taken.items()}


def at_most(
    bench: Bench, what: str, ours: float, beside: str, other: float, most: float | None
) -> None:
    """A line about a question: its milliseconds beside those of another one."""
    bench.report.row(
        what,
        f"{ours * 1000:,.1f} ms",
        f"{beside} {other * 1000:,.1f} ms",
        ours / other,
        "" if most is None else f"<= {most * 1000:g} ms",
        None if most is None else ours <= most,
    )


def rate(bench: Bench, what: str, rows: int, ours: float, bare: float, least: float | None) -> None:
    """A line about storing: its rows a second beside those without triggers and rollups."""
    bench.report.row(
        what,
        f"{rows / ours:,.0f} /s",
        f"no triggers {rows / bare:,.0f} /s",
        bare / ours,
        "" if least is None else f">= {least:g}",
        None if least is None else bare >= least * ours,
    )


async def beside_rows(bench: Bench, what: str, log: Log, ask: Work, most: float | None) -> None:
    """A question answered from rollups, beside the same answered from rows."""
    seconds = await medians(bench.rounds, {"ours": ask})
    await log.set_rollups(False)
    rows = await in_turn(1, {"rows": ask})
    await log.set_rollups(True)
    at_most(bench, what, seconds["ours"], "from rows", rows["rows"], most)


async def longest_stop(work: Work) -> float:
    """The longest time for which the event loop did not come back to a task that sleeps 1 ms."""
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            begin = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - begin - 0.001)

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.01)
    await work()
    await asyncio.sleep(0)
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return longest
