"""The dashboard for Grafana: each query as the reader and as a tenant, and its numbers."""

from __future__ import annotations

import itertools
import random
import re
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.cli.grafana_board import board
from execlog.db.files import folder
from execlog.db.sqltext import quoted
from tests.databases import TABLE
from tests.db.test_roles import login, prefix, roles
from tests.db.test_statements import catalog
from tests.grafana import interpolated, query_of, variables_of
from tests.incidents import REALMS, Incident, staged
from tests.oracle import close
from tests.readme import block
from tests.recording import record
from tests.rolling import START, assert_bounded, many_rows, rolled_up
from tests.rows import row
from tests.types import Pool

__all__ = ["prefix", "roles"]

BOARD = board()
FILES = {path.stem: path.read_text() for path in (folder("sql") / "grafana").glob("*.sql")}
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
WINDOW = (START, START + 5 * HOUR)


@pytest.fixture
async def tenant(roles: dict[str, Pool], dsn: str, prefix: str) -> AsyncIterator[Pool]:
    """A pool of the reader of the realm acme."""
    role = f"{prefix} tenant"
    made = execlog.dump_realm_reader(realm_id=REALMS[0], role=role, prefix=prefix)
    await roles["admin"].execute(made)
    own = await login(roles["admin"], dsn, role)
    async with asyncpg.create_pool(own, min_size=0, max_size=1) as pool:
        yield pool


async def asked(
    pool: Pool,
    name: str,
    window: tuple[datetime, datetime] | None = None,
    width: timedelta = MINUTE,
    chosen: Mapping[str, Sequence[str]] | None = None,
) -> list[asyncpg.Record]:
    """What a query finds, whose columns are those of its header."""
    now = datetime.now(UTC)
    since, until = window or (now - 6 * HOUR, now)
    milliseconds = width // timedelta(milliseconds=1)
    sql = interpolated(FILES[name], BOARD, since, until, interval_ms=milliseconds, **(chosen or {}))
    assert "$" not in sql
    async with pool.acquire() as connection:
        prepared = await connection.prepare(sql)
        columns = [(one.name, one.type.name) for one in prepared.get_attributes()]
        found = await prepared.fetch()
    header = re.search(r"^-- Columns: (.*)$", FILES[name], re.MULTILINE)
    assert header is not None
    words = [
        re.fullmatch(r"(.+?) (timestamptz|double precision|\w+)", one)
        for one in header[1].split(", ")
    ]
    assert columns == [(one[1], catalog(one[2])) for one in words if one]
    if columns[0] == ("time", "timestamptz") and name != "newest_failures":
        times = [one["time"] for one in found]
        assert times == sorted(times)  # else Grafana makes no series of them
    return found


@pytest.mark.parametrize("role", ["reader", "tenant"])
async def test_of_an_empty_log_all_is_empty(
    roles: dict[str, Pool], tenant: Pool, role: str
) -> None:
    pool = tenant if role == "tenant" else roles["reader"]
    for name in FILES:
        assert await asked(pool, name) == [], name
        several = {one: ["1", "2"] for one in variables_of(BOARD)}
        assert await asked(pool, name, chosen=several) == [], name


async def test_the_staged_incident(roles: dict[str, Pool], tenant: Pool, dsn: str) -> None:
    incident = Incident(dsn, 4, REALMS[0], "bonus", set(), "scoring", "join")
    rows = list(staged(random.Random(1), incident))
    log = StrategyExecutionLogRepository(roles["admin"])
    await log.insert_rows(rows)
    await rolled_up(roles["admin"])
    reader = roles["reader"]
    for pool, own in (
        (reader, rows),
        (tenant, [one for one in rows if one.realm_id == REALMS[0]]),
    ):
        runs = Counter[str]()
        for one in await asked(pool, "runs_by_version", width=5 * MINUTE):
            runs[one["metric"]] += one["runs"]
        assert runs == Counter(f"{one.strategy_id} v{one.strategy_version}" for one in own)
        rates = await asked(pool, "error_rate_by_version", width=24 * HOUR)
        worst = max(rates, key=lambda one: float(one["error_rate"]))
        assert worst["metric"] == "loyalty v4"
        mix = await asked(pool, "status_mix", width=24 * HOUR)
        for status in ("ok", "error", "timeout", "limit"):
            assert sum(one[status] for one in mix) == sum(r.status == status for r in own)
        top = await asked(pool, "top_errors")
        assert tuple(top[0].values()) == (
            "E_BONUS", "loyalty", 4, sum(one.error_code == "E_BONUS" for one in own)
        )  # fmt: skip
        failed = [one for one in own if one.status != "ok"]
        newest = await asked(pool, "newest_failures")
        assert len(newest) == min(50, len(failed))
        assert newest[0]["id"] == str(max(failed, key=lambda one: one.created_at).id)  # type: ignore[arg-type,return-value]
        realms = [one["realm_id"] for one in await asked(pool, "realms")]
        assert realms == sorted({one.realm_id for one in own})  # type: ignore[type-var]
    slow = await asked(reader, "duration_percentiles", width=HOUR, chosen={"strategy": ["scoring"]})
    # The present hour may be a minute old.
    assert max(one["p99"] for one in slow[-2:]) > 300 > slow[0]["p99"]
    one_only = await asked(
        reader, "runs_by_version", chosen={"realm": [REALMS[1]], "version": ["4"]}
    )
    assert {one["metric"].split(" ")[1] for one in one_only} == {"v4"}
    assert [one["version"] for one in await asked(reader, "versions")] == ["4", "3"]


async def test_names_with_quotes(roles: dict[str, Pool]) -> None:
    names = ["o'hara", 'the "best"', "a\\b", "null", "a,b", "' or true --", "${realm}"]
    rows = [
        row(strategy_id=name, realm_id=name, status="error", error_code=name, strategy_version=n)
        for n, name in enumerate(names)
    ]
    await StrategyExecutionLogRepository(roles["admin"]).insert_rows(
        one.model_copy(update={"created_at": datetime.now(UTC)}) for one in rows
    )
    reader = roles["reader"]
    assert [one["strategy_id"] for one in await asked(reader, "strategies")] == sorted(names)
    for n, name in enumerate(names):
        if "$" in name:
            continue  # Grafana takes it for a variable: it can't be chosen
        for query in ("runs_by_version", "top_errors", "newest_failures", "error_rate_by_version"):
            for chosen in ({"strategy": [name]}, {"realm": [name]}, {"version": [str(n), "99"]}):
                [found] = await asked(reader, query, chosen=chosen)
                assert name in (found.get("strategy"), found.get("metric", "")[: len(name)])
    two = await asked(
        reader, "newest_failures", chosen={"strategy": names[:2], "realm": names[1:3]}
    )
    assert [one["strategy"] for one in two] == [names[1]]


def _key(one: StrategyExecutionLog, width: timedelta) -> datetime:
    origin = datetime(2000, 1, 1, tzinfo=UTC)
    assert one.created_at is not None
    return max(WINDOW[0], origin + (one.created_at - origin) // width * width)


@pytest.mark.parametrize(
    "width",
    [
        pytest.param(MINUTE, marks=pytest.mark.long),
        7 * MINUTE,
        pytest.param(2 * HOUR, marks=pytest.mark.long),
    ],
)
async def test_runs_over_time_are_those_of_the_rows(
    roles: dict[str, Pool], width: timedelta
) -> None:
    """Before anything is summed up, then from rollups, with late rows, and of some versions."""
    pool = roles["admin"]
    log = StrategyExecutionLogRepository(pool)
    await pool.execute("update execlog.rollup_state set minute_runs = 100")
    rows = many_rows(900)
    await log.insert_rows(rows)
    for stage in ("rows", "rollups", "late", "changed", "rolled up again"):
        if stage in ("rollups", "rolled up again"):
            await rolled_up(pool)
        elif stage == "late":
            late = many_rows(100, seed=2)
            rows += late
            await log.insert_rows(late)
        elif stage == "changed":
            rows = [one for one in rows if one.duration_ms < 50]
            await pool.execute(f"delete from {TABLE} where duration_ms >= 50")
        for realm, version in itertools.product((None, "r"), (None, 2)):
            expected = defaultdict(list)
            for one in rows:
                if realm in (None, one.realm_id) and version in (None, one.strategy_version):
                    if WINDOW[0] <= one.created_at <= WINDOW[1]:  # type: ignore[operator]
                        expected[_key(one, width), one.strategy_id, one.strategy_version].append(
                            one
                        )
            found = await roles["reader"].fetch(
                "select * from execlog.runs_over_time($1, $2, $3, null, $4, $5, true)",
                *WINDOW,
                width,
                realm and [realm],
                version and [version],
            )
            got = {(one["time"], one["strategy_id"], one["strategy_version"]): one for one in found}
            assert got.keys() == expected.keys()
            for key, own in expected.items():
                weights = [1 / one.sample_rate for one in own]
                assert got[key]["runs"] == len(own)
                for status in ("ok", "error", "timeout", "limit"):
                    assert got[key][status] == sum(one.status == status for one in own)
                assert close(got[key]["weight"], sum(weights))
                failed = [w for w, one in zip(weights, own, strict=True) if one.status != "ok"]
                assert close(got[key]["failed_weight"], sum(failed))
                weighed = sum(w * one.duration_ms for w, one in zip(weights, own, strict=True))
                assert close(got[key]["duration_weighed_ms"], weighed)
                assert got[key]["duration_max_ms"] == max(one.duration_ms for one in own)


@pytest.mark.parametrize("is_rolled", [False, True])
async def test_the_numbers_are_those_of_the_repository(
    roles: dict[str, Pool], is_rolled: bool
) -> None:
    pool, reader = roles["admin"], roles["reader"]
    log = StrategyExecutionLogRepository(reader)
    await StrategyExecutionLogRepository(pool).insert_rows(many_rows(1500))
    await pool.execute("update execlog.rollup_state set minute_runs = 50")
    if is_rolled:
        await rolled_up(pool)
        await StrategyExecutionLogRepository(pool).insert_rows(many_rows(200, seed=5))
    since = START.replace(minute=0, second=0)
    window = (since, since + 6 * HOUR)
    ask: dict[str, Any] = {"strategy_id": "a", "since": window[0], "until": window[1]}
    for realm, version in itertools.product((None, "r"), (None, 2)):
        scope: dict[str, Any] = {**ask, "realm_id": realm, "strategy_version": version}
        chosen = {"strategy": ["a"]}
        chosen |= {"realm": [realm]} if realm else {}
        chosen |= {"version": [str(version)]} if version else {}
        series = [one for one in await log.timeseries(**scope, bucket=10 * MINUTE) if one.total]
        mix = await asked(reader, "status_mix", window, 10 * MINUTE, chosen)
        assert [
            (one.start, one.ok, one.error, one.timeout, one.limit, one.other) for one in series
        ] == [tuple(one.values()) for one in mix]
        spread = await asked(reader, "duration_percentiles", window, 10 * MINUTE, chosen)
        for one, told in zip(series, spread, strict=True):
            assert_bounded(told["p50"], one.duration_p50_ms)
            assert_bounded(told["p95"], one.duration_p95_ms)
            assert_bounded(told["p99"], one.duration_p99_ms)
        card = await log.metrics(**scope)
        codes = Counter[str]()
        for told in await asked(reader, "top_errors", window, chosen=chosen):
            codes[told["error code"]] += told["runs"]
        assert codes == {one.code: one.count for one in card.top_errors}
    versions = await log.breakdown(by="strategy_version", **ask)
    rates = await asked(reader, "error_rate_by_version", window, 24 * HOUR, {"strategy": ["a"]})
    runs = await asked(reader, "runs_by_version", window, 24 * HOUR, {"strategy": ["a"]})
    for group in versions:
        name = f"a v{group.value}"
        assert [told["runs"] for told in runs if told["metric"] == name] == [group.runs]
        [rate] = [told["error_rate"] for told in rates if told["metric"] == name]
        assert close(rate, group.error_rate)


async def test_the_account_is_that_of_the_recorders(
    roles: dict[str, Pool], tenant: Pool, dsn: str
) -> None:
    async with ExecutionRecorder(dsn, max_rows=10) as recorder:
        for n in range(88):
            record(recorder, n)
    killed = ExecutionRecorder(dsn, max_rows=500)
    await killed.start()
    record(killed, 1)
    assert await killed.flush()
    await roles["admin"].execute(
        "update execlog.recorder_account set last_seen = now() - interval '3 minutes'"
        " where closed_at is null"
    )
    [found] = await asked(roles["reader"], "recorders")
    accounts = await execlog.recorder_account(dsn)
    assert dict(found) == {
        "offered": 89,
        "recovered": 0,
        "sampled out": 0,
        "rejected": 0,
        "dropped": sum(sum(one.dropped.values()) for one in accounts),
        "written": sum(one.written for one in accounts),
        "pending": 0,
        "open recorders": 1,
        "missing at most": sum(one.most_missing for one in accounts if one.state == "open"),
    }
    assert found["dropped"] > 0
    assert await asked(tenant, "recorders") == []
    await killed.aclose()


async def test_more_than_the_named_are_shown_as_one(roles: dict[str, Pool]) -> None:
    at = datetime.now(UTC)
    await StrategyExecutionLogRepository(roles["admin"]).insert_rows(
        row(strategy_id=f"s{n:02}", created_at=at, status="error") for n in range(30)
    )
    for name in ("runs_by_version", "error_rate_by_version"):
        found = await asked(roles["reader"], name)
        assert [one["metric"] for one in found] == ["others", *(f"s{n:02} v3" for n in range(20))]
    assert found[0]["error_rate"] == 1


async def test_too_many_points_are_refused(roles: dict[str, Pool]) -> None:
    now = datetime.now(UTC)
    with pytest.raises(asyncpg.InvalidParameterValueError, match="longer interval"):
        await asked(roles["reader"], "status_mix", (now - 1001 * MINUTE, now))


READ = """
    select coalesce(sum(pg_stat_get_xact_tuples_returned(coalesce(indexrelid, relid))), 0)::bigint
    from pg_partition_tree('execlog.strategy_execution_log')
    left join pg_index on indrelid = relid
"""


async def test_what_is_summed_up_is_not_read_from_rows(roles: dict[str, Pool]) -> None:
    pool = roles["admin"]
    rows = many_rows(500)
    await StrategyExecutionLogRepository(pool).insert_rows(rows)
    await rolled_up(pool)
    until = START.replace(minute=0, second=0) + 6 * HOUR - timedelta(microseconds=1)
    window = (until - 6 * HOUR + timedelta(microseconds=1), until)
    for name, sql in FILES.items():
        if name in ("newest_failures", "recorders"):
            continue
        text = interpolated(sql, BOARD, *window, interval_ms=3_600_000)
        async with pool.acquire() as connection, connection.transaction():
            before = await connection.fetchval(READ)
            found = await connection.fetch(text)
            assert found, name
            assert await connection.fetchval(READ) == before, name


async def test_roles_that_were_there_before_may_ask(roles: dict[str, Pool], tenant: Pool) -> None:
    """The migration gives them the right to, and what it makes is the owner's of the log."""
    admin = roles["admin"]
    names = "accounts_in, error_codes, names_in, runs_over_time, window_parts".split(", ")
    for name in names:
        await admin.execute(f"drop function execlog.{name}")
    await admin.execute("alter default privileges revoke execute on functions from public")
    await admin.execute((folder("migrations") / "0019_grafana.sql").read_text())
    for pool, name in itertools.product((roles["reader"], tenant), FILES):
        assert await asked(pool, name) == []
    owners = await admin.fetch(
        "select distinct pg_get_userbyid(proowner) as owner from pg_proc where proname = any($1)",
        names,
    )
    log = await admin.fetchval(
        f"select relowner::regrole from pg_class where oid = '{TABLE}'::regclass"
    )
    assert [log] == [quoted(one["owner"]) for one in owners]


async def test_a_panel_of_ones_own(roles: dict[str, Pool]) -> None:
    """As the document shows it."""
    rows = [row(created_at=datetime.now(UTC), duration_ms=float(n)) for n in range(1, 11)]
    await StrategyExecutionLogRepository(roles["admin"]).insert_rows(rows)
    now = datetime.now(UTC)
    sql = interpolated(block("$__timeFrom()"), BOARD, now - HOUR, now + HOUR, interval_ms=10**7)
    [found] = await roles["reader"].fetch(sql)
    assert found["metric"] == "v3"
    assert_bounded(found["p95_ms"], 9.55)


@pytest.mark.long
async def test_in_a_schema_of_another_name(pool: Pool) -> None:
    schema = """it's "a" log"""
    await execlog.migrate(pool, schema=schema)
    log = StrategyExecutionLogRepository(pool, schema=schema)
    now = datetime.now(UTC)
    await log.insert_rows([row(created_at=now, status="error", error_code="E")])
    made = board(schema=schema)
    queries = [query_of(made, one["title"]) for one in made["panels"]]
    queries += [one["query"] for one in variables_of(made).values()]
    told = [
        len(await pool.fetch(interpolated(sql, made, now - HOUR, now + HOUR))) for sql in queries
    ]
    assert told == [1, 1, 1, 1, 1, 1, 0, 0, 1, 1]
