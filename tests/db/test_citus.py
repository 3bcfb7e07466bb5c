"""The log on a Citus cluster: the server in `EXECLOG_TEST_CITUS_DSN`, its coordinator.

Each test has a schema of its own there, and beside it a log that is not distributed, which says
what the answers must be.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit
from uuid import uuid4

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyComparison,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.db import sqltext
from execlog.recorder import flusher
from execlog.repository import statements
from execlog.repository.breakdown import OF_ROLLUPS
from tests import first_wave
from tests.command import run
from tests.db.test_roles import as_role
from tests.plans import shown
from tests.recording import AWAY, balanced, load
from tests.rows import T0, row
from tests.types import Pool

DSN = os.environ.get("EXECLOG_TEST_CITUS_DSN", "")
cluster = pytest.mark.skipif(not DSN, reason="EXECLOG_TEST_CITUS_DSN is not set")
DAY = timedelta(days=1)
STRATEGIES = [f"s{n}" for n in range(12)]  # on several machines
_numbers = itertools.count()
Log = StrategyExecutionLogRepository


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    async with asyncpg.create_pool(DSN, min_size=1, max_size=4) as own:
        yield own


@pytest.fixture
async def schema(pool: Pool) -> AsyncIterator[str]:
    """A distributed log."""
    name = f"execlog test {os.getpid()} {next(_numbers)}"
    assert await execlog.migrate(pool, schema=name)
    await execlog.distribute(pool, shard_count=8, schema=name)
    yield name
    await pool.execute(f'drop schema "{name}" cascade')


@pytest.fixture
async def log(pool: Pool, schema: str) -> Log:
    return StrategyExecutionLogRepository(pool, schema=schema)


@pytest.fixture
async def plain(pool: Pool) -> AsyncIterator[Log]:
    """A log on the coordinator alone."""
    name = f"execlog plain {os.getpid()} {next(_numbers)}"
    await execlog.migrate(pool, schema=name)
    yield StrategyExecutionLogRepository(pool, schema=name)
    await pool.execute(f'drop schema "{name}" cascade')


def executions(number: int, seed: int = 1) -> list[StrategyExecutionLog]:
    """Odd enough; sums are the same in any order."""
    dice = random.Random(seed)
    times = [None, *(T0 + n * timedelta(hours=7) for n in range(-90, 20))]
    return [
        row(
            created_at=dice.choice(times),
            strategy_id=dice.choice(STRATEGIES),
            realm_id=dice.choice(["acme", "other", None]),
            status=dice.choice(["ok", "ok", "error", "timeout", "limit", "odd"]),
            error_code=dice.choice([None, "E1", "E2"]),
            case_name=dice.choice([None, "a", "b"]),
            points=dice.choice([None, *(n / 4 for n in range(9))]),
            duration_ms=dice.randrange(4000) / 4,
            nodes_executed=dice.randrange(9),
            sample_rate=dice.choice([1.0, 0.5]),
            external_user_id=dice.choice(["u1", "u2", None]),
            trace=dice.choice([None, [{"node": "a"}]]),
        )
        for _ in range(number)
    ]


WINDOWS: list[dict[str, Any]] = [
    {},
    {"since": T0 - 9 * DAY},
    {"until": T0},
    {"since": T0 - 9 * DAY, "until": T0},
    {"since": T0 + 900 * DAY},
]


async def listed(rows: Any) -> list[Any]:
    return [one async for one in rows]


def questions(window: dict[str, Any], stored: StrategyExecutionLog) -> dict[str, Any]:
    """Every method that reads, by what it is called for."""
    one: dict[str, Any] = {"strategy_id": stored.strategy_id}
    since = window.get("since", T0 - 20 * DAY)
    bounded = {"since": since, "until": window.get("until", since + 30 * DAY)}
    asked: dict[str, Callable[[Log], Awaitable[object]]] = {
        "get": lambda log: log.get(id=stored.id),
        "get of a strategy": lambda log: log.get(id=stored.id, **one),
        "alike": lambda log: log.list_by_prefix(prefix=str(stored.id)[:8], limit=7),
        "alike of a strategy": lambda log: log.list_by_prefix(prefix=str(stored.id), **one),
        "list": lambda log: log.list_for_strategy(**one, limit=7),
        "page": lambda log: log.list_for_strategy(**one, before=stored, limit=7),
        "list of a status": lambda log: log.list_for_strategy(**one, status="error", limit=7),
        "newest": lambda log: log.list_newest(limit=9),
        "newest page": lambda log: log.list_newest(limit=9, before=stored),
        "newest of a status": lambda log: log.list_newest(limit=9, status="timeout"),
        "failures": lambda log: log.list_failures(**window, limit=20),
        "failures of a realm": lambda log: log.list_failures(realm_id="acme", **window),
        "failures of some": lambda log: log.list_failures(
            realm_id=["acme", "other"], strategy_id=STRATEGIES[:2], **window
        ),
        "list behind a number": lambda log: log.list_executions(**one, **window, status="failed"),
        "list behind a realm's": lambda log: log.list_executions(**one, **window, realm_id="acme"),
        "activity": lambda log: log.activity(**bounded),
        "activity of some": lambda log: log.activity(**bounded, strategy_id=STRATEGIES[:2]),
        "activity of a realm": lambda log: log.activity(
            **bounded, strategy_id=STRATEGIES[:2], realm_id="acme"
        ),
        "report": lambda log: log.report(**one, **bounded, bucket=DAY),
        "card of a realm": lambda log: log.metrics(**one, **window, realm_id=["acme", "other"]),
        "timeseries of a realm": lambda log: log.timeseries(
            **one, **bounded, bucket=DAY, realm_id="acme"
        ),
        "status": lambda log: log.count_by_status(**one, **window),
        "codes": lambda log: log.count_by_error_code(**one, **window),
        "cases": lambda log: log.count_by_case_name(**one, **window),
        "whole points": lambda log: log.count_by_points(**one, **window),
        "summary": lambda log: log.duration_and_nodes_summary(**one, **window),
        "durations": lambda log: log.sample_durations(**one, **window),
        "points": lambda log: log.sample_points(**one, **window),
        "percentiles": lambda log: log.duration_percentiles(**one, **window),
        "card": lambda log: log.metrics(**one, **window),
        "comparison": lambda log: without_verdicts(
            log.compare(a="s1", b=stored.strategy_id, **window)
        ),
        "timeseries": lambda log: log.timeseries(**one, **bounded, bucket=DAY),
        "list of a user": lambda log: log.list_executions(**window, external_user_id="u1"),
        "cases broken down": lambda log: log.breakdown(by="case_name", **window),
        "users broken down": lambda log: log.breakdown(
            by="external_user_id", **window, order="p99", status="failed"
        ),
        "realms broken down": lambda log: log.breakdown(by="realm_id", **one, **window),
        "stream": lambda log: listed(log.stream(**window)),
        "stream of one": lambda log: listed(log.stream(**one, **window)),
        "count of a user": lambda log: listed(log.erase(external_user_id="u1", only_count=True)),
    }
    for by in ("p99", "failures", "error_rate", "runs"):
        asked[f"ranking by {by}"] = lambda log, by=by: log.rank_strategies(  # type: ignore[misc]
            realm_id="acme", **window, by=by
        )
    return asked


async def without_verdicts(compared: Awaitable[StrategyComparison]) -> StrategyComparison:
    """Intervals and verdicts need the runs in blocks of time, which a cluster is not asked for."""
    return (await compared).model_copy(update={"intervals": None})


@cluster
@pytest.mark.parametrize("window", WINDOWS, ids=["all", "since", "until", "both", "none"])
async def test_the_answers_are_those_of_one_machine(
    pool: Pool, log: Log, plain: Log, schema: str, window: dict[str, Any]
) -> None:
    spread = StrategyExecutionLogRepository(pool, schema=schema, spread=True)
    rows = executions(600)
    for where in (log, plain):
        assert await where.insert_rows(rows[:500]) == 500
        assert await where.insert_missing(rows[450:]) == 100
        await where.insert_row(row(strategy_id="s1", created_at=T0))
    for stored in rows[:4]:
        for about, ask in questions(window, stored).items():
            expected = await ask(plain)
            for where in (log, spread):
                found = await ask(where)
                if about.startswith(("list", "newest", "failures", "page", "stream")):
                    assert without_ids(found) == without_ids(expected), about
                else:
                    assert found == expected, about
    card = await log.metrics(strategy_id="s1", **window)
    assert card.duration.method == "exact"
    compared = await log.compare(a="s1", b="s2", **window)
    assert compared.b.duration.method == "exact"
    assert all(one.significant is None for _, one in compared.intervals)


def without_ids(found: Any) -> list[dict[str, Any]]:
    """`insert_row` made one of its own for each log."""
    its = {True: {"stored_at", "id"}, False: {"stored_at"}}
    return [one.model_dump(exclude=its[one.created_at == T0]) for one in found]


@cluster
async def test_one_strategy_is_one_shard(pool: Pool, log: Log, schema: str) -> None:
    await log.insert_rows(executions(100))
    values: dict[str, Any] = {
        "strategy_id": "s1",
        "a": "s1",
        "b": "s2",
        "id": row().id,
        "lowest": row().id,
        "highest": row().id,
        "since": T0 - DAY,
        "until": T0,
        "fractions": "{0.5}",
        "limit": 5,
        "bucket": DAY,
        "buckets": 1,
        "width_us": 60_000_000,
        "since_before": T0 - 2 * DAY,
        "until_before": T0 - DAY,
        "width_us_before": 60_000_000,
        "buckets_before": 1,
        "order": "runs",
        "after_created_at": T0 - DAY,
        "after_id": row().id,
        "newest": 5,
        "most_bytes": 10**6,
        "trace_bytes": 10**6,
        "slower_than_ms": None,
    }
    single = 0
    for name, statement in statements(schema).items():
        names = [parameter.name for parameter in statement.parameters]
        if statement.writes or not {"strategy_id", "a"} & set(names):
            continue
        if name in (OF_ROLLUPS, "explain"):  # not for a cluster, which breaks down rows
            continue
        given = {name: values.get(name) for name in names}
        query = statement.query(**given)
        plan = await pool.fetch(f"explain (verbose) {query.sql}", *query.values)
        text = "\n".join(record[0] for record in plan)
        with shown(f"{name}:\n{text}"):
            assert set(re.findall(r"Task Count: (\d+)", text)) == {"1"}
        single += 1
    assert single >= 12


@cluster
@pytest.mark.parametrize("realms", [None, ["acme"], ["acme", "other"]])
async def test_of_all_strategies_only_answers_leave_a_machine(
    pool: Pool, log: Log, schema: str, realms: list[str] | None
) -> None:
    await log.insert_rows(executions(3000))
    # Citus can't analyze a statement whose functions read distributed tables.
    await pool.execute(f'update "{schema}".rollup_state set enabled = false')
    known = statements(schema)
    listed = {"limit": 5, "realm_ids": realms}
    ranked = {"by": "p99", "limit": 5, "since": T0 - 20 * DAY, "until": None}
    asked = {
        "newest": known["list_newest"].query("spread", realm_ids=None, limit=5),
        "failures": known["list_failures"].query("spread", **listed),
        "ranking": known["rank_strategies"].query(**ranked, realm_ids=realms),
    }
    for name, query in asked.items():
        plan = await pool.fetch(
            f"explain (analyze, verbose, timing off) {query.sql}", *query.values
        )
        text = "\n".join(record[0] for record in plan)
        with shown(f"{name}:\n{text}"):
            shipped = re.findall(r"Custom Scan \(Citus Adaptive\) .*?actual rows=(\d+)", text)
            assert sum(map(int, shipped)) <= 8 * 5 + len(STRATEGIES)


@cluster
async def test_a_batch_takes_one_connection_to_a_machine(pool: Pool, log: Log, schema: str) -> None:
    """A claim has the transaction's rows sent to one shard after the other."""
    setting = "current_setting('citus.multi_shard_modify_mode')"
    async with pool.acquire() as connection:
        async with connection.transaction():
            sql = flusher._statements(schema)["claim_batch"].sql
            await connection.fetch(sql, uuid4(), 1, uuid4(), None, "5s", False)
            assert await connection.fetchval(f"select {setting}") == "sequential"
        assert await connection.fetchval(f"select {setting}") == "parallel"


async def machines(pool: Pool) -> list[str]:
    """The DSN of each worker."""
    found = await pool.fetch("select nodename, nodeport from pg_dist_node where groupid > 0")
    parts = urlsplit(DSN)
    user = f"{parts.netloc.rpartition('@')[0]}@".removeprefix("@")
    return [
        urlunsplit(parts._replace(netloc=f"{user}{node['nodename']}:{node['nodeport']}"))
        for node in found
    ]


@cluster
async def test_recorders_on_every_machine(pool: Pool, log: Log, schema: str) -> None:
    everywhere = [DSN, *await machines(pool)]
    assert len(everywhere) > 1
    recorders = [ExecutionRecorder(dsn, schema=schema, linger=0.02) for dsn in everywhere]
    for recorder in recorders:
        await recorder.start()
    await asyncio.gather(*(load(recorder, 1, 1000) for recorder in recorders))
    stats = [await recorder.aclose() for recorder in recorders]
    assert all(balanced(one) and one.dropped == one.rejected == {} for one in stats), stats
    assert sum((await log.count_by_status(strategy_id="loyalty")).values()) == sum(
        one.written for one in stats
    )
    for dsn in everywhere:
        assert await execlog.check_migrations(dsn, schema=schema) == []
        assert (await execlog.health(dsn, schema=schema)).lag_seconds is not None


@cluster
async def test_a_spool_that_a_dead_process_left(
    pool: Pool, log: Log, schema: str, tmp_path: Path
) -> None:
    """Each machine finds which of the executions the log has, wherever they lie."""
    rows = [row(created_at=T0 + n * timedelta(hours=7), strategy_id=f"s{n % 9}") for n in range(90)]
    await log.insert_rows(rows[:30])
    for dsn in (DSN, (await machines(pool))[0]):
        left = ExecutionRecorder(AWAY, spool=tmp_path / "spool")
        await left.start()
        for one in rows:
            left.record(**one.model_dump())
        assert (await left.aclose(0.2)).spooled_rows == 90
        async with ExecutionRecorder(dsn, schema=schema, spool=tmp_path / "spool") as recorder:
            assert recorder.stats().recovered == 90
            assert await recorder.flush(30)  # the first look of each connection takes seconds
        stats = recorder.stats()
        assert stats.recovered == stats.written == (60 if dsn == DSN else 0)
        assert sorted([one.id async for one in log.stream()]) == sorted(one.id for one in rows)


@cluster
@pytest.mark.timeout(150)
async def test_lost_connections_lose_and_double_nothing(pool: Pool, log: Log, schema: str) -> None:
    dsn = f"{DSN}{'&' if '?' in DSN else '?'}application_name={quote(schema)}"
    async with ExecutionRecorder(dsn, schema=schema, linger=0.01) as recorder:
        loading = asyncio.create_task(load(recorder, 3, 2000))
        while not loading.done():
            await asyncio.sleep(0.3)
            await pool.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = $1",
                schema,
            )
        # Where a commit was cut in two, Citus looks after it once a minute.
        assert await recorder.flush(110)
    stats = recorder.stats()
    assert stats.retries > 0
    assert stats.dropped == stats.rejected == {}
    ids = [one.id async for one in log.stream()]
    assert len(ids) == len(set(ids)) == stats.written == stats.offered


@cluster
async def test_partitions_come_and_go(pool: Pool, log: Log, schema: str) -> None:
    now = datetime.now(UTC)
    rows = [
        row(
            created_at=now - n % 3 * 30 * DAY,
            strategy_id=STRATEGIES[n % 12],
            status="error" if n % 4 == 0 else "ok",
        )
        for n in range(240)
    ]
    await log.insert_rows(rows)
    done: set[str] = set()
    wishes: list[dict[str, Any]] = [
        {"interval": "week"},
        {"interval": "week", "retain": 50 * DAY, "retain_failures": 400 * DAY},
        {"interval": "week", "retain": 50 * DAY},
    ]
    for wish in wishes:
        steps = await execlog.maintain(pool, **wish, schema=schema)
        assert {step.outcome for step in steps} <= {"done"}, steps
        done |= {step.action for step in steps}
        assert await execlog.maintain(pool, **wish, schema=schema, only_plan=True) == []
        kept = [one.id async for one in log.stream()]
        old = [one for one in rows if one.created_at and one.created_at < now - 50 * DAY]
        gone = {
            one.id for one in old if "retain" in wish and (one.status == "ok" or len(wish) == 2)
        }
        assert sorted(kept) == sorted(one.id for one in rows if one.id not in gone)
    assert done >= {"attach", "thin", "drop", "vacuum"}
    assert (await log.health()).stray_rows == 0


@cluster
async def test_a_user_is_forgotten(log: Log) -> None:
    rows = executions(300)
    await log.insert_rows(rows)
    parts = await listed(log.erase(external_user_id="u1"))
    assert parts[-1].executions == sum(one.external_user_id == "u1" for one in rows)
    left = await listed(log.stream())
    assert {one.external_user_id for one in left} == {"u2", None}
    assert len(left) == 300


@cluster
async def test_rows_that_were_there_before(pool: Pool, plain: Log) -> None:
    rows = executions(200)
    await plain.insert_rows(rows)
    [schema] = await pool.fetchrow(
        "select nspname from pg_namespace where nspname like 'execlog plain %' order by oid desc"
    ) or [""]
    for _ in range(2):
        await execlog.distribute(pool, schema=schema)
    assert sorted(one.id for one in await listed(plain.stream())) == sorted(one.id for one in rows)


@cluster
async def test_a_distributed_log_of_the_first_wave_is_upgraded(
    pool: Pool, plain: Log, later: Callable[[], list[str]]
) -> None:
    """Its statements are sent to one machine as before, and all its tables can be published."""
    name = f"execlog test {os.getpid()} {next(_numbers)}"
    await execlog.migrate(pool, schema=name)
    # What the first wave did: without what later migrations make.
    await pool.execute(f'drop trigger roll_up on "{name}".strategy_execution_log')
    there = (
        "strategy_execution_log', 's",
        "recorder_progress', 'r",
        "rollup_state'",
        "partitions()",
    )
    for statement in sqltext.pieces(execlog.dump_distribution(shard_count=4, schema=name)):
        if "create_" in statement and any(f'"{name}".{one}' in statement for one in there):
            await pool.execute(statement)
    log = StrategyExecutionLogRepository(pool, schema=name)
    rows = executions(200)
    async with pool.acquire() as connection:
        given = [{**one.model_dump(), "trace": None} for one in rows[:100]]
        await first_wave.insert(connection, given, name)
    rows[:100] = [one.model_copy(update={"trace": None}) for one in rows[:100]]
    names = later()
    assert await execlog.migrate(pool, schema=name) == names
    await log.insert_rows(rows[100:150])
    await execlog.distribute(pool, schema=name)
    await log.insert_rows(rows[150:])
    await plain.insert_rows(rows)
    for about, ask in questions(WINDOWS[3], rows[0]).items():
        assert await ask(log) == await ask(plain), about
    await test_one_strategy_is_one_shard(pool, log, name)
    assert (await log.health()).without_replica_identity == []
    shards = await pool.fetch(
        "select result from run_command_on_shards($1::text::regclass, $$"
        " select relreplident::text from pg_class where oid = '%s'::regclass $$)",
        f'"{name}".strategy_execution_log_default',
    )
    assert {record["result"] for record in shards} == {"f"}
    await pool.execute(f'drop schema "{name}" cascade')


@cluster
async def test_the_roles(pool: Pool) -> None:
    """Theirs are the tables and functions of all machines."""
    name = f"execlog_roles_{os.getpid()}"
    await execlog.migrate(pool, schema=name)
    await execlog.distribute(pool, shard_count=4, schema=name)
    await StrategyExecutionLogRepository(pool, schema=name).insert_rows(executions(50))
    try:
        for _ in range(2):
            await pool.execute(execlog.dump_roles(schema=name))
            await pool.execute(
                execlog.dump_realm_reader(realm_id="acme", role=f"{name}_acme", schema=name)
            )
        for kind in ("reader", "acme"):
            own = as_role(DSN, f"{name}_{kind}")
            async with asyncpg.create_pool(own, min_size=1, max_size=1) as role:
                log = StrategyExecutionLogRepository(role, schema=name)
                assert (await log.metrics(strategy_id="s1")).duration.method == "exact"
                assert await log.list_tables()
    finally:
        await pool.execute(f"drop schema {name} cascade")
        for kind in ("owner", "writer", "reader", "acme"):
            await pool.execute(f"drop owned by {name}_{kind}; drop role {name}_{kind}")


@cluster
async def test_the_command(pool: Pool) -> None:
    name = f"execlog test {os.getpid()} {next(_numbers)}"
    await execlog.migrate(pool, schema=name)
    where = ("--dsn", DSN, "--schema", name)
    done = run("distribute", "--shards", "4", *where)
    assert (done.returncode, done.stdout) == (0, "")
    shards = await pool.fetchval(
        "select count(*) from pg_dist_shard where logicalrelid = $1::text::regclass",
        f'"{name}".strategy_execution_log',
    )
    assert shards == 4
    assert run("maintain", "--interval", "day", "--ahead", "9", *where).returncode == 0
    assert run("doctor", *where).returncode == 0
    await pool.execute(f'drop schema "{name}" cascade')


# Without a cluster.


async def test_a_server_that_is_no_cluster(dsn: str) -> None:
    with pytest.raises(InvalidArgument, match=r"^target: has no Citus"):
        await execlog.distribute(dsn)
    done = run("distribute", "--dsn", dsn)
    assert (done.returncode, "has no Citus" in done.stderr) == (2, True)


def test_the_printed_sql() -> None:
    done = run("distribute", "--sql", "--schema", "audit", "--shards", "64")
    assert done.stdout == execlog.dump_distribution(schema="audit", shard_count=64)
    assert "shard_count => 64" in done.stdout
    assert "shard_count => null" in execlog.dump_distribution()


@pytest.mark.parametrize("number", [0, -1, 64_001, True, "8"])
async def test_numbers_of_shards_that_can_not_be(dsn: str, number: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^shard_count: "):
        await execlog.distribute(dsn, shard_count=number)
