"""`execlog otlp`: each execution reaches a receiver at least once, through kills and restores."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, StrategyExecutionLog
from execlog import StrategyExecutionLogRepository as Log
from execlog.cli.state_file import read_file, write_file
from execlog.db.executor import Store
from execlog.otel import Position, Reader
from tests import databases, standby
from tests.command import COMMAND, run
from tests.databases import TABLE
from tests.db.test_roles import TENANT, as_role, prefix, roles, tenant
from tests.otlp_receiver import OtlpReceiver, otlp_receiver, values
from tests.outage import Outage
from tests.recording import until
from tests.rows import T0, row
from tests.types import Pool

__all__ = ["prefix", "roles", "tenant"]

SECRETS: dict[str, Any] = {
    "external_user_id": "s3cret-user",
    "input": {"card": "s3cret-input"},
    "trace": [{"node": "s3cret-trace"}],
    "attributes": {"plan": "s3cret-attribute"},
    "error_message": "s3cret-message",
}


@pytest.fixture
def taking() -> Iterator[OtlpReceiver]:
    with otlp_receiver() as made:
        yield made


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def send(dsn: str, taking: OtlpReceiver, *words: object) -> tuple[int, str]:
    """What the command answers that ends once all is sent."""
    texts = [str(word) for word in words]
    done = run("otlp", "--endpoint", taking.url, "--once", *texts, EXECLOG_DSN=dsn)
    assert done.stdout == ""
    return done.returncode, done.stderr


def ids(rows: list[StrategyExecutionLog]) -> list[str]:
    return [str(one.id) for one in rows]


def now_rows(count: int, **changes: Any) -> list[StrategyExecutionLog]:
    return [row(**changes) for _ in range(count)]


@asynccontextmanager
async def sending(dsn: str, taking: OtlpReceiver, *words: object) -> AsyncIterator[Process]:
    """The command that follows the log, once it has begun."""
    texts = ["otlp", "--endpoint", taking.url, "--dsn", dsn, *map(str, words)]
    process = await asyncio.create_subprocess_exec(COMMAND, *texts, stderr=PIPE)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def line(process: Process) -> str:
    assert process.stderr is not None
    return (await asyncio.wait_for(process.stderr.readline(), 20)).decode()


async def test_each_is_sent_once_by_calls_one_after_another(
    dsn: str, repository: Log, taking: OtlpReceiver, state: Path
) -> None:
    await repository.insert_rows(now_rows(3))
    code, said = send(dsn, taking, "--state", state)
    assert (code, taking.ids) == (0, [])
    assert f"execlog: {taking.url}/v1/logs is sent what is stored from now on\n" in said
    rows: list[StrategyExecutionLog] = []
    for count in (2, 1201, 0):
        new = now_rows(count, **SECRETS, status="error", trace_id=UUID(int=7))
        await repository.insert_rows(new)
        code, said = send(dsn, taking, "--state", state)
        assert (code, said) == (0, f"execlog: {count:,} executions sent to {taking.url}/v1/logs\n")
        rows += new
    assert Counter(taking.ids) == Counter(ids(rows))
    assert sum(point.count for point in taking.points) == 1203
    assert all(one.trace_id == UUID(int=7).bytes for one in taking.records)
    exemplars = [one for point in taking.points for one in point.exemplars]
    assert exemplars and all(one.trace_id == UUID(int=7).bytes for one in exemplars)
    assert not any(b"s3cret" in body for body in taking.bodies)


async def test_histograms_sum_up_to_the_rows(
    dsn: str, repository: Log, taking: OtlpReceiver
) -> None:
    rows = [
        row(strategy_id=f"s{n % 3}", status=status, duration_ms=n * 7.0, error_code="E1")
        for n in range(400)
        for status in ("ok", "error", "not_matched")
    ]
    await repository.insert_rows(rows)
    code, _ = send(dsn, taking, "--since", "1h", "--no-logs")
    assert (code, taking.records) == (0, [])
    count, seconds = Counter[tuple[object, ...]](), Counter[tuple[object, ...]]()
    for point in taking.points:
        found = values(point.attributes)
        assert found.keys() == {"execlog.strategy.id", "execlog.status"}
        assert sum(point.bucket_counts) == point.count
        count[tuple(found.values())] += point.count
        seconds[tuple(found.values())] += round(point.sum * 1000)
    expected = Counter((one.strategy_id, one.status) for one in rows)
    assert count == expected
    assert sum(seconds.values()) == sum(round(one.duration_ms) for one in rows)


async def test_what_is_asked_for_is_sent(dsn: str, repository: Log, taking: OtlpReceiver) -> None:
    await repository.insert_rows([row(realm_id="acme", **SECRETS), *now_rows(3, realm_id="b")])
    asked = ("--attributes", "--error-messages", "--users", "--service-name", "scores")
    code, _ = send(dsn, taking, "--since", "1h", "--realm", "acme", "--no-metrics", *asked)
    [record] = taking.records
    found = values(record.attributes)
    assert (code, taking.points) == (0, [])
    assert found["execlog.user.id"] == "s3cret-user"
    assert found["execlog.attributes.plan"] == "s3cret-attribute"
    assert found["execlog.error_message"] == "s3cret-message"
    [resource] = taking.logs[0].resource_logs
    assert values(resource.resource.attributes) == {"service.name": "scores"}
    assert not any(b"s3cret-input" in body or b"s3cret-trace" in body for body in taking.bodies)


async def test_what_was_not_acknowledged_is_sent_again(
    dsn: str, repository: Log, taking: OtlpReceiver, state: Path
) -> None:
    send(dsn, taking, "--state", state)
    rows = now_rows(5)
    await repository.insert_rows(rows)
    for answer in (400, "take and hang up"):
        taking.answers = [answer]
        code, said = send(dsn, taking, "--state", state, "--patience", "0s")
        assert code == 1
        why = "hung up without an answer" if isinstance(answer, str) else f"answers HTTP {answer}"
        assert said == f"execlog: {taking.url}/v1/logs {why}\n"
    assert taking.ids == ids(rows)
    taking.answers = [200, 404]  # the metrics
    assert send(dsn, taking, "--state", state)[0] == 1
    taking.rejects = 3
    code, said = send(dsn, taking, "--state", state)
    assert code == 1
    assert "/v1/logs has left out 3 of 5 log records: its own log may say why\n" in said
    code, said = send(dsn, taking, "--state", state)
    assert (code, said) == (0, f"execlog: 0 executions sent to {taking.url}/v1/logs\n")
    assert Counter(taking.ids) == {one: 3 for one in ids(rows)}
    assert sum(point.count for point in taking.points) == 5


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--endpoint", "http//x:s3cret@h"), "endpoint: must be a URL such as"),
        (("--once", "--endpoint", "http://h"), "needs --state or --since"),
        (("--no-logs", "--no-metrics"), "leave nothing to send"),
        (("--timeout", "0s", "--endpoint", "http://h"), "leaves no time to answer"),
        ((), "OTEL_EXPORTER_OTLP_ENDPOINT: must be a URL such as"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], problem: str) -> None:
    done = run("otlp", *words)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "s3cret" not in done.stderr


async def test_a_receiver_that_is_not_there_is_named_without_its_password(
    dsn: str, repository: Log
) -> None:
    words = ("--since", "1h", "--once", "--patience", "0s", "--endpoint")
    await repository.insert_row(row())
    url = "http://user:s3cret@127.0.0.1:9/path?key=s3cret"
    done = run("otlp", *words, url, EXECLOG_DSN=dsn, OTEL_EXPORTER_OTLP_HEADERS="k=s3cret")
    assert done.returncode == 1
    assert done.stderr == "execlog: http://127.0.0.1:9/path/v1/logs can't be reached\n"


@pytest.mark.long
async def test_one_state_has_one_sender(dsn: str, taking: OtlpReceiver, state: Path) -> None:
    async with sending(dsn, taking, "--state", state) as process:
        await line(process)
        code, said = send(dsn, taking, "--state", state)
        assert (code, said) == (1, "execlog: --state: another sender holds the file\n")
    write_file(state, b"{}")
    code, said = send(dsn, taking, "--state", state)
    assert (code, said) == (1, "execlog: --state: the file holds no state of a sender\n")


async def test_a_reader_and_a_tenant_send_what_they_see(
    roles: dict[str, Pool], tenant: Pool, dsn: str, prefix: str, taking: OtlpReceiver, state: Path
) -> None:
    rows = now_rows(2, input={"a": 1})
    await Log(roles["admin"]).insert_rows(rows)
    code, _ = send(as_role(dsn, f"{prefix}_reader"), taking, "--since", "1h", "--state", state)
    assert code == 0
    assert set(ids(rows)) < set(taking.ids)
    reader = reader_of(tenant)
    _, position, _ = await everything(reader, await reader.begin())
    await Log(roles["admin"]).insert_rows([*now_rows(2), *(own := now_rows(2, realm_id=TENANT))])
    assert sorted((await everything(reader, position))[0]) == sorted(ids(own))


async def test_a_log_without_an_order_is_refused(
    dsn: str, pool: Pool, taking: OtlpReceiver
) -> None:
    await pool.execute(f"alter table {TABLE} alter column stored_xid drop default")
    code, said = send(dsn, taking, "--since", "1h")
    assert (code, said) == (
        1,
        "execlog: list_stored: this log does not keep in which order rows are stored\n",
    )


@pytest.mark.long
async def test_ctrl_c_keeps_what_was_acknowledged(
    dsn: str, repository: Log, taking: OtlpReceiver, state: Path
) -> None:
    async with sending(dsn, taking, "--state", state) as process:
        assert (await line(process)).endswith("is sent what is stored from now on\n")
        rows = now_rows(3)
        await repository.insert_rows(rows)
        await until(lambda: len(taking.ids) == 3 and taking.points)
        taking.answers = ["hang"]
        await repository.insert_rows(more := now_rows(2))
        await until(lambda: len(taking.bodies) == 3)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 5) == 130
    taking.answers = []
    assert send(dsn, taking, "--state", state)[0] == 0
    assert taking.ids == ids(rows) + sorted(ids(more))


@pytest.mark.long
async def test_all_arrive_while_a_receiver_is_restarted_and_a_sender_is_killed(
    dsn: str, taking: OtlpReceiver, state: Path
) -> None:
    """A recorder writes, the receiver goes and is back, the sender is killed again and again."""
    send(dsn, taking, "--state", state)
    given: list[str] = []

    async def records() -> None:
        async with ExecutionRecorder(dsn, linger=0.05) as recorder:
            for n in range(3000):
                made = recorder.record(
                    strategy_id=f"s{n % 7}",
                    strategy_version=1,
                    strategy_type="DSL",
                    status="ok",
                    duration_ms=1.0,
                    nodes_executed=1,
                )
                given.append(str(made))
                if n % 20 == 0:
                    await asyncio.sleep(0.05)

    recording = asyncio.create_task(records())
    for turn in range(3):
        async with sending(dsn, taking, "--state", state):
            await asyncio.sleep(2.0)
            if turn % 2:
                taking.stop()
                await asyncio.sleep(0.5)
                taking.answers = ["take and hang up", (503, {"Retry-After": "1"})]
                taking.start()
                await asyncio.sleep(1.5)
    await recording
    assert send(dsn, taking, "--state", state)[0] == 0
    found = Counter(taking.ids)
    assert found.keys() == set(given)
    assert sum(point.count for point in taking.points) >= len(given)
    assert max(found.values()) <= 6


async def everything(reader: Reader, position: Position) -> tuple[list[str], Position, list[str]]:
    """All that is to be sent, the position behind it, and what a person is told."""
    found: list[str] = []
    notes: list[str] = []
    while True:
        batch = await reader.read(position)
        position = Position.model_validate_json(batch.position.model_dump_json(by_alias=True))
        found += ids(batch.executions)
        notes += [] if batch.note is None else [batch.note]
        if not batch.has_more:
            return found, position, notes


def reader_of(pool: Pool, **scope: Any) -> Reader:
    return Reader(Log(pool), Store(pool, 30.0), scope)


async def test_earlier_runs_are_sent_page_by_page_and_then_the_new_ones(
    pool: Pool, repository: Log
) -> None:
    old = now_rows(1, created_at=datetime.now(UTC) - timedelta(days=2))
    before = now_rows(450)
    await repository.insert_rows([*old, *before])
    await pool.execute(f"update {TABLE} set stored_xid = null where id = $1", before[7].id)
    reader = reader_of(pool)
    position = await reader.begin(datetime.now(UTC) - timedelta(days=1))
    batch = await reader.read(position)
    new = now_rows(3)
    await repository.insert_rows(new)
    found, position, notes = await everything(reader, batch.position)
    assert Counter(ids(batch.executions) + found) == Counter(ids([*before, *new]))
    assert notes == []
    assert await everything(reader, position) == ([], position.model_copy(), [])


async def test_what_came_since_a_sender_ended_between_two_pages_is_sent_at_once(
    pool: Pool, repository: Log
) -> None:
    reader = reader_of(pool)
    position = await reader.begin()
    await repository.insert_rows(rows := now_rows(1500))
    batch = await reader.read(position)
    assert len(batch.executions) == 1000
    await repository.insert_rows(more := now_rows(3))
    found, position, _ = await everything(reader, batch.position)
    assert sorted(ids(batch.executions) + found) == sorted(ids([*rows, *more]))


async def test_a_position_of_another_log_starts_over(
    pool: Pool, repository: Log, template: str
) -> None:
    position = await reader_of(pool).begin()
    rows = now_rows(2)
    async with databases.filled(template, rows) as other:
        found, position, notes = await everything(reader_of(other), position)
        assert sorted(found) == sorted(ids(rows))
        assert len(notes) == 1
        assert notes[0].startswith("another log answers than the one that was sent last; starts")
        assert (await everything(reader_of(other), position))[0] == []


async def test_a_place_that_the_server_has_not_reached_starts_over(
    pool: Pool, repository: Log
) -> None:
    reader = reader_of(pool)
    position = await reader.begin()
    position = position.model_copy(update={"place": "900000000:900000000:"})
    rows = [*now_rows(2), *now_rows(1, created_at=datetime.now(UTC) - timedelta(hours=3))]
    await repository.insert_rows(rows)
    found, _, notes = await everything(reader, position)
    assert sorted(found) == sorted(ids(rows[:2]))
    assert notes[0].startswith("the server was set back to an earlier state; starts over with")


@pytest.mark.parametrize("is_there", [True, False])
async def test_a_server_that_was_started_again_has_what_was_sent_last(
    pool: Pool, repository: Log, is_there: bool
) -> None:
    """Else it was restored from files, and writers may have come past the place again."""
    reader = reader_of(pool)
    position = await reader.begin()
    rows = now_rows(2)
    await repository.insert_rows(rows)
    found, position, _ = await everything(reader, position)
    assert sorted(found) == sorted(ids(rows))
    log = position.log.model_copy(update={"started": T0})
    position = position.model_copy(update={"log": log})
    if not is_there:
        await pool.execute(f"delete from {TABLE} where id = $1", position.last)
    found, position, notes = await everything(reader, position)
    assert len(found) == (0 if is_there else 1)
    assert bool(notes) == (not is_there)
    assert position.log.started != T0


async def test_another_timeline_starts_over(pool: Pool, repository: Log) -> None:
    reader = reader_of(pool)
    await repository.insert_rows(rows := now_rows(2))
    position = await reader.begin()
    assert position.log.timeline == "00000001"
    log = position.log.model_copy(update={"timeline": "00000002"})
    found, _, notes = await everything(reader, position.model_copy(update={"log": log}))
    assert sorted(found) == sorted(ids(rows))
    assert len(notes) == 1


async def test_a_role_that_may_not_know_the_server_sends_all_the_same(
    roles: dict[str, Pool],
) -> None:
    revoked = "revoke execute on function pg_catalog.pg_control_system() from public"
    await roles["admin"].execute(revoked)
    reader = reader_of(roles["reader"])
    position = await reader.begin()
    assert position.log.system is None
    await Log(roles["admin"]).insert_rows(rows := now_rows(2))
    found, _, notes = await everything(reader, position)
    assert (sorted(found), notes) == (sorted(ids(rows)), [])


async def copied(source: Path, target: Path) -> None:
    """The files of a server in the place of others, with their owner."""
    words = ("-c", 'rm -rf "$2" && cp -a "$1" "$2"', "sh", source, target)
    process = await asyncio.create_subprocess_exec("sh", *words)
    assert await process.wait() == 0


@pytest.mark.long
@pytest.mark.session
@pytest.mark.parametrize("losing", [10, 0])
async def test_a_restored_server_loses_nothing(
    taking: OtlpReceiver, state: Path, tmp_path: Path, losing: int
) -> None:
    """Its files are those of before; then writers store more than the sender had seen."""
    with Outage() as server:
        data, copy = Path(server._folder.name, "data"), tmp_path / "copy"
        await execlog.migrate(server.dsn)
        send(server.dsn, taking, "--state", state)

        async def store(count: int) -> list[str]:
            async with asyncpg.create_pool(server.dsn, min_size=1, max_size=1) as pool:
                rows = now_rows(count)
                for one in rows:
                    await Log(pool).insert_row(one)
                return ids(rows)

        kept = await store(2)
        send(server.dsn, taking, "--state", state)
        server.stop()
        await copied(data, copy)
        server.start()
        lost = await store(losing)
        connection = await asyncpg.connect(server.dsn)
        for _ in range(10):  # other work
            await connection.execute("select pg_current_xact_id()")
        await connection.close()
        send(server.dsn, taking, "--state", state)
        server.stop()
        await copied(copy, data)
        server.start()
        new = await store(40)
        taken = len(taking.ids)
        code, said = send(server.dsn, taking, "--state", state)
        assert code == 0
        is_over = "execlog: the server was set back to an earlier state; starts over" in said
        assert is_over == bool(losing)
        assert set(new) <= set(taking.ids[taken:]) <= {*new, *(kept if losing else [])}
        assert set(taking.ids) == {*kept, *lost, *new}
        kept_state = json.loads(read_file(state) or b"")
        assert kept_state["log"]["timeline"] == "00000001"


@pytest.mark.long
@pytest.mark.session
async def test_a_server_that_is_killed_is_read_on(taking: OtlpReceiver, state: Path) -> None:
    async def all_sent(count: int) -> None:
        await until(lambda: len(taking.ids) == count)

    with Outage() as server:
        await execlog.migrate(server.dsn)
        stored: list[str] = []
        async with sending(server.dsn, taking, "--state", state) as process:
            await line(process)
            for _ in range(2):
                async with asyncpg.create_pool(server.dsn, min_size=1, max_size=1) as pool:
                    await Log(pool).insert_rows(rows := now_rows(3))
                stored += ids(rows)
                await all_sent(len(stored))
                server.kill()
                assert (await line(process)).endswith("; trying again\n")
                server.start()
                assert await line(process) == "execlog: the server is back\n"
            await asyncio.sleep(1.5)
        assert Counter(taking.ids) == Counter(stored)


@pytest.mark.long
@pytest.mark.session
async def test_a_standby_is_read_and_takes_over() -> None:
    try:
        with standby.started() as pair:
            await check_standby(pair)
    except standby.Absent as reason:
        pytest.skip(str(reason))


async def check_standby(pair: standby.Pair) -> None:
    await execlog.migrate(pair.primary)
    await pair.caught_up()
    async with (
        asyncpg.create_pool(pair.primary, min_size=1, max_size=1) as writing,
        asyncpg.create_pool(pair.standby, min_size=1, max_size=1) as reading,
    ):
        position = await reader_of(writing).begin()
        await Log(writing).insert_rows(rows := now_rows(3))
        await pair.caught_up()
        reader = reader_of(reading)
        found, position, notes = await everything(reader, position)
        assert (sorted(found), notes) == (sorted(ids(rows)), [])
        assert position.log.timeline == "00000001"
        assert await reading.fetchval("select pg_promote()")
        await Log(reading).insert_rows(more := now_rows(2))
        found, position, notes = await everything(reader, position)
        assert sorted(found) == sorted(ids([*rows, *more]))
        assert len(notes) == 1
        assert position.log.timeline == "00000002"
        assert (await everything(reader, position))[0] == []
