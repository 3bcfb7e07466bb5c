"""What a real server does to the repository: away, killed, slow, old, with odd codecs."""

from __future__ import annotations

import asyncio
import json
import os
import pickle
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any, Protocol, TypeVar

import asyncpg
import pytest

import execlog
from execlog import (
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
    StrategyComparison,
    StrategyExecutionLogRepository,
)
from execlog.archive.files import on_days
from execlog.db import session_limits
from execlog.db.executor import _lift_limits
from execlog.embedded import EmbeddedPostgres
from execlog.repository import statements
from tests import databases
from tests.databases import WAITING
from tests.recording import until
from tests.rows import STRATEGY, T0, row
from tests.samples import one_of
from tests.types import Connection, Pool

SECRET = "not-to-be-printed"
Call = Callable[[StrategyExecutionLogRepository], Awaitable[object]]
Answer = TypeVar("Answer")


async def all_of(stream: AsyncIterator[Answer]) -> list[Answer]:
    return [one async for one in stream]


CALLS: dict[str, Call] = {
    "insert_row": lambda repo: repo.insert_row(row()),
    "insert_rows": lambda repo: repo.insert_rows([row()]),
    "get": lambda repo: repo.get(id=row().id),
    "list_by_prefix": lambda repo: repo.list_by_prefix(prefix="0192f0c1"),
    "list_for_strategy": lambda repo: repo.list_for_strategy(strategy_id=STRATEGY),
    "count_by_status": lambda repo: repo.count_by_status(strategy_id=STRATEGY),
    "count_by_error_code": lambda repo: repo.count_by_error_code(strategy_id=STRATEGY),
    "count_by_case_name": lambda repo: repo.count_by_case_name(strategy_id=STRATEGY),
    "count_by_points": lambda repo: repo.count_by_points(strategy_id=STRATEGY),
    "duration_and_nodes_summary": lambda repo: repo.duration_and_nodes_summary(
        strategy_id=STRATEGY
    ),
    "sample_durations": lambda repo: repo.sample_durations(strategy_id=STRATEGY),
    "sample_points": lambda repo: repo.sample_points(strategy_id=STRATEGY),
    "duration_percentiles": lambda repo: repo.duration_percentiles(strategy_id=STRATEGY),
    "metrics": lambda repo: repo.metrics(strategy_id=STRATEGY),
    "compare": lambda repo: repo.compare(a=STRATEGY, b="another"),
    "timeseries": lambda repo: repo.timeseries(strategy_id=STRATEGY),
    "list_newest": lambda repo: repo.list_newest(),
    "list_failures": lambda repo: repo.list_failures(),
    "insert_missing": lambda repo: repo.insert_missing([row()]),
    "stream": lambda repo: all_of(repo.stream()),
    "health": lambda repo: repo.health(),
    "list_tables": lambda repo: repo.list_tables(),
    "rollup_state": lambda repo: repo.rollup_state(),
    "archive_state": lambda repo: repo.archive_state(),
    "maintenance_state": lambda repo: repo.maintenance_state(),
    "erase": lambda repo: all_of(repo.erase(external_user_id="u")),
    "rank_strategies": lambda repo: repo.rank_strategies(),
    "rank_together": lambda repo: repo.rank_together(),
    "breakdown": lambda repo: repo.breakdown(by="status"),
    "breakdown_of_rollups": lambda repo: repo.breakdown(by="realm_id"),
    "node_times": lambda repo: repo.node_times(),
    "list_executions": lambda repo: repo.list_executions(
        strategy_id=STRATEGY, strategy_version=[1, 2], trace_id=[1, 2], attributes={"a": 1}
    ),
    "list_stored": lambda repo: repo.list_stored(after=None),
    "list_absent": lambda repo: repo.list_absent(realm_id="acme", strategy_version=[1, 2]),
    "count_executions": lambda repo: repo.count_executions(status="failed"),
    "next_failure": lambda repo: repo.next_failure(strategy_id=STRATEGY, after=row()),
    "activity": lambda repo: repo.activity(),
    "report": lambda repo: repo.report(strategy_id=STRATEGY),
    "explain": lambda repo: repo.explain(strategy_id=STRATEGY),
    "recorder_account": lambda repo: repo.recorder_account(),
    "count_stored": lambda repo: repo.count_stored(),
    "spooling_recorders": lambda repo: repo.spooling_recorders(),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


@asynccontextmanager
async def waiting_for_the_table(dsn: str) -> AsyncIterator[None]:
    """Holds a lock that makes every call wait on the server."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(
                "lock table execlog.strategy_execution_log, execlog.rollup_state,"
                " execlog.recorder_account, execlog.maintenance, execlog.archive"
                " in access exclusive mode"
            )
            yield
    finally:
        await connection.close()


@pytest.fixture(scope="module")
async def bare_dsn(template: str) -> AsyncIterator[str]:
    """A database without any migration, in which nothing is made."""
    async with databases.clone(template, template="template0") as own:
        yield own


@every_call
async def test_a_database_without_migrations(bare_dsn: str, call: Call) -> None:
    async with asyncpg.create_pool(bare_dsn, min_size=1, max_size=1) as pool:
        with pytest.raises(SchemaOutdated, match="run `execlog migrate`") as caught:
            await call(StrategyExecutionLogRepository(pool))
    assert caught.value.sqlstate in {"42P01", "3F000"}
    assert isinstance(caught.value.__cause__, asyncpg.PostgresError)


@every_call
async def test_a_server_that_is_away(call: Call) -> None:
    # Port 1 of loopback: nobody listens, and the answer comes at once.
    dsn = f"postgresql://user:{SECRET}@127.0.0.1:1/execlog"
    pool = asyncpg.create_pool(dsn, min_size=0)
    async with pool:
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            await call(StrategyExecutionLogRepository(pool, timeout=5))
        assert time.monotonic() - begin < 5
    assert SECRET not in str(caught.value)


@every_call
async def test_a_query_that_waits_too_long(shared_dsn: str, shared_pool: Pool, call: Call) -> None:
    """Neither the caller waits for longer, nor does anything go on on the server."""
    repository = StrategyExecutionLogRepository(shared_pool, timeout=0.3)
    async with waiting_for_the_table(shared_dsn):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await call(repository)
        assert time.monotonic() - begin < 5
        assert await shared_pool.fetchval(f"select count(*) from {WAITING}") == 0
    await call(StrategyExecutionLogRepository(shared_pool))


@every_call
async def test_a_caller_that_gives_up(shared_dsn: str, shared_pool: Pool, call: Call) -> None:
    repository = StrategyExecutionLogRepository(shared_pool)
    async with waiting_for_the_table(shared_dsn):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await call(repository)
    assert shared_pool.get_idle_size() == shared_pool.get_size()
    await call(repository)


@every_call
async def test_a_backend_that_is_killed_meanwhile(
    shared_dsn: str, shared_pool: Pool, call: Call
) -> None:
    repository = StrategyExecutionLogRepository(shared_pool)
    async with waiting_for_the_table(shared_dsn):
        waiting = asyncio.ensure_future(call(repository))
        await terminate_waiting_backends(shared_dsn)
        with pytest.raises(StoreUnavailable):
            await waiting
    await call(repository)


async def terminate_waiting_backends(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for _ in range(200):
            ended = await connection.fetch(f"select pg_terminate_backend(pid) from {WAITING}")
            if ended:
                return
            await asyncio.sleep(0.01)
        raise AssertionError("nobody waited for the lock")
    finally:
        await connection.close()


@every_call
async def test_an_exhausted_pool(shared_dsn: str, call: Call) -> None:
    async with asyncpg.create_pool(shared_dsn, min_size=1, max_size=1) as pool, pool.acquire():
        with pytest.raises(StoreUnavailable, match="no connection within"):
            await call(StrategyExecutionLogRepository(pool, timeout=0.1))


async def test_a_closed_pool(dsn: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=1)
    await pool.close()
    with pytest.raises(StoreUnavailable):
        await StrategyExecutionLogRepository(pool).count_by_status(strategy_id=STRATEGY)


@pytest.mark.long
async def test_a_whole_server_that_is_killed_and_one_that_is_frozen() -> None:
    with EmbeddedPostgres() as server:
        await execlog.migrate(server.dsn)
        pool = await asyncpg.create_pool(server.dsn, min_size=1, max_size=1)
        repository = StrategyExecutionLogRepository(pool, timeout=0.5)
        await repository.insert_row(row())
        frozen = await backend_pid(pool)
        os.kill(frozen, signal.SIGSTOP)
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await repository.count_by_status(strategy_id=STRATEGY)
        assert time.monotonic() - begin < 5
        # The caller's own limit, and its cancellation, stay what they are.
        frozen_too = await backend_pid(pool)
        os.kill(frozen_too, signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await repository.count_by_status(strategy_id=STRATEGY)
        for pid in (frozen, frozen_too):
            os.kill(pid, signal.SIGCONT)
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        # Its backends end by themselves as soon as they notice; then each call must say so.
        with pytest.raises(StoreUnavailable):
            for _ in range(500):
                await repository.count_by_status(strategy_id=STRATEGY)
                await asyncio.sleep(0.01)
        pool.terminate()


async def backend_pid(pool: Pool) -> int:
    async with pool.acquire() as connection:
        return connection.get_server_pid()


async def another_query_waits(dsn: str) -> None:
    """Returns when the first one that waits for a lock was given up, and the next one waits."""
    waits = f"select count(*) > 0 from {WAITING}"
    observer = await asyncpg.connect(dsn)
    await until(lambda: observer.fetchval(waits))
    moment = await observer.fetchval("select clock_timestamp()")
    await until(lambda: observer.fetchval(f"{waits} and query_start > $1", moment))
    await observer.close()


class Ask(Protocol):
    async def __call__(self, call: Callable[[float], Awaitable[Answer]]) -> Answer: ...


@asynccontextmanager
async def out_of_time(dsn: str, limit: str) -> AsyncIterator[tuple[Ask, Pool]]:
    """Gives a function that asks, where the first query is given up and those after it are not."""
    settings = {"statement_timeout": "500"} if limit == "statement" else {}

    async def ask(call: Callable[[float], Awaitable[Answer]]) -> Answer:
        async with waiting_for_the_table(dsn):
            asking = asyncio.ensure_future(call(30 if limit == "statement" else 0.5))
            await another_query_waits(dsn)
        return await asking

    async with asyncpg.create_pool(dsn, min_size=1, max_size=2, server_settings=settings) as pool:
        yield ask, pool


@pytest.mark.session
@pytest.mark.parametrize("limit", ["statement", "client"])
async def test_percentiles_out_of_time_are_a_sample_and_say_so(dsn: str, limit: str) -> None:
    async with out_of_time(dsn, limit) as (ask, pool):
        repository = StrategyExecutionLogRepository(pool)
        await repository.insert_rows(row(duration_ms=float(n)) for n in range(101))
        found = await ask(
            lambda timeout: repository.duration_percentiles(strategy_id=STRATEGY, timeout=timeout)
        )
    assert (found.method, found.sample_size) == ("sample", 101)
    assert found.values_ms == pytest.approx((50.0, 95.0, 99.0))


@pytest.mark.session
@pytest.mark.parametrize("limit", one_of(["statement", "client"]))
async def test_cards_out_of_time_are_exact_but_for_the_percentiles(dsn: str, limit: str) -> None:
    async with out_of_time(dsn, limit) as (ask, pool):
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as patient:
            await fill_two_strategies(StrategyExecutionLogRepository(patient))
            exact = await StrategyExecutionLogRepository(patient).compare(a=STRATEGY, b="another")
        repository = StrategyExecutionLogRepository(pool)
        card = await ask(lambda timeout: repository.metrics(strategy_id=STRATEGY, timeout=timeout))
        both = await ask(
            lambda timeout: repository.compare(a=STRATEGY, b="another", timeout=timeout)
        )
    assert both.a == card
    assert_same_but_sampled(both, exact)


@pytest.mark.session
async def test_a_card_of_a_realm_out_of_time_is_of_that_realm(dsn: str) -> None:
    async with out_of_time(dsn, "client") as (ask, pool):
        repository = StrategyExecutionLogRepository(pool)
        await repository.insert_rows(
            row(realm_id="ab"[n % 2], duration_ms=float(n % 2 * 100 + 1), created_at=time)
            for n in range(60)
            for time in (T0, None)
        )
        card = await ask(
            lambda timeout: repository.metrics(
                strategy_id=STRATEGY, realm_id=["a", "c"], timeout=timeout
            )
        )
    duration = card.duration
    assert (duration.method, duration.sample_size, card.status_breakdown.total) == (
        "sample",
        60,
        60,
    )
    assert (duration.p50_ms, duration.p99_ms, duration.max_ms) == (1.0, 1.0, 1.0)


@pytest.mark.long
async def test_a_card_has_no_more_time_than_any_call(dsn: str, pool: Pool) -> None:
    """What is asked for after the budget has what is left of the whole, not all of it anew."""
    repository = StrategyExecutionLogRepository(pool, timeout=2)
    async with waiting_for_the_table(dsn):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await repository.compare(a=STRATEGY, b="another", timeout=2)
        assert 1.9 < time.monotonic() - begin < 3.9


async def test_a_report_out_of_its_time_is_an_error(dsn: str, pool: Pool) -> None:
    repository = StrategyExecutionLogRepository(pool)
    async with waiting_for_the_table(dsn):
        begin = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await repository.report(strategy_id=STRATEGY, timeout=0.3)
        assert time.monotonic() - begin < 5
    await repository.report(strategy_id=STRATEGY)


@pytest.mark.parametrize("method", ["metrics", "duration_percentiles"])
async def test_half_of_the_time_is_left_for_a_sample(dsn: str, pool: Pool, method: str) -> None:
    """Also where a call may take no longer than its percentiles are given."""
    repository = StrategyExecutionLogRepository(pool, timeout=2)
    await repository.insert_rows([row()])
    async with waiting_for_the_table(dsn):
        asking = asyncio.ensure_future(getattr(repository, method)(strategy_id=STRATEGY))
        await another_query_waits(dsn)
    found = await asking
    assert getattr(found, "duration", found).method == "sample"


@pytest.mark.long
@pytest.mark.session
async def test_a_server_that_has_no_room_to_sort(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        repository = StrategyExecutionLogRepository(pool)
        await repository.insert_rows(row(duration_ms=n % 1009 / 7) for n in range(60_000))
        await pool.execute("analyze execlog.strategy_execution_log")
        await execlog.migrate(pool, rollups=False)
    settings = {"temp_file_limit": "64", "work_mem": "1024"}
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1, server_settings=settings) as pool:
        repository = StrategyExecutionLogRepository(pool)
        found = await repository.duration_percentiles(strategy_id=STRATEGY)
        card = await repository.metrics(strategy_id=STRATEGY)
    assert (found.method, card.duration.method) == ("sample", "sample")
    assert card.status_breakdown.total == 60_000


async def fill_two_strategies(repository: StrategyExecutionLogRepository) -> None:
    """More rows than a sample holds, the slowest of them the oldest."""
    await repository.insert_rows(
        row(
            strategy_id=STRATEGY if n % 3 else "another",
            created_at=T0 + timedelta(seconds=n),
            duration_ms=float(9000 - n),
            status="ok" if n % 7 else "error",
            error_code=None if n % 7 else "E1",
            points=float(n % 11) if n % 7 else None,
        )
        for n in range(9000)
    )


def assert_same_but_sampled(found: StrategyComparison, exact: StrategyComparison) -> None:
    for got, whole, sample, rows in (
        (found.a, exact.a, 5000, 6000),
        (found.b, exact.b, 3000, 3000),
    ):
        assert (got.duration.method, got.duration.sample_size) == ("sample", sample)
        assert (whole.duration.method, whole.duration.sample_size) == ("exact", rows)
        percentiles = {"p50_ms", "p95_ms", "p99_ms", "sample_size", "method", "relative_error"}
        assert got.duration.model_dump(exclude=percentiles) == pytest.approx(
            whole.duration.model_dump(exclude=percentiles)
        )
        assert got.model_dump(exclude={"duration"}) == whole.model_dump(exclude={"duration"})
    assert found.a.duration.p99_ms < exact.a.duration.p99_ms
    assert found.b.duration.p50_ms == exact.b.duration.p50_ms
    assert found.delta.points_avg == exact.delta.points_avg


async def test_a_server_without_percentile_cont(dsn: str, pool: Pool) -> None:
    """A database whose catalogue lacks the aggregate, as that of a look-alike server does."""
    repository = StrategyExecutionLogRepository(pool)
    await fill_two_strategies(repository)
    exact = await repository.compare(a=STRATEGY, b="another")
    async with pool.acquire() as connection:
        if not await connection.fetchval("select rolsuper from pg_roles where rolname = user"):
            pytest.skip("takes a superuser, to rename a function of the server's own")
        await connection.execute("set allow_system_table_mods = on")
        await connection.execute(
            "alter function pg_catalog.percentile_cont(double precision[], double precision)"
            " rename to percentile_gone"
        )
    await pool.expire_connections()  # a prepared statement keeps the function that it found
    found = await repository.duration_percentiles(strategy_id=STRATEGY, fractions=[1, 0, 0.5])
    assert (found.method, found.sample_size) == ("sample", 5000)
    assert found.values_ms == (7499.0, 1.0, 3750.0)
    assert_same_but_sampled(await repository.compare(a=STRATEGY, b="another"), exact)


async def test_rows_stored_twice_are_refused_and_named_by_sqlstate(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = [row(notes=SECRET) for _ in range(3)]
    assert await repository.insert_rows(rows) == 3
    for again in (repository.insert_rows(rows), repository.insert_row(rows[1])):
        with pytest.raises(QueryRejected) as caught:
            await again
        assert caught.value.sqlstate == "23505"
        assert SECRET not in str(caught.value)
    undated = row(created_at=None)
    await repository.insert_row(undated)
    with pytest.raises(QueryRejected):
        await repository.insert_row(undated)
    assert await repository.count_by_status(strategy_id=STRATEGY) == {"ok": 4}


@pytest.mark.session
async def test_a_read_only_server(dsn: str) -> None:
    settings = {"default_transaction_read_only": "on"}
    async with asyncpg.create_pool(dsn, min_size=1, server_settings=settings) as pool:
        repository = StrategyExecutionLogRepository(pool)
        for insert in (repository.insert_row(row()), repository.insert_rows([row()])):
            with pytest.raises(StoreUnavailable) as caught:
                await insert
            assert caught.value.sqlstate == "25006"
        assert await repository.count_by_status(strategy_id=STRATEGY) == {}


async def set_json_codecs(connection: Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=json.dumps, decoder=json.loads
        )


async def set_binary_jsonb_codec(connection: Connection) -> None:
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda value: b"\1" + json.dumps(value).encode(),
        decoder=lambda data: json.loads(data[1:]),
    )


POOLS: dict[str, dict[str, Any]] = {
    "plain": {},
    "no statement cache": {"statement_cache_size": 0},
    "json codecs": {"init": set_json_codecs},
    "binary jsonb codec": {"init": set_binary_jsonb_codec},
}


@pytest.mark.parametrize("options", POOLS.values(), ids=POOLS)
async def test_every_pool_gives_the_same(dsn: str, options: dict[str, Any]) -> None:
    trace = [{"node": "a", "ms": 0.5, "text": 'q"\\\t\n\x01é😀', "none": None}, 1, "x", []]
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2, **options) as pool:
        repository = StrategyExecutionLogRepository(pool)
        one, two = row(trace=trace), row(trace=[])
        await repository.insert_row(one)
        assert await repository.insert_rows([two]) == 1
        assert await repository.list_for_strategy(strategy_id=STRATEGY) == [two, one]
        assert await repository.get(id=one.id) == one
        for call in CALLS.values():
            await call(repository)
        assert (
            await pool.fetchval(
                "select jsonb_typeof(trace) from execlog.strategy_execution_log where id = $1",
                one.id,
            )
            == "array"
        )


async def test_a_column_type_that_changes_under_a_live_connection(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """Binary COPY would go on sending float8, and the server would store its bits as a bigint."""
    async with pool.acquire() as connection:
        await repository.insert_rows([row(duration_ms=2.0)])
        await connection.execute(
            "alter table execlog.strategy_execution_log alter column nodes_executed type bigint"
        )
        await connection.execute(
            "alter table execlog.strategy_execution_log alter column duration_ms type numeric"
        )
    await repository.insert_rows([row(duration_ms=2.0)])
    found = await pool.fetch("select duration_ms::float8 as ms from execlog.strategy_execution_log")
    assert [record["ms"] for record in found] == [2.0, 2.0]


async def test_one_statement_and_one_round_trip_a_method(dsn: str) -> None:
    """Counted on the wire: the messages by which asyncpg asks the server to answer."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        repository = StrategyExecutionLogRepository(pool)
        queries: list[str] = []
        async with pool.acquire() as connection:
            connection.add_query_logger(lambda record: queries.append(record.query))
            lifting = session_limits.lifting(connection)
        for name, call in CALLS.items():
            queries.clear()
            await call(repository)
            ours = [query for query in queries if "pg_advisory_unlock_all" not in query]
            # The query logger sees neither COPY nor a cursor, but the transaction around it, in
            # which limits are lifted.
            around = ["BEGIN READ ONLY;", _lift_limits(), "COMMIT;"]
            of_files = statements()["archive_state"].sql
            erasing = [of_files, statements()["spooling_recorders"].sql]
            erasing += ["BEGIN;", lifting, statements()["erase"].sql, "COMMIT;", of_files]
            unusual = {"insert_rows": [], "stream": around, "erase": erasing}
            on_which = on_days("execlog").query(days="").sql
            storing = [on_which, statements()["insert_missing"].query(rows="").sql, on_which]
            begin = "BEGIN ISOLATION LEVEL READ COMMITTED;"
            unusual["insert_missing"] = [begin, *storing, "COMMIT;"]
            if name in unusual:
                assert ours == unusual[name], name
            else:
                [sent] = ours
                question = f"-- {statements()[name].question}\n"
                assert sent.startswith(question), name


async def test_many_callers_at_once(repository: StrategyExecutionLogRepository) -> None:
    batches = [[row() for _ in range(50)] for _ in range(20)]
    assert await asyncio.gather(*map(repository.insert_rows, batches)) == [50] * 20
    counts = await asyncio.gather(
        *(repository.count_by_status(strategy_id=STRATEGY) for _ in range(20))
    )
    assert counts == [{"ok": 1000}] * 20


async def test_errors_survive_pickling(repository: StrategyExecutionLogRepository) -> None:
    stored = row()
    await repository.insert_row(stored)
    with pytest.raises(QueryRejected) as caught:
        await repository.insert_row(stored)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again), again.sqlstate) == (QueryRejected, str(caught.value), "23505")
