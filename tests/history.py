"""A random history of a log: rows that come in time, late or without one, and what is done by hand.

`differences` says what the parts of a window, as the server cuts it, add up to beside its rows.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg

from tests.databases import TABLE
from tests.types import Connection

STRATEGIES = [f"s{number}" for number in range(4)]
_INSERT = f"""
    insert into {TABLE} (
        id, created_at, strategy_id, strategy_version, strategy_type, realm_id, status, error_code,
        points, case_name, duration_ms, nodes_executed, sample_rate
    )
    select
        gen_random_uuid(), $1::timestamptz + random() * $2::interval,
        's' || floor(random() * 4), 1 + floor(random() * 2), 'DSL_FULL',
        (array['north', 'south', null])[1 + floor(random() * 3)],
        case when random() < 0.9 then 'ok' else 'error' end,
        case when random() < 0.1 then 'E' || floor(random() * 5) end,
        floor(random() * 20), 'c' || floor(random() * 5), exp(random() * 6), floor(random() * 9),
        case when random() < 0.5 then 1 else 0.05 end
    from generate_series(1, $3)
"""
_ANY = f"(select id from {TABLE} order by random() limit $1)"
_UNDATE = f"update {TABLE} set created_at = null where id in {_ANY}"
_CHANGE = f"""
    update {TABLE}
    set
        duration_ms = duration_ms + 1,
        status = 'timeout',
        created_at = created_at + (random() - 0.5) * interval '2 hours'
    where id in {_ANY}
"""
_DELETE = f"delete from {TABLE} where id in {_ANY}"
_PARTITIONS = """
    select id::regclass::text as name, begins, ends
    from execlog.partitions()
    where not is_default and ends < now()
"""
_SUMS = """
    with part as materialized (select * from execlog.rollup_cut($1, $2, $3)),
    piece as (
        select
            count(*) as runs, sum(1 / sample_rate) as weight, sum(duration_ms) as duration,
            sum(duration_ms / sample_rate) as weighed, sum(points) as points,
            max(created_at) as last
        from part
        join execlog.strategy_execution_log on created_at between part.begins and part.ends
        where grain is null and strategy_id = $1
        union all
        select
            count(*), sum(1 / sample_rate), sum(duration_ms), sum(duration_ms / sample_rate),
            sum(points), null
        from execlog.strategy_execution_log
        where strategy_id = $1
            and created_at is null
            and $2::timestamptz is null
            and $3::timestamptz is null
            and not exists (select from part where grain = 0)
        union all
        select
            sum(ok + error + timeout + "limit" + other),
            sum(ok_weight + failed_weight + other_weight), sum(duration_sum_ms),
            sum(duration_weighed_ms), sum(points_sum), max(last_run)
        from part
        join execlog.rollup
            on rollup.grain = part.grain
            and rollup.begins between part.begins and part.ends
        where strategy_id = $1
    ),
    wanted as (
        select
            count(*) as runs, sum(1 / sample_rate) as weight, sum(duration_ms) as duration,
            sum(duration_ms / sample_rate) as weighed, sum(points) as points,
            max(created_at) as last
        from execlog.strategy_execution_log
        where strategy_id = $1
            and (
                created_at between coalesce($2, '-infinity') and coalesce($3, 'infinity')
                or created_at is null and $2 is null and $3 is null
            )
    )
    select
        sum(runs) as runs, sum(weight) as weight, sum(duration) as duration,
        sum(weighed) as weighed, sum(points) as points, max(last) as last
    from piece
    union all
    select * from wanted
"""


@dataclass
class History:
    """A log, a few sessions on it, and a die; times lie in the last three days."""

    main: Connection
    others: list[Connection]
    dice: random.Random
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    opened: dict[int, asyncpg.transaction.Transaction] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)

    async def step(self) -> None:
        """One thing that may be done to a log."""
        name = self.dice.choice(
            "fresh late late old undate change delete roll roll roll partition open close".split()
        )
        self.done.append(name)
        await getattr(self, f"_{name}")()

    async def end(self) -> None:
        """Ends what is open."""
        for transaction in self.opened.values():
            await transaction.commit()
        self.opened.clear()

    async def differences(self, windows: int) -> list[str]:
        """Where what the server reads from rollups and rows is not what the rows are."""
        found = []
        for _ in range(windows):
            strategy, window = self.dice.choice(STRATEGIES), sorted(self._time() for _ in "12")
            ends = [time if self.dice.random() < 0.75 else None for time in window]
            told, wanted = await self.main.fetch(_SUMS, strategy, *ends)
            if not all(_is_close(told[name], wanted[name]) for name in told.keys()):
                found.append(f"{strategy} {ends}: {dict(told)} for {dict(wanted)}")
        return found

    def _time(self) -> datetime:
        ago = self.dice.random() * 86400 * self.dice.choice([0.01, 0.05, 1, 3])
        time = self.now - timedelta(seconds=ago)
        return time.replace(minute=0, second=0, microsecond=0) if self.dice.random() < 0.3 else time

    async def _insert(self, by: Connection, begins: datetime, seconds: float, rows: int) -> None:
        await by.execute(_INSERT, begins, timedelta(seconds=seconds), rows)

    async def _fresh(self) -> None:
        await self._insert(self.main, datetime.now(UTC), 0, self.dice.randrange(1, 20))

    async def _late(self) -> None:
        ago = timedelta(seconds=self.dice.random() * 7200)
        await self._insert(self.main, self.now - ago, self.dice.choice([1, 60, 3600]), 100)

    async def _old(self) -> None:
        ago = timedelta(hours=self.dice.random() * 72)
        await self._insert(self.main, self.now - ago, self.dice.choice([1, 600, 20000]), 100)

    async def _undate(self) -> None:
        await self.main.execute(_UNDATE, 2)

    async def _change(self) -> None:
        await self.main.execute(_CHANGE, 5)

    async def _delete(self) -> None:
        await self.main.execute(_DELETE, 20)

    async def _roll(self) -> None:
        for _ in range(self.dice.choice([1, 1, 5, 50])):
            if await self.main.fetchval("select execlog.roll_up()") != "more":
                break

    async def _partition(self) -> None:
        if self.opened or self.dice.random() < 0.7:
            return
        partitions = await self.main.fetch(_PARTITIONS)
        if not partitions:
            return
        name, begins, ends = self.dice.choice(partitions)
        what = self.dice.choice(["truncate", "drop", "detach"])
        self.done.append(what)
        if what != "detach":
            await self.main.execute(f"{what} table {name}")
            return
        await self.main.execute(f"alter table {TABLE} detach partition {name}")
        assert await self.differences(3) == []
        if self.dice.random() < 0.5:
            await self._roll()
        bounds = f"for values from ('{begins}') to ('{ends}')"
        await self.main.execute(f"alter table {TABLE} attach partition {name} {bounds}")

    async def _open(self) -> None:
        free = [one for one in self.others if id(one) not in self.opened]
        if free:
            other = free[0]
            self.opened[id(other)] = transaction = other.transaction()
            await transaction.start()
            ago = timedelta(hours=self.dice.random() * 30)
            await self._insert(other, self.now - ago, self.dice.choice([1, 100, 4000]), 30)
            await self._insert(other, datetime.now(UTC), 0, 3)

    async def _close(self) -> None:
        if self.opened:
            transaction = self.opened.pop(self.dice.choice(list(self.opened)))
            await (transaction.commit() if self.dice.random() < 0.7 else transaction.rollback())


def _is_close(told: object, wanted: object) -> bool:
    if isinstance(told, float) and isinstance(wanted, float):
        return math.isclose(told, wanted, rel_tol=1e-9)
    return told == wanted or (not told and not wanted)
