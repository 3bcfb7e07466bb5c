"""Tables of other programs: read as executions, stored once, names and values as they are."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid3, uuid4

import asyncpg
import pytest

from execlog import InvalidArgument, StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.context import without_secrets
from execlog.moving import Account, Mover, Wishes, find_table, matched, mover, script
from tests import databases
from tests.command import COMMAND, run
from tests.extras import needs
from tests.recording import until
from tests.rows import T0
from tests.types import Pool
from tests.unit.test_context import SECRETS as IN_MESSAGES

NAMESPACE = UUID("6b1f9a52-5f0d-5b7e-9c1e-3d6f0a7c2e41")
NAME = "public.strategyexecutionlog"
NAIVE = T0.replace(tzinfo=None)
# The least that a table must have.
LEAST = """
    strategy_id text, strategy_version int default 1, strategy_type text default 'DSL',
    status text default 'ok', duration_ms float default 1, nodes_executed int default 1
"""


def made(*parts: str, schema: str = "public", table: str = "strategyexecutionlog") -> UUID:
    """The id that an execution gets if its row has no UUID."""
    return uuid3(NAMESPACE, json.dumps([schema, table, *parts], ensure_ascii=False))


async def everything(dsn: str) -> dict[UUID, StrategyExecutionLog]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        return {one.id: one async for one in StrategyExecutionLogRepository(pool).stream()}


@asynccontextmanager
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    own = await asyncpg.connect(dsn)
    try:
        yield own
    finally:
        await own.close()


async def send(dsn: str, *statements: str) -> None:
    async with connection(dsn) as own:
        for statement in statements:
            await own.execute(statement)


def imported(dsn: str, *words: str, table: str = NAME) -> tuple[int, str, list[str]]:
    """The code of an import of a table, its answer, and what it says."""
    done = run("import", "--from-table", table, *words, EXECLOG_DSN=dsn)
    said = [line.removeprefix("execlog: ") for line in done.stderr.splitlines()]
    return done.returncode, done.stdout, said


async def moved(pool: Pool, table: str, wishes: Wishes | None = None, **options: Any) -> Account:
    """The account of an import within this process."""
    match = matched(await find_table(pool, table), wishes or Wishes())
    return await Mover(match, pool, **options).run(lambda _: None)


@pytest.fixture
async def other_dsn(template: str) -> AsyncIterator[str]:
    """A migrated database beside that of the test."""
    async with databases.clone(template) as own:
        yield own


async def by_sqlalchemy(dsn: str) -> None:
    """A table with columns, types and values as other programs have them."""
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import create_async_engine

    table = sa.Table(
        "strategyexecutionlog",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("createdAt", sa.DateTime),
        sa.Column("strategyId", sa.String(64)),
        sa.Column("strategyVersion", sa.BigInteger),
        sa.Column("strategyType", sa.Enum("DSL_FULL", "DSL_EXTEND", name="KindOfStrategy")),
        sa.Column("realmId", sa.String),
        sa.Column("status", sa.String),
        sa.Column("points", sa.Numeric(12, 3)),
        sa.Column("duration_ms", sa.Float),
        sa.Column("nodesExecuted", sa.SmallInteger),
        sa.Column("trace", sa.JSON),  # which stores None as JSON null
        sa.Column("sampled", sa.Boolean),
        sa.Column("oauth_user_id", sa.String),
    )
    traces: list[Any] = [None, [{"node": "a", "ms": 1.5}], {"node": "b\\u0041"}, []]
    rows = [
        {
            "createdAt": NAIVE + timedelta(seconds=place),
            "strategyId": "loyalty",
            "strategyVersion": 3,
            "strategyType": "DSL_FULL",
            "realmId": None,
            "status": "ok" if place else "error",
            "points": "1.250",
            "duration_ms": 0.1,
            "nodesExecuted": 4,
            "trace": trace,
            "sampled": bool(place),
            "oauth_user_id": None if place == 3 else f"user {place}",
        }
        for place, trace in enumerate(traces)
    ]
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn)
    )
    async with engine.begin() as own:
        await own.run_sync(table.metadata.create_all)
        await own.execute(table.insert(), rows)
    await engine.dispose()


@needs("sqlalchemy")
async def test_a_table_made_by_sqlalchemy(dsn: str, other_dsn: str) -> None:
    await by_sqlalchemy(dsn)
    words = ["--map", "oauth_user_id=attributes.caller", "--sample-rate", "0.05"]
    code, plan, said = imported(dsn, *words, "--plan")
    assert (code, said) == (0, [])
    assert "createdAt\ttimestamp without time zone\tcreated_at\tas a time of --time-zone" in plan
    assert "4 rows: 4 would be stored, 0 are there already, 0 can't be stored" in plan
    assert await everything(dsn) == {}
    for account in ("4 executions stored", "0 executions stored, 4 were there already"):
        assert imported(dsn, *words) == (0, "", [account])
        assert imported(other_dsn, *words, "--from-dsn", dsn) == (0, "", [account])
    found = await everything(dsn)
    assert found == await everything(other_dsn)
    traces = [None, [{"node": "a", "ms": 1.5}], [{"node": "b\\u0041"}], []]
    for place, trace in enumerate(traces):
        assert found[made(str(place + 1))] == StrategyExecutionLog(
            id=made(str(place + 1)),
            created_at=T0 + timedelta(seconds=place),
            strategy_id="loyalty",
            strategy_version=3,
            strategy_type="DSL_FULL",
            status="ok" if place else "error",
            points=1.25,
            duration_ms=0.1,
            nodes_executed=4,
            trace=trace,
            sampled=bool(place),
            sample_rate=0.05 if place else 1.0,
            attributes=None if place == 3 else {"caller": f"user {place}"},
        )
    code, plan, _ = imported(dsn, *words, "--plan", "--time-zone", "Asia/Tokyo")
    assert "4 would be stored, 0 are there already" in plan  # another time is another execution


async def test_every_column_keeps_every_value(dsn: str, other_dsn: str) -> None:
    """A table that has our own columns, under camelCase names, gives the same executions."""
    rows = [any_row_of(number) for number in range(60)]
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        await StrategyExecutionLogRepository(pool).insert_rows(rows)
    names = [(one, field.alias) for one, field in StrategyExecutionLog.model_fields.items()]
    columns = ", ".join(f'{name} as "{alias}"' for name, alias in names if name != "stored_at")
    await send(
        dsn,
        f"create table public.theirs as select {columns} from execlog.strategy_execution_log",
        "alter table public.theirs add primary key (id)",
        "delete from execlog.strategy_execution_log",
    )
    assert imported(dsn, table="theirs") == (0, "", ["60 executions stored"])
    assert imported(other_dsn, "--from-dsn", dsn, table="theirs")[0] == 0
    expected = {one.id: one for one in rows}
    assert await everything(dsn) == expected
    assert await everything(other_dsn) == expected


def any_row_of(number: int) -> StrategyExecutionLog:
    """An odd execution, the same for each number."""
    chance = Random(number)
    odd = ["", "é\t\\\n", "N", "\x01", "a" * 512]
    times = [None, T0 + timedelta(microseconds=number), datetime.max.replace(tzinfo=UTC)]
    json_values: list[Any] = [None, 1.5, "t\u2028", {"é": [None, True]}, [], -(2**63)]
    return StrategyExecutionLog(
        created_at=chance.choice(times),
        strategy_id=chance.choice(["s", "é"]),
        strategy_version=chance.choice([-(2**31), 2**31 - 1]),
        strategy_type=chance.choice(odd),
        realm_id=chance.choice([None, *odd]),
        external_user_id=chance.choice([None, *odd]),
        status=chance.choice(["ok", "error", ""]),
        points=chance.choice([None, -1e300, 0.1, 5e-324]),
        duration_ms=chance.choice([0.0, 1e300, 0.1]),
        nodes_executed=chance.choice([0, 2**31 - 1]),
        trace=chance.choice([None, json_values, []]),
        sampled=chance.choice([True, False]),
        sample_rate=chance.choice([1.0, 0.05]),
        notes=chance.choice([None, *odd]),
        trace_id=chance.choice([None, uuid4()]),
        error_message=chance.choice([None, "é" * 2000, "a@b:c"]),
        input=chance.choice(json_values),
        attributes=chance.choice([None, {}, {"a.b": 1.5, "c": "é", "d": True}]),
    )


async def test_values_of_other_types(dsn: str, pool: Pool) -> None:
    """Texts, numbers and JSON that mean what a column holds are read as that."""
    await send(
        dsn,
        f"""create table odd (id text primary key, {LEAST}, created_at text, points text,
            sampled text, sample_rate numeric, trace text, trace_id numeric(39), input json,
            attributes jsonb, n int, error_message text)""",
        """insert into odd (id, strategy_id, created_at, points, sampled, sample_rate, trace,
            trace_id, input, attributes, n, error_message) values
        ('6B1F9A525F0D5B7E9C1E3D6F0A7C2E41', 's', '2024-02-29 12:00:00.5', ' -1.5e3 ', 'yes', 0.1,
            ' [1, {"a": "\\u00e9"}]', 340282366920938463463374607431768211455, '{"a": 1}',
            '{"k": "v", "none": null}', 5, 'at postgres://u:p@host/db, u:p@host password = x'),
        ('é"', 's', '2024-02-29T12:00:00+05:30', '1e-400', 'F', null, '{"a": 1}', 1, 'null', null,
            null, 'a@b'),
        ('3', 's', '2024-02-29', null, null, null, 'null', null, null, '{}', 7, null)""",
    )
    wishes = Wishes([("n", "attributes.n")])
    account = await moved(pool, "odd", wishes, zone="Europe/Berlin", sample_rate=0.5)
    assert (account.stored, account.reasons) == (3, {})
    found = await everything(dsn)
    one = found[NAMESPACE]
    assert one.created_at == datetime(2024, 2, 29, 11, 0, 0, 500_000, tzinfo=UTC)
    assert (one.points, one.sampled, one.sample_rate) == (-1500.0, True, 0.1)
    assert (one.trace, one.input) == ([1, {"a": "é"}], {"a": 1})
    assert one.trace_id == UUID(int=2**128 - 1)
    assert one.attributes == {"k": "v", "n": 5}
    assert one.error_message == "at [cut] [cut]@host password = [cut]"
    two = found[made('é"', table="odd")]
    assert two.created_at == datetime(2024, 2, 29, 6, 30, tzinfo=UTC)
    assert (two.points, two.sampled, two.sample_rate) == (0.0, False, 1.0)
    assert (two.trace, two.input, two.attributes) == ([{"a": 1}], None, None)
    assert (two.trace_id, two.error_message) == (UUID(int=1), "a@b")
    three = found[made("3", table="odd")]
    assert three.created_at == datetime(2024, 2, 28, 23, tzinfo=UTC)
    assert (three.trace, three.attributes) == (None, {"n": 7})


SECRETS = [
    "at user:pw@host, again",
    "https://example.org/path is no secret",
    "https://me@example.org/x y",
    "(postgres://h/db) b",
    "x postgresql+asyncpg://u:p@h/d\ny",
    "PASSWORD='a b' x passwd: y z",
    'PGPASSWORD=z, "password": "a b", c',
    "a@b, :x@y, x:@y, mailto:a@b.c",
    "a@b://c d",
    "u:p@h u:p@h@i",
    "password",
    "é:é@é",
    *(text for text, _ in IN_MESSAGES),
]


async def test_messages_lose_the_same_secrets_as_elsewhere(dsn: str, pool: Pool) -> None:
    await send(dsn, f"create table said (id serial primary key, {LEAST}, error_message text)")
    for text in SECRETS:
        await pool.execute(
            "insert into said (strategy_id, error_message) values ('s', $1::text)", text
        )
    assert (await moved(pool, "said")).stored == len(SECRETS)
    found = await everything(dsn)
    for place, text in enumerate(SECRETS, 1):
        assert found[made(str(place), table="said")].error_message == without_secrets(text)


BAD = {
    "strategy_id": ["null", "''", f"'{'x' * 513}'"],
    "strategy_version": ["null", "'1.5'", "'99999999999'", "'one'"],
    "status": ["null", f"'{'é' * 257}'"],
    "duration_ms": ["null", "'-1'", "'NaN'", "'1e301'", "'fast'"],
    "nodes_executed": ["null", "'-1'"],
    "created_at": ["'2023-02-29'", "'0000-01-01'", "'now'", "'infinity'"],
    "points": ["'Infinity'"],
    "sampled": ["'perhaps'"],
    "sample_rate": ["'0'", "'1.1'"],
    "trace": ["'5'", "'[1'", "'[\"\\u0000\"]'", "'\"[1\"'"],
    "input": ["'{'"],
    "trace_id": ["'00000000000000000000000000000000'", "'x'"],
    "error_message": [f"'{'x' * 2001}'"],
    "attributes": ["'[]'", "'{\"a\": {}}'", "'{\"é\": 1}'", f'\'{{"a": "{"x" * 4100}"}}\''],
}


@pytest.mark.parametrize(
    "version", [16, pytest.param(99, marks=pytest.mark.long)], ids=["asked", "tried"]
)
async def test_what_can_not_be_stored_is_counted_by_reason(
    dsn: str, other_dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    """On a server that can't say whether a text is JSON, too: such rows are found by halving."""
    monkeypatch.setattr(script, "_VALIDATES", version)
    columns = ", ".join(f"{name} text" for name in BAD)
    await send(dsn, f"create table bad (id serial primary key, strategy_type text, {columns})")
    usual = {"strategy_id": "'s'", "strategy_version": "'1'", "status": "'ok'"}
    usual |= {"duration_ms": "'1'", "nodes_executed": "'1'"}
    count = 0
    for name, values in BAD.items():
        for value in values:
            row = {**usual, name: value}
            names, held = ", ".join(row), ", ".join(row.values())
            await send(dsn, f"insert into bad (strategy_type, {names}) values ('t', {held})")
            count += 1
    usual_names, usual_values = ", ".join(usual), ", ".join(usual.values())
    good = f"insert into bad (strategy_type, {usual_names}) values ('t', {usual_values})"
    await send(dsn, good)
    planned = await moved(pool, "bad", stores=False)
    assert await everything(dsn) == {}
    account = await moved(pool, "bad", stops=False)
    async with asyncpg.create_pool(other_dsn, min_size=1, max_size=1) as other:
        match = matched(await find_table(pool, "bad"), Wishes())
        through = await Mover(match, other, pool, stops=False).run(lambda _: None)
    assert planned.reasons == account.reasons == through.reasons
    # A time of 'infinity' is no bad one in our log, but no text that other programs write.
    assert (account.rows, account.stored, account.bad) == (count + 1, 1, count)
    lines = list(account.lines())
    assert "strategy_id is missing: 1, for example id 1" in lines
    assert "strategy_id is longer than 512 bytes: 1, for example id 3" in lines
    assert (await everything(dsn)).keys() == (await everything(other_dsn)).keys()
    async with pool.acquire() as own:
        can_ask = own.get_server_version().major >= version
    if can_ask:
        assert not any("refused" in line for line in lines)
        assert "trace is not a JSON list or object: 4, for example id 25" in lines


async def test_a_bad_row_stops_it_or_is_left_out(dsn: str, other_dsn: str) -> None:
    await send(
        dsn,
        f"create table runs (id int primary key, {LEAST})",
        "insert into runs (id, strategy_id) select n, 's' from generate_series(1, 9) as n",
        "update runs set status = null where id in (4, 6)",
    )
    for log, words in ((dsn, []), (other_dsn, ["--from-dsn", dsn])):
        code, _, said = imported(log, *words, table="runs")
        assert code == 1
        assert said[1:] == [
            "3 executions stored; a row that can't be stored stopped it (--on-error skip goes on)",
            "status is missing: 1, for example id 4",
        ]
        assert said[0].startswith("the table has no column for created_at")
        code, _, said = imported(log, *words, "--on-error", "skip", table="runs")
        assert code == 0
        assert said[1:] == [
            "4 executions stored, 3 were there already, 2 rows could not be stored",
            "status is missing: 2, for example id 4",
        ]
    await send(dsn, "update runs set status = null")
    code, _, said = imported(other_dsn, "--from-dsn", dsn, "--on-error", "skip", table="runs")
    assert (code, said[-1]) == (1, "nothing was stored")


async def test_names_that_would_be_sql(dsn: str, other_dsn: str) -> None:
    """They are looked up, and quoted by the server: none of them is ever a part of a statement."""
    table, columns = 'x"; drop table y; --', ['St"atus', ":value", "execlog.x", "$1", "--", "a=b"]
    quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' for name in (table, *columns)]
    typed = ", ".join(f"{name} text" for name in quoted[1:])
    least = LEAST.replace("status text default 'ok',", "")
    await send(
        dsn,
        "create table y (id int)",
        'create schema "Sch\'ema"',
        f'create table "Sch\'ema".{quoted[0]} ("I""d" uuid primary key, {least}, {typed})',
        f'insert into "Sch\'ema".{quoted[0]} ("I""d", strategy_id, {", ".join(quoted[1:])})'
        " values (gen_random_uuid(), 's', 'ok', 'v', 'w', 'x', 'y', 'z')",
    )
    words = ["--map", 'St"atus=status', "--map", 'I"d=id', "--map", ":value=attributes.v"]
    words += ["--map", "execlog.x=notes", "--map", "$1=attributes.one", "--map", "--=realm_id"]
    words += ["--map", "a=b=attributes.ab"]
    for name in (f"Sch'ema.{table}", f'"Sch\'ema".{quoted[0]}'):
        code, _, said = imported(dsn, *words, table=name)
        assert (code, said[-1][:1]) == (0, "1" if name.startswith("S") else "0"), said
    assert imported(other_dsn, *words, "--from-dsn", dsn, table=name)[0] == 0
    [found] = (await everything(dsn)).values()
    assert (found.status, found.notes, found.realm_id) == ("ok", "w", "y")
    assert found.attributes == {"v": "v", "one": "x", "ab": "z"}
    assert await everything(other_dsn) == {found.id: found}
    async with connection(dsn) as own:
        assert await own.fetchval("select count(*) from y") == 0


async def test_keys_of_several_columns_and_of_odd_types(
    pool: Pool, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts follow each other in the order of any key, and ids are made of all of it."""
    monkeypatch.setattr(mover, "PART_ROWS", 7)
    await send(
        dsn,
        "create type mood as enum ('z', 'a')",
        'create domain place as varchar(20) collate "C"',
        f"create table parts (mood mood, at timestamptz, place place, {LEAST},"
        " primary key (place, mood, at))",
        """insert into parts (place, mood, at, strategy_id)
        select p, m::mood, '2026-11-20 12:00+00'::timestamptz + n * interval '1 us', 's'
        from unnest(array['a', 'A', 'é', '', ' ']) p, unnest(array['a', 'z']) m,
            generate_series(1, 5) n""",
    )
    await pool.execute("set timezone = 'Asia/Tokyo'")  # of the session, and ids don't depend on it
    wishes = Wishes([("at", "created_at")])
    account = await moved(pool, "parts", wishes)
    assert (account.rows, account.stored) == (50, 50)
    first = made("é", "z", "2026-11-20 12:00:00.000001+00", table="parts")
    assert first in await everything(dsn)
    account = await moved(pool, "parts", wishes)
    assert (account.rows, account.stored, account.known) == (50, 0, 50)


async def test_ok_runs_have_the_rate_if_none_are_marked(dsn: str, pool: Pool) -> None:
    await send(
        dsn,
        f"create table runs (id int primary key, {LEAST})",
        "insert into runs (id, strategy_id, status) values (1, 's', 'ok'), (2, 's', 'error')",
    )
    code, _, said = imported(dsn, "--sample-rate", "5%", table="runs")
    assert code == 0
    assert "ok runs have the sample rate 0.05, all others 1" in said[1]
    found = {one.status: (one.sampled, one.sample_rate) for one in (await everything(dsn)).values()}
    assert found == {"ok": (True, 0.05), "error": (False, 1.0)}
    await send(dsn, "alter table runs add sampled bool default true")
    _, _, said = imported(dsn, table="runs")
    assert said[-1].startswith("warning: 2 sampled executions have no rate")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["--from-table", "public.none"], "there is no table public.none"),
        (["--from-table", "a.b.c.d"], "there is no table a.b.c.d"),
        (["--from-table", '"'], 'there is no table "'),
        (["--from-table", ""], "--from-table: is empty"),
        (["--from-table", "runs_pkey"], "is not a table"),
        (["--from-table", "keyless"], "has no primary key"),
        (["--from-table", "few"], "has no column for strategy_version, strategy_type, duration_ms"),
        (["--from-table", "runs"], "no execution has Extra"),
        (["--from-table", "runs", "--map", "other=notes"], "other is not a column of the table"),
        (["--from-table", "runs", "--map", "extra=mood"], "mood is not a column of an execution"),
        (["--from-table", "runs", "--map", "extra=attributes.é"], "is no key of attributes"),
        (["--from-table", "runs", "--map", "extra"], "is not NAME=VALUE"),
        (["--from-table", "runs", "--map", "extra=status"], "no execution has status"),
        (["--from-table", "runs", "--ignore-unknown", "--default", "status=ok"], "is the column"),
        (["--from-table", "runs", "--ignore-unknown", "--default", "points=x"], "points can't be"),
        (["--from-table", "runs", "--ignore-unknown", "--time-zone", "Mars"], "knows no Mars"),
        (["--from-table", "runs", "-"], "exclude each other"),
        (["-", "--plan"], "are for --from-table"),
        ([], "give FILE or --from-table"),
    ],
)
async def test_what_is_refused(wrong_tables: str, words: list[str], problem: str) -> None:
    done = run("import", *words, EXECLOG_DSN=wrong_tables)
    assert done.returncode == 2
    assert problem in " ".join(done.stderr.split())
    assert wrong_tables not in done.stderr


@pytest.fixture(scope="module")
async def wrong_tables(shared_dsn: str) -> str:
    await send(
        shared_dsn,
        f'create table runs (id int primary key, {LEAST}, "Extra" int)',
        f"create table keyless (id int, {LEAST})",
        "create table few (id int primary key, strategyid text, status text, nodes_executed int)",
    )
    return shared_dsn


async def test_what_a_table_lacks_may_be_said(dsn: str, pool: Pool) -> None:
    await send(
        dsn,
        'create table few (run_id uuid primary key, "STRATEGY_ID" text, took interval, kind int)',
        "insert into few values ('6b1f9a52-5f0d-5b7e-9c1e-3d6f0a7c2e41', 's', '1.5 s', 7)",
    )
    words = [("took", "durationMs"), ("kind", "strategyType")]
    defaults = {"strategy_version": "2", "status": "it's", "nodes_executed": "0"}
    account = await moved(pool, "few", Wishes(words, defaults))
    assert account.stored == 1
    found = (await everything(dsn))[NAMESPACE]  # the key is a UUID, and stays
    assert (found.duration_ms, found.strategy_type, found.status) == (1500.0, "7", "it's")
    defaults["strategy_version"] = str(2**31)
    with pytest.raises(InvalidArgument, match="--default: strategy_version: "):
        await moved(pool, "few", Wishes(words, defaults))


async def test_an_empty_text_is_a_value_too(dsn: str, pool: Pool) -> None:
    await send(dsn, f"create table few (id serial primary key, {LEAST})")
    await send(dsn, "alter table few drop strategy_type", "insert into few values (1, 's')")
    wishes = Wishes(defaults={"strategy_type": "", "case_name": ""})
    assert (await moved(pool, "few", wishes)).stored == 1
    [found] = (await everything(dsn)).values()
    assert (found.strategy_type, found.case_name) == ("", "")


def test_the_other_server_is_not_named(dsn: str) -> None:
    """Neither if it can't be reached, nor if its name can't be read."""
    for other in ("postgresql://user:secret@127.0.0.1:1/x", "postgresql://user:secret@[/x", ""):
        code, _, said = imported(dsn, "--from-dsn", other)
        assert code in (1, 2)
        assert "secret" not in " ".join(said)
        assert "from-dsn" in " ".join(said)


@pytest.mark.long
async def test_after_a_kill_it_stores_the_rest(dsn: str, other_dsn: str) -> None:
    """Nothing twice, nothing missing; on the server and through the client."""
    rows = 60_000
    await send(
        dsn,
        f"create table runs (id uuid primary key, created_at timestamp, {LEAST})",
        "insert into runs (id, created_at, strategy_id) select md5(n::text)::uuid, now(), 's'"
        f" from generate_series(1, {rows}) as n",
    )
    for log, words in ((dsn, []), (other_dsn, ["--from-dsn", dsn])):
        command = [str(COMMAND), "import", "--from-table", "runs", *words]
        environment = {**os.environ, "EXECLOG_DSN": log}
        async with connection(log) as own:

            async def stored() -> int:
                found = await own.fetchval("select count(*) from execlog.strategy_execution_log")
                return int(found)

            process = await asyncio.create_subprocess_exec(*command, env=environment)
            await until(stored)
            process.kill()
            await process.wait()
            before = await stored()
            assert 0 < before < rows
            code, _, [said] = imported(log, *words, table="runs")
            assert code == 0
            assert await stored() == rows
            assert said.endswith("were there already")
            assert imported(log, *words, table="runs")[2] == [
                f"0 executions stored, {rows:,} were there already"
            ]


@pytest.mark.long
async def test_two_imports_at_once_store_each_row_once(dsn: str) -> None:
    await send(
        dsn,
        f"create table runs (id int primary key, created_at timestamptz, {LEAST})",
        "insert into runs (id, created_at, strategy_id) select n, now(), 's'"
        " from generate_series(1, 30000) as n",
    )
    command = [str(COMMAND), "import", "--from-table", "runs"]
    environment = {**os.environ, "EXECLOG_DSN": dsn}
    both = [
        await asyncio.create_subprocess_exec(*command, *more, env=environment)
        for more in ([], ["--from-dsn", dsn])
    ]
    assert [await one.wait() for one in both] == [0, 0]
    assert len(await everything(dsn)) == 30_000
