"""DSNs on real servers: several hosts, libpq's parameters, and reads on a standby."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    Maintenance,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.db.connect import Connector
from execlog.db.dsn_words import LEFT_OUT, SETTINGS
from execlog.errors import driver_errors
from execlog.web import create_app
from tests import databases, standby
from tests.command import COMMAND, run
from tests.databases import TABLE, WAITING
from tests.recording import record, until
from tests.rows import STRATEGY, row
from tests.standby import Pair, socket_of
from tests.types import Connection, Pool
from tests.web.test_api import client

SETTABLE = ("user", "superuser", "backend", "superuser-backend")


@pytest.fixture(scope="module")
def servers() -> Iterator[Pair]:
    """A standby that gives way to its primary at once."""
    settings = {"max_standby_streaming_delay": "0", "hot_standby_feedback": "off"}
    try:
        with standby.started(settings) as found:
            yield found
    except standby.Absent as reason:
        pytest.skip(str(reason))


@pytest.fixture
async def pair(servers: Pair) -> AsyncIterator[Pair]:
    """A migrated database of this test alone, on both."""
    async with databases.database(servers.primary, "hosts", template="template0") as dsn:
        await execlog.migrate(dsn)
        found = servers.at("hosts")
        await servers.caught_up()
        yield found


async def stored(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        return int(await connection.fetchval(f"select count(*) from {TABLE}"))
    finally:
        await connection.close()


async def command(*words: str, text: str = "", **environment: str) -> tuple[int, str, str]:
    """What the installed command answers."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    started = await asyncio.create_subprocess_exec(
        COMMAND,
        *words,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**plain, **environment},
    )
    told, said = await started.communicate(text.encode())
    return started.returncode or 0, told.decode(), said.decode()


@pytest.mark.long
async def test_all_that_writes_finds_the_primary(pair: Pair) -> None:
    dsn = pair.both()
    assert await execlog.migrate(dsn, rollups=True) == []
    steps = await execlog.maintain(dsn, interval="day", ahead=2)
    assert steps
    assert {step.outcome for step in steps} == {"done"}
    lines = "".join(row(external_user_id="u").model_dump_json() + "\n" for _ in range(3))
    code, _, said = await command("import", "-", "--dsn", dsn, text=lines)
    assert (code, await stored(pair.primary)) == (0, 3), said
    assert (await command("erase", "--user", "u", "--dsn", dsn))[:2] == (0, "3\n")
    code, _, said = await command("rollup", "rebuild", "--dsn", dsn)
    assert code == 0, said
    assert [one async for one in execlog.verify_rollups(dsn)] == []


@pytest.mark.long
async def test_a_recorder_and_its_maintenance_find_the_primary(pair: Pair) -> None:
    keep = Maintenance(interval="day", ahead=3, retain=timedelta(days=90))
    async with ExecutionRecorder(pair.both(), maintenance=keep) as recorder:
        record(recorder, 1)
        assert await recorder.flush()

        async def maintained() -> bool:
            return not await execlog.maintain(
                pair.primary, interval="day", ahead=3, retain=timedelta(days=90), only_plan=True
            )

        await until(maintained, 30)
    assert await stored(pair.primary) == 1


@pytest.mark.long
async def test_what_reads_takes_the_first_host(pair: Pair) -> None:
    assert await execlog.check_migrations(pair.both()) == []
    assert (await execlog.health(pair.both())).writable is False
    assert (await execlog.health(pair.both("&target_session_attrs=primary"))).writable is True
    code, told, _ = await command("doctor", "-o", "json", "--dsn", pair.both())
    assert (code, json.loads(told)["writable"]) == (0, False)
    code, told, error = await command("account", "--dsn", pair.both())
    assert (code, told, error) == (0, "", "execlog: no recorder was seen\n")


@pytest.mark.long
@pytest.mark.parametrize("said", ["standby", "read-only", "prefer-standby", "any"])
async def test_what_the_dsn_says_of_the_server_counts(pair: Pair, said: str) -> None:
    with pytest.raises(StoreUnavailable, match="it is a standby") as caught:
        await execlog.migrate(pair.both(f"&target_session_attrs={said}"), rollups=False)
    assert caught.value.sqlstate == "25006"


@pytest.mark.long
async def test_what_the_environment_says_counts(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTARGETSESSIONATTRS", "standby")
    with pytest.raises(StoreUnavailable, match="it is a standby"):
        await execlog.migrate(pair.both(), rollups=False)


@pytest.mark.long
async def test_hosts_of_the_environment(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", f"{socket_of(pair.standby)},{socket_of(pair.primary)}")
    assert await execlog.migrate("postgresql://postgres@/hosts", rollups=True) == []
    assert (await execlog.health("postgresql://postgres@/hosts")).writable is False


@pytest.mark.long
async def test_a_standby_alone_says_so(pair: Pair) -> None:
    """Nothing is asked twice, and what only looks goes on as before."""
    assert await execlog.migrate(pair.standby) == []
    with pytest.raises(StoreUnavailable, match="it is a standby") as caught:
        await execlog.migrate(pair.standby, rollups=False)
    assert caught.value.sqlstate == "25006"
    steps = await execlog.maintain(pair.standby, only_plan=True)
    assert {step.outcome for step in steps} == {"planned"}
    with pytest.raises(StoreUnavailable, match="it is a standby"):
        await execlog.maintain(pair.standby)
    recorder = ExecutionRecorder(pair.standby)
    await recorder.start()
    record(recorder, 1)
    await until(lambda: "it is a standby" in str(recorder.stats().last_error))
    assert recorder.stats().alive
    await recorder.aclose(timeout=0.1)


@pytest.mark.long
async def test_hosts_none_of_which_takes_writes(pair: Pair) -> None:
    """A role that may only read sees the plan all the same."""
    connection = await asyncpg.connect(pair.primary)
    try:
        await connection.execute("create role looker login superuser")
        await connection.execute("alter role looker set default_transaction_read_only = on")
        await pair.caught_up()
        dsn = pair.both("&user=looker").replace("postgres@", "")
        steps = await execlog.maintain(dsn, only_plan=True)
        assert {step.outcome for step in steps} == {"planned"}
        with pytest.raises(StoreUnavailable, match="default_transaction_read_only is on"):
            await execlog.migrate(dsn, rollups=False)
    finally:
        await connection.execute("drop role looker")
        await connection.close()


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a host that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def hosts(pair: Pair, first: str, more: str = "") -> str:
    return (
        f"postgresql://postgres@{first},{socket_of(pair.primary).replace('/', '%2F')}/hosts{more}"
    )


@pytest.mark.long
async def test_a_first_host_that_is_down(pair: Pair) -> None:
    dsn = hosts(pair, "127.0.0.1:1")
    assert await execlog.migrate(dsn, rollups=True) == []
    assert (await execlog.health(dsn)).writable
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()


@pytest.mark.long
async def test_a_first_host_that_answers_nothing(pair: Pair, deaf: int) -> None:
    """Each host has the time that the DSN says, else its share of ours."""
    first = f"127.0.0.1:{deaf}"
    assert await execlog.migrate(hosts(pair, first, "?connect_timeout=1"), rollups=True) == []
    async with ExecutionRecorder(hosts(pair, first)) as recorder:
        record(recorder, 1)
        assert await recorder.flush(30)
        assert recorder.stats().retries == 0


@pytest.mark.long
async def test_a_try_that_is_broken_off_goes_on_with_the_next_host(pair: Pair, deaf: int) -> None:
    async with ExecutionRecorder(hosts(pair, f"127.0.0.1:{deaf}"), timeout=0.5) as recorder:
        record(recorder, 1)
        assert await recorder.flush(30)
    assert await stored(pair.primary) == 1


async def test_no_host_at_all(deaf: int) -> None:
    with pytest.raises(StoreUnavailable, match=r"no answer in time|can't be reached"):
        await execlog.migrate(f"postgresql://u@127.0.0.1:1,127.0.0.1:{deaf}/x?connect_timeout=1")


@pytest.mark.long
async def test_hosts_in_any_order(pair: Pair) -> None:
    connect = Connector(pair.both("&load_balance_hosts=random"), "dsn", writes=False)
    found = set()
    for _ in range(60):
        connection = await connect()
        found.add(await connection.fetchval("select pg_is_in_recovery()"))
        await connection.close()
        if len(found) == 2:
            break
    assert found == {True, False}


@pytest.mark.long
async def test_pages_of_the_host_that_answers(pair: Pair, deaf: int) -> None:
    app = create_app(hosts(pair, f"127.0.0.1:{deaf}"), timeout=3)
    async with app.state.reader.snapshot() as log:
        assert (await log.health()).missing_migrations == []
    await app.state.reader.aclose()


@pytest.mark.long
async def test_every_parameter_of_libpq_can_be_there(pair: Pair) -> None:
    told = {**dict.fromkeys(LEFT_OUT, "1"), "connect_timeout": "9", "replication": "off"}
    told |= {"fallback_application_name": "fallen", "options": "-c%20work_mem%3D7MB", "ssl": "true"}
    dsn = pair.primary.replace("postgresql:", "postgresql+asyncpg:")
    dsn += "".join(f"&{name}={value}" for name, value in told.items())
    connection = await Connector(dsn + "&TimeZone=Asia/Tokyo", "dsn", writes=True)()
    try:
        names = ("application_name", "work_mem", "TimeZone", "client_encoding")
        found = [await connection.fetchval(f"show {name}") for name in names]
        assert found == ["fallen", "7MB", "Asia/Tokyo", "UTF8"]
    finally:
        await connection.close()
    assert await execlog.migrate(dsn) == []
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()


async def test_every_setting_that_a_session_may_set_is_known(pool: Pool) -> None:
    found = await pool.fetch("select lower(name) as name, context from pg_settings")
    settable = {
        one["name"] for one in found if one["context"] in SETTABLE and "." not in one["name"]
    }
    assert len(settable) > 150
    assert settable - SETTINGS == set()
    others = {one["name"] for one in found if one["context"] not in SETTABLE}
    assert others & SETTINGS == set()


@pytest.mark.parametrize("word", ["tail", "maintain", "serve"])
def test_an_unknown_parameter_is_one_line(word: str) -> None:
    done = run(word, "--dsn", "postgresql://u:s3cret@127.0.0.1:1/db?keepalive=s3cret")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the parameter keepalive " in done.stderr
    assert "s3cret" not in done.stderr
    assert len(done.stderr.splitlines()) == 1


async def filled(pair: Pair) -> None:
    async with asyncpg.create_pool(pair.primary, min_size=1, max_size=1) as pool:
        log = StrategyExecutionLogRepository(pool)
        await log.insert_rows([row(trace=[{"text": "x" * 200}]) for _ in range(2000)])
    await pair.caught_up()


async def emptied(pair: Pair) -> None:
    """The primary has the standby remove its rows."""
    connection = await asyncpg.connect(pair.primary)
    try:
        await connection.execute(f"delete from {TABLE}")
        await connection.execute(f"vacuum {TABLE}")
    finally:
        await connection.close()
    await pair.caught_up()


@pytest.mark.long
async def test_a_recovery_conflict_that_ends_an_export_is_named(pair: Pair) -> None:
    await filled(pair)
    export = await asyncio.create_subprocess_exec(
        COMMAND,
        *("export", "--dsn", pair.standby),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert export.stdout is not None
    # Its pipe is full, or will be: it is in the middle of it.
    await export.stdout.readline()
    await emptied(pair)
    _, said = await export.communicate()
    assert export.returncode == 1
    assert "a recovery conflict: the standby removed rows" in said.decode()
    assert "(40001)" in said.decode()


@pytest.mark.long
async def test_a_recovery_conflict_that_ends_a_stream_is_named(pair: Pair) -> None:
    await filled(pair)
    async with asyncpg.create_pool(pair.standby, min_size=1, max_size=1) as pool:
        with pytest.raises(StoreUnavailable, match="a recovery conflict") as caught:
            first = True
            async for _ in StrategyExecutionLogRepository(pool).stream():
                if first:
                    await emptied(pair)
                first = False
    assert caught.value.sqlstate == "40001"


@pytest.mark.long
async def test_a_recovery_conflict_that_ends_a_statement_is_named(pair: Pair) -> None:
    await filled(pair)
    reading = await asyncpg.connect(pair.standby)
    try:
        with pytest.raises(StoreUnavailable, match="a recovery conflict") as caught:
            with driver_errors("read"):
                slow = f"select count(*) from {TABLE}, pg_sleep(40)"
                asked = asyncio.ensure_future(reading.fetch(slow))
                sleeping = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'"
                await until_there(pair.standby, sleeping)
                await emptied(pair)
                await asked
        assert caught.value.sqlstate == "40001"
    finally:
        await reading.close()


async def until_there(dsn: str, question: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await until(lambda: connection.fetchval(question), 30)
    finally:
        await connection.close()


LIMITS = [
    ("idle_in_transaction_session_timeout", "25P03", "idle for longer"),
    (None, "57P01", "admin shutdown"),
]


@pytest.mark.session
@pytest.mark.parametrize(("limit", "sqlstate", "says"), LIMITS)
async def test_why_a_stream_was_ended_is_said(
    dsn: str, pool: Pool, limit: str | None, sqlstate: str, says: str
) -> None:
    """A reader takes its time: how long it may is the role's to say."""
    await StrategyExecutionLogRepository(pool).insert_rows([row() for _ in range(500)])
    settings = {} if limit is None else {limit: "300ms"}
    settings["application_name"] = "streaming"
    here = "from pg_stat_activity where application_name = 'streaming'"
    async with asyncpg.create_pool(dsn, min_size=0, max_size=1, server_settings=settings) as own:
        with pytest.raises(StoreUnavailable, match=says) as caught:
            async for _ in StrategyExecutionLogRepository(own).stream():
                if limit is None:
                    await pool.fetch(f"select pg_terminate_backend(pid) {here}")
                await until(lambda: pool.fetchval(f"select not exists (select {here})"), 30)
        assert caught.value.sqlstate == sqlstate


@pytest.mark.session
async def test_a_connection_that_is_ended_during_a_statement_says_why(dsn: str, pool: Pool) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as own:
        async with pool.acquire() as other, other.transaction():
            await other.execute(f"lock table {TABLE} in access exclusive mode")
            asked = asyncio.ensure_future(
                StrategyExecutionLogRepository(own).list_for_strategy(strategy_id=STRATEGY)
            )
            waiting = f"select pg_terminate_backend(pid) from {WAITING}"
            await until(lambda: other.fetchval(waiting))
            with pytest.raises(StoreUnavailable, match="admin shutdown") as caught:
                await asked
    assert caught.value.sqlstate == "57P01"


@pytest.mark.session
@pytest.mark.long
async def test_a_stream_lifts_the_limits_of_its_session(dsn: str, pool: Pool) -> None:
    """Each row takes 5 ms, a step of 200 rows a second, all of it longer than any limit."""
    await StrategyExecutionLogRepository(pool).insert_rows([row() for _ in range(300)])
    await pool.execute(
        f"create role slow; grant usage on schema execlog to slow; grant select on {TABLE} to slow;"
        f" alter table {TABLE} enable row level security;"
        f" create policy slow on {TABLE} using (pg_sleep(0.005) is not null)"
    )
    version = await pool.fetchval("select current_setting('server_version_num')::integer")
    limits = ["statement_timeout", *(["transaction_timeout"] if version >= 170_000 else [])]
    try:
        for limit in limits:
            settings = {"role": "slow", limit: "400ms"}
            async with asyncpg.create_pool(
                dsn, min_size=1, max_size=1, server_settings=settings
            ) as own:
                found = [one async for one in StrategyExecutionLogRepository(own).stream()]
                assert len(found) == 300
                # In its own transaction alone.
                assert await own.fetchval(f"show {limit}") == "400ms"
    finally:
        await pool.execute(f"drop policy slow on {TABLE}; drop owned by slow; drop role slow")


@pytest.mark.long
async def test_rows_that_nobody_counted_are_unknown(pair: Pair) -> None:
    """The statistics are the primary's; what its ANALYZE found, the standby knows too."""
    assert (await execlog.health(pair.standby)).estimated_rows == 0
    await filled(pair)
    assert (await execlog.health(pair.standby)).estimated_rows is None
    app = create_app(pair.standby)
    async with app.state.reader.snapshot() as log:
        tables = {one.name: one.estimated_rows for one in await log.list_tables()}
    assert tables[f"{TABLE.partition('.')[2]}_default"] == 0
    assert None in tables.values()
    async with client(app) as browser:
        page = (await browser.get("/storage")).text
        health = (await browser.get("/api/health")).json()
    await app.state.reader.aclose()
    assert "<dt>Rows</dt><dd>unknown</dd>" in page
    assert '<td class="n" data-name="Rows">unknown' in page
    assert health["estimatedRows"] is None
    _, told, _ = await command("doctor", "--dsn", pair.standby)
    assert "an unknown number of rows" in told
    assert "about 0 rows" not in told
    connection: Connection = await asyncpg.connect(pair.primary)
    try:
        await connection.execute(f"analyze {TABLE}")
    finally:
        await connection.close()
    await pair.caught_up()
    assert (await execlog.health(pair.standby)).estimated_rows == 2000
