"""The lists of all strategies, the stream, what is stored once, and the health of a log."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import (
    ExecutionRecorder,
    Health,
    InvalidArgument,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    health,
)
from execlog.db.migration_files import migration_names
from execlog.repository.health import health_of
from tests import databases
from tests.oracle import Window, clamp, many, newest_first, windows, within
from tests.recording import until
from tests.rows import T0, any_row, fields, row
from tests.types import Pool

_rows = st.lists(any_row(st.sampled_from(["A", "B"])), max_size=25, unique_by=lambda one: one.id)
TABLE = "execlog.strategy_execution_log"
NEVER = datetime.max.replace(tzinfo=UTC)  # which the driver takes for infinity


@pytest.fixture(scope="module")
async def shared(template: str) -> AsyncIterator[Pool]:
    """A database whose table each example empties."""
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        yield pool


async def only(pool: Pool, rows: list[StrategyExecutionLog]) -> StrategyExecutionLogRepository:
    """A repository of these rows and no others."""
    await pool.execute(f"delete from {TABLE}")
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(rows)
    return repository


@many
@given(
    rows=_rows,
    status=st.sampled_from([None, "ok", "error", "odd", ""]),
    limit=st.sampled_from([-1, 1, 2, 3, 10**9]),
)
async def test_list_newest(
    shared: Pool, rows: list[StrategyExecutionLog], status: str | None, limit: int
) -> None:
    repository = await only(shared, rows)
    expected = newest_first(one for one in rows if status is None or one.status == status)
    found = await repository.list_newest(status=status, limit=limit)
    assert found == expected[: clamp(limit, 200)]
    paged: list[StrategyExecutionLog] = []
    while page := await repository.list_newest(
        status=status, limit=2, before=paged[-1] if paged else None
    ):
        paged += page
    assert paged == expected


@many
@given(rows=_rows, window=windows, strategy_id=st.sampled_from([None, "A", "none"]))
async def test_stream(
    shared: Pool, rows: list[StrategyExecutionLog], window: Window, strategy_id: str | None
) -> None:
    repository = await only(shared, rows)
    expected = newest_first(
        one for one in within(rows, window) if strategy_id in (None, one.strategy_id)
    )
    found = repository.stream(strategy_id=strategy_id, since=window[0], until=window[1])
    assert [one async for one in found] == expected


@pytest.mark.parametrize("count", [0, 199, 200, 201, 1000])
async def test_stream_of_many(repository: StrategyExecutionLogRepository, count: int) -> None:
    await repository.insert_rows(row() for _ in range(count))
    assert len([one async for one in repository.stream()]) == count


async def test_a_stream_shows_what_was_there_when_it_began(
    repository: StrategyExecutionLogRepository,
) -> None:
    await repository.insert_rows(row() for _ in range(500))
    stream = repository.stream()
    await anext(stream)
    await repository.insert_rows(row() for _ in range(500))
    assert len([one async for one in stream]) == 499


async def test_a_stream_that_is_left(dsn: str) -> None:
    """Its connection comes back, in no transaction, and whatever is wrong inside is not hidden."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        repository = StrategyExecutionLogRepository(pool, timeout=5)
        await repository.insert_rows(row() for _ in range(500))
        for _ in range(3):
            async with contextlib.aclosing(repository.stream()) as stream:
                await anext(stream)
            assert pool.get_idle_size() == 1
            with pytest.raises(ZeroDivisionError):
                async with contextlib.aclosing(repository.stream()) as stream:
                    async for _ in stream:
                        raise ZeroDivisionError
        assert await repository.insert_rows([row()]) == 1


async def test_a_stream_whose_backend_is_killed(pool: Pool, dsn: str) -> None:
    repository = StrategyExecutionLogRepository(pool)
    await repository.insert_rows(row() for _ in range(1000))
    stream = repository.stream()
    await anext(stream)
    other = await asyncpg.connect(dsn)
    await other.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where state = 'idle in transaction' and datname = current_database()"
    )
    await other.close()
    with pytest.raises(StoreUnavailable):
        async for _ in stream:
            pass
    assert len([one async for one in repository.stream()]) == 1000


async def test_a_stream_on_a_slow_reader(pool: Pool) -> None:
    """The limit of time is the server's, not the reader's."""
    repository = StrategyExecutionLogRepository(pool, timeout=0.5)
    await repository.insert_rows(row() for _ in range(500))
    read = 0
    async for _ in repository.stream():
        read += 1
        if read in (1, 250):
            await asyncio.sleep(0.7)
    assert read == 500


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("strategy_id", {"strategy_id": ""}),
        ("strategy_id", {"strategy_id": 7}),
        ("since", {"since": datetime(2026, 1, 1)}),
        ("since", {"since": T0, "until": T0 - timedelta(seconds=1)}),
    ],
)
async def test_a_stream_of_nonsense(
    repository: StrategyExecutionLogRepository, argument: str, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await anext(repository.stream(**given))
    assert caught.value.argument == argument


@many
@given(rows=_rows, again=st.data())
async def test_insert_missing(
    shared: Pool, rows: list[StrategyExecutionLog], again: st.DataObject
) -> None:
    """Whatever is stored already, each row is there once afterwards, as it was."""
    before = (
        again.draw(st.lists(st.sampled_from(rows), unique_by=lambda one: one.id)) if rows else []
    )
    repository = await only(shared, before)
    doubled = [*rows, *rows[:3]]
    assert await repository.insert_missing(doubled) == len(rows) - len(before)
    assert [one async for one in repository.stream()] == newest_first(rows)
    assert await repository.insert_missing(rows) == 0


async def test_insert_missing_keeps_what_is_there(
    repository: StrategyExecutionLogRepository,
) -> None:
    one = row(notes="first")
    assert await repository.insert_missing([fields(id=one.id, created_at=one.created_at)]) == 1
    assert await repository.insert_missing([one]) == 0
    found = await repository.get(id=one.id)
    assert found is not None
    assert found.notes is None
    assert await repository.insert_missing([]) == 0


async def test_insert_missing_is_all_or_none(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await pool.execute(f"alter table {TABLE} add constraint few check (nodes_executed < 9)")
    with pytest.raises(QueryRejected, match="constraint few"):
        await repository.insert_missing([row(), row(nodes_executed=9)])
    assert await repository.list_newest() == []


async def test_health(dsn: str, pool: Pool, repository: StrategyExecutionLogRepository) -> None:
    empty = await repository.health()
    assert (empty.missing_migrations, empty.writable, empty.oldest) == ([], True, None)
    assert (empty.partitions, empty.stray_rows, empty.undated_rows) == (4, 0, 0)
    assert 80 < empty.days_ahead < 125
    assert (empty.has_default, empty.clock_skew_seconds) == (True, 0.0)
    assert empty.last_stored is None
    old, new = datetime(1999, 1, 1, tzinfo=UTC), datetime.now(UTC)
    async with ExecutionRecorder(dsn) as recorder:
        recorder.record(**fields(created_at=new))
    await repository.insert_rows(
        [
            row(created_at=old),
            row(created_at=None),
            row(created_at=datetime.max.replace(tzinfo=UTC)),
        ]
    )
    await until(lambda: estimated(repository, 4), 30)  # as counted: told within ten seconds
    await pool.execute(f"analyze {TABLE}")
    found = await repository.health()
    assert (found.oldest, found.newest) == (old, NEVER)
    assert (found.stray_rows, found.undated_rows, found.estimated_rows) == (1, 1, 4)
    assert found.table_bytes > empty.table_bytes > 0
    assert found.index_bytes > 0
    assert found.last_stored is not None
    assert 0 <= (found.lag_seconds or -1) < 60
    assert type(found).model_validate(found.model_dump(by_alias=True, mode="json")) == found


async def estimated(repository: StrategyExecutionLogRepository, rows: int) -> bool:
    return (await repository.health()).estimated_rows == rows


@pytest.mark.session
async def test_health_of_what_is_not_well(dsn: str, pool: Pool) -> None:
    await pool.execute("delete from execlog.schema_migration where name like '0003%'")
    month = datetime.now(UTC).strftime("%Y%m")
    await pool.execute(f"alter table {TABLE} detach partition {TABLE}_{month}")
    writer = await asyncpg.connect(dsn)
    await writer.execute("begin")
    await writer.execute("create table scratch ()")
    reading = {"default_transaction_read_only": "on"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=reading) as own:
        found = await StrategyExecutionLogRepository(own).health()
    await writer.close()
    assert found.missing_migrations == [migration_names()[2]]
    assert (found.writable, found.partitions, found.days_ahead) == (False, 3, 0.0)
    assert found.oldest_write is not None


async def test_the_probe_of_an_engine(dsn: str, pool: Pool, empty_dsn: str) -> None:
    async with pool.acquire() as connection:
        for target in (dsn, pool, connection):
            found = await health(target)
            assert (found.missing_migrations, found.writable) == ([], True)
    with pytest.raises(SchemaOutdated):
        await health(empty_dsn)
    with pytest.raises(StoreUnavailable):
        await health("postgresql://127.0.0.1:1/")
    with pytest.raises(InvalidArgument, match=r"^target: "):
        await health(7)  # type: ignore[arg-type]
    lock = await asyncpg.connect(dsn)
    await lock.execute(f"begin; lock table {TABLE} in access exclusive mode")
    with pytest.raises(StoreUnavailable):
        await health(dsn, timeout=0.3)
    await lock.close()


def test_clocks_that_differ() -> None:
    """By what is beyond the time between question and answer, which may be spent in waiting."""
    asked, second = datetime(2026, 1, 1, tzinfo=UTC), timedelta(seconds=1)
    found: dict[str, Any] = dict.fromkeys(Health.model_fields, 0)
    found |= {"server_version": "18.6", "migrations": [], "oldest": None, "newest": None}
    found |= {"last_stored": None, "oldest_write": None, "covered_until": asked}
    found |= {"without_replica_identity": []}
    found.pop("clock_skew_seconds"), found.pop("missing_migrations"), found.pop("days_ahead")
    found.pop("lag_seconds")
    for moved, skew in ((-3, -3.0), (0, 0.0), (5, 0.0), (10, 0.0), (12, 2.0)):
        record = found | {"server_time": asked + moved * second}
        seen = health_of(record, asked, asked + 10 * second, [])  # type: ignore[arg-type]
        assert seen.clock_skew_seconds == skew


async def test_health_of_partitions_within_partitions(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    await pool.execute(
        f"create table execlog.year partition of {TABLE}"
        " for values from ('2001-01-01') to ('2002-01-01') partition by range (created_at)"
    )
    await pool.execute(
        "create table execlog.half partition of execlog.year"
        " for values from ('2001-01-01') to ('2001-07-01')"
    )
    before = await repository.health()
    time = datetime(2001, 2, 3, tzinfo=UTC)
    await repository.insert_rows(row(created_at=time) for _ in range(1000))
    after = await repository.health()
    assert after.oldest == time
    assert after.table_bytes > before.table_bytes + 50_000


@pytest.mark.parametrize("gap", [None, 1, 2])
async def test_days_ahead_end_at_a_gap(
    pool: Pool, repository: StrategyExecutionLogRepository, gap: int | None
) -> None:
    ends = await pool.fetch(
        "select c.relname as name, substring(pg_get_expr(relpartbound, c.oid) from"
        " 'FROM \\(''([^'']+)''')::timestamptz as begins from pg_class as c"
        f" join pg_inherits on c.oid = inhrelid where inhparent = '{TABLE}'::regclass"
        " and pg_get_expr(relpartbound, c.oid) <> 'DEFAULT' order by 2"
    )
    covered = (await repository.health()).days_ahead
    if gap is not None:
        await pool.execute(f"alter table {TABLE} detach partition execlog.{ends[gap]['name']}")
        covered = (ends[gap]["begins"] - datetime.now(UTC)) / timedelta(days=1)
    assert (await repository.health()).days_ahead == pytest.approx(covered, abs=0.01)


async def test_health_in_a_session_with_its_own_ways(dsn: str) -> None:
    """Neither how it writes dates nor where it is moves the ends of the partitions."""
    found = []
    for style, zone in itertools.product(("ISO, MDY", "SQL, DMY", "German"), ("UTC", "Asia/Tokyo")):
        own = {"DateStyle": style, "TimeZone": zone}
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=own) as pool:
            found.append((await StrategyExecutionLogRepository(pool).health()).days_ahead)
    assert found == pytest.approx([found[0]] * len(found), abs=0.01)
