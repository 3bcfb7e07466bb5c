"""Every execution that was offered is accounted for, over all processes, and truly."""

from __future__ import annotations

import asyncio
import json
import mmap
import os
import signal
import socket
import struct
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, InvalidArgument, RecorderAccount
from execlog.db.migration_files import migration_names
from execlog.recorder import ledger
from execlog.repository.accounts import total_of
from tests import first_wave
from tests.databases import TABLE
from tests.db.test_exactly_once import IMAGES, clones
from tests.recording import AWAY, load, record, until
from tests.rows import fields, row
from tests.types import Pool

ROOT = Path(__file__).parents[2]
ACCOUNT = "execlog.recorder_account"
EARLIER = "0012_context_checked"
HOUR = timedelta(hours=1)

# Counts what it offers in a file that survives it, and says when it begins.
PROCESS = """
import asyncio, mmap, os, struct, sys
import execlog
from tests.recording import record

dsn, name, path, place, seconds = sys.argv[1:]
file = open(path, "r+b")
count = mmap.mmap(file.fileno(), 0)

async def main():
    clock = asyncio.get_running_loop().time
    sampled = {"sample_rate": 0.5} if name == "p1" else {}
    async with execlog.ExecutionRecorder(dsn, **sampled) as recorder:
        begin, sent = clock(), 0
        os.write(1, b"begun\\n")
        while clock() - begin < float(seconds):
            while sent < (clock() - begin) * 3000:
                sent += 1
                struct.pack_into("q", count, 8 * int(place), sent)
                record(recorder, sent, strategy_id=name, points="x" if sent % 100 == 7 else None)
            await asyncio.sleep(0.002)

asyncio.run(main())
"""


def adds_up(one: RecorderAccount) -> bool:
    total = one.sampled_out + one.written + one.pending
    total += sum(one.rejected.values()) + sum(one.dropped.values())
    return one.offered + one.recovered == total


async def accounts(pool: Pool) -> list[RecorderAccount]:
    found = await execlog.recorder_account(pool)
    assert all(map(adds_up, found)), found
    for kept in await pool.fetch(f"select * from {ACCOUNT}"):
        lost = [sum(json.loads(kept[name]).values()) for name in ("rejected", "dropped")]
        settled = kept["sampled_out"] + sum(lost) + kept["written"]
        assert kept["offered"] + kept["recovered"] == settled + kept["pending"], kept
    return found


def refused(recorder: ExecutionRecorder) -> None:
    """Offers what can't be stored."""
    assert recorder.record(**fields(strategy_id=None)) is None


async def start(dsn: str, name: str, path: Path, place: int, seconds: float) -> Any:
    words = (dsn, name, str(path), str(place), str(seconds))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROCESS, *words, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    return process


@pytest.mark.parametrize(
    ("number", "seconds"), [(2, 1.0), pytest.param(4, 5.0, marks=pytest.mark.long)]
)
async def test_the_sum_is_what_an_outside_counter_saw(
    dsn: str, pool: Pool, tmp_path: Path, number: int, seconds: float
) -> None:
    """One process is killed: what may be missing of it is said, and the truth lies within."""
    path = tmp_path / "counts"
    path.write_bytes(bytes(8 * number))
    names = [f"p{place}" for place in range(number)]
    lasts = [seconds + 30, *[seconds] * (number - 1)]  # the first one until it is killed
    running = await asyncio.gather(
        *(start(dsn, name, path, place, lasts[place]) for place, name in enumerate(names))
    )
    await asyncio.sleep(seconds * 0.7)
    os.kill(running[0].pid, signal.SIGKILL)
    assert [await process.wait() for process in running] == [-9] + [0] * (number - 1)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as counted:
        offered = struct.unpack(f"{number}q", counted)
    found = {one.pid: one for one in await accounts(pool)}
    own = [found[process.pid] for process in running]
    rows = await pool.fetch(f"select strategy_id, count(*) from {TABLE} group by 1")
    stored = {each["strategy_id"]: each["count"] for each in rows}
    assert [one.written for one in own] == [stored[name] for name in names]
    killed, *ended = own
    assert [one.offered for one in ended] == list(offered[1:])
    assert [(one.state, one.pending, one.most_missing) for one in ended] == [
        ("closed", 0, 0) for _ in ended
    ]
    assert killed.closed_at is None
    accounted = killed.offered - killed.pending
    assert 0 <= offered[0] - accounted <= killed.most_missing
    total = total_of(own)
    assert total.rejected["points"] > 0
    assert total.sampled_out > 0
    least = total.offered - total.pending
    assert least <= sum(offered) <= least + sum(one.most_missing for one in own)


@pytest.mark.usefixtures("within_an_hour")
async def test_an_idle_recorder_is_told_from_a_dead_one(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "_FIRST_SECONDS", 0.0)
    monkeypatch.setattr(ledger, "_IDLE_SECONDS", 0.05)
    async with ExecutionRecorder(dsn):
        await until(lambda: pool.fetchval(f"select true from {ACCOUNT}"))
        first = (await accounts(pool))[0]
        assert (first.offered, first.state) == (0, "alive")
        seen = f"select true from {ACCOUNT} where last_seen > $1"
        await until(lambda: pool.fetchval(seen, first.last_seen))
    [last] = await accounts(pool)
    assert (last.state, last.most_missing) == ("closed", 0)
    assert last.closed_at is not None
    assert last.closed_at > first.last_seen


async def test_one_that_was_silent_for_two_minutes_is_open(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, max_rows=70) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        await pool.execute(f"update {ACCOUNT} set last_seen = now() - interval '121 seconds'")
        [one] = await accounts(pool)
        assert (one.state, one.most_missing) == ("open", 70)


async def test_one_that_was_offered_nothing_needs_no_server() -> None:
    async with ExecutionRecorder(AWAY) as recorder:
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 3
    assert recorder.stats().last_error is None


async def test_a_close_is_not_delayed_by_a_server_that_does_not_answer() -> None:
    """Nothing is pending; the last account is given up soon."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        recorder = ExecutionRecorder(f"postgresql://u@127.0.0.1:{port}/d?sslmode=disable")
        await recorder.start()
        refused(recorder)
        clock = asyncio.get_running_loop().time
        began = clock()
        stats = await recorder.aclose(0.3)
        assert clock() - began < 1.5
    assert stats.rejected == {"strategy_id": 1}


async def test_what_is_known_of_a_process(dsn: str, pool: Pool) -> None:
    named = f"{dsn}{'&' if '?' in dsn else '?'}application_name=scores"
    async with ExecutionRecorder(named) as one, ExecutionRecorder(pool) as other:
        record(one, 1)
        record(other, 1)
        assert await one.flush()
        assert await other.flush()
    found = sorted(await accounts(pool), key=lambda each: each.application == "scores")
    assert [each.pid for each in found] == [os.getpid()] * 2
    assert found[1].application == "scores"
    assert found[0].application
    assert all(each.host == os.uname().nodename for each in found)
    assert all(abs(each.started_at - each.last_seen) < timedelta(minutes=1) for each in found)
    assert [each.written for each in found] == [1, 1]


async def test_drops_are_told_with_the_time_of_the_last(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, max_rows=10) as recorder:
        for n in range(30):
            record(recorder, n)
        assert await recorder.flush()
    [one] = await accounts(pool)
    assert (one.offered, one.written, one.dropped) == (30, 10, {"full": 20})
    assert one.last_dropped_at is not None
    assert one.started_at < one.last_dropped_at < one.last_seen + timedelta(seconds=1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
async def test_a_forked_child_has_an_account_of_its_own(dsn: str, pool: Pool) -> None:
    code = """
import asyncio, os, sys
import execlog
from tests.recording import record
recorder = execlog.ExecutionRecorder(sys.argv[1])
async def store(rows):
    await recorder.start()
    for n in range(rows):
        record(recorder, n)
    await recorder.flush()
asyncio.run(store(5))
child = os.fork()
async def end():
    await store(7 if child else 11)
    await recorder.aclose()
asyncio.run(end())
if child:
    os.waitpid(child, 0)
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, dsn, cwd=ROOT)
    assert await process.wait() == 0
    found = await accounts(pool)
    assert {one.written: one.pid == process.pid for one in found} == {12: True, 11: False}
    assert {one.state for one in found} == {"closed"}


async def test_processes_of_one_memory_image_count_nothing_twice(dsn: str, pool: Pool) -> None:
    await clones(dsn, IMAGES["between two batches"])
    found = await accounts(pool)
    assert sorted((one.offered, one.written, one.state) for one in found) == [
        (1000, 1000, "closed"),
        (1010, 1010, "closed"),
    ]


async def test_an_identity_that_is_renewed_counts_on(dsn: str, pool: Pool) -> None:
    """The progress was restored, and the account with it: both begin where they were."""
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(3):
            record(recorder, n)
        refused(recorder)
        assert await recorder.flush()
        await pool.execute("update execlog.recorder_progress set token = gen_random_uuid()")
        for n in range(5):
            record(recorder, n)
        assert await recorder.flush()
        closed = f"select true from {ACCOUNT} where closed_at is not null"
        await until(lambda: pool.fetchval(closed))
        refused(recorder)
    found = await accounts(pool)
    assert sorted((one.written, sum(one.rejected.values())) for one in found) == [(3, 1), (5, 1)]
    assert [one.state for one in found] == ["closed", "closed"]
    assert total_of(found).offered == recorder.stats().offered == 10


@pytest.mark.parametrize("with_progress", [False, True])
async def test_a_restored_backup_shows(dsn: str, pool: Pool, with_progress: bool) -> None:
    """A recorder that lives on says again what it wrote, and the log holds less."""
    log = execlog.StrategyExecutionLogRepository(pool)
    tables = {ACCOUNT, TABLE} | ({"execlog.recorder_progress"} if with_progress else set())
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(4):
            record(recorder, n)
        assert await recorder.flush()
        for table in tables:
            await pool.execute(f"create table {table}_backup as table {table}")
        for n in range(6):
            record(recorder, n)
        assert await recorder.flush()
        assert (total_of(await accounts(pool)).written, await log.count_stored()) == (10, 10)
        for table in tables:
            await pool.execute(f"truncate {table}")
            await pool.execute(f"insert into {table} table {table}_backup")
        assert (total_of(await accounts(pool)).written, await log.count_stored()) == (4, 4)
        record(recorder, 1)
        assert await recorder.flush()
    assert (total_of(await accounts(pool)).written, await log.count_stored()) == (11, 5)


@pytest.mark.usefixtures("within_an_hour")
async def test_rows_that_maintenance_removed_are_no_loss(dsn: str, pool: Pool) -> None:
    log = execlog.StrategyExecutionLogRepository(pool)
    old = datetime.now(UTC) - timedelta(days=3)
    await execlog.maintain(dsn, interval="day", ahead=1)
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(50):
            record(recorder, n, created_at=old + timedelta(seconds=n))
        assert await recorder.flush()
    # As if it had been stored when it ran.
    await pool.execute(f"update {ACCOUNT} set hour = hour - interval '3 days'")
    since, until_ = old - HOUR, old + 2 * HOUR
    assert await log.count_stored(since=since, until=until_) == 50
    steps = await execlog.maintain(dsn, interval="day", ahead=1)
    assert "attach" in {step.action for step in steps}
    assert await log.count_stored(since=since, until=until_) == 50
    # Failures are kept for longer than ok runs: these are removed, and then all.
    days = timedelta(days=1), timedelta(days=9)
    await execlog.maintain(dsn, interval="day", ahead=1, retain=days[0], retain_failures=days[1])
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 3
    held = await log.count_stored(since=since, until=until_)
    assert held is not None
    assert held >= 50
    await execlog.maintain(dsn, interval="day", ahead=1, retain=days[0])
    assert await pool.fetchval(f"select count(*) from {TABLE}") == 0
    assert await log.count_stored(since=since, until=until_) == 50
    [one] = await log.recorder_account(since=since, until=until_)
    assert one.written == 50


@pytest.mark.usefixtures("within_an_hour")
async def test_a_window_is_the_difference_of_its_ends(dsn: str, pool: Pool) -> None:
    """Hours are moved into the past by hand, as if they were over."""
    async with ExecutionRecorder(dsn, max_rows=10) as recorder:
        for hours in (2, 1, 0):
            for n in range(12):
                record(recorder, n)
            refused(recorder)
            assert await recorder.flush()
            if hours:  # as if so many were pending then, too
                await pool.execute(
                    f"update {ACCOUNT} set hour = hour - {hours} * interval '1 hour',"
                    f" offered = offered + {hours}, pending = {hours}"
                    " where hour = date_trunc('hour', now(), 'UTC')"
                )
    await pool.execute(
        f"update {ACCOUNT} as own set earlier ="
        f" (select max(hour) from {ACCOUNT} as other where other.hour < own.hour)"
    )
    now = datetime.now(UTC)
    [whole] = await accounts(pool)
    assert (whole.offered, whole.written, whole.pending) == (39, 30, 0)
    for hours, pending in ((2, 2), (1, 1), (0, 0)):
        [one] = await execlog.recorder_account(
            pool, since=now - hours * HOUR, until=now - hours * HOUR
        )
        assert adds_up(one)
        assert (hours, one.written, one.dropped, one.pending) == (hours, 10, {"full": 2}, pending)
        assert sum(one.rejected.values()) == 1
        assert one.state == "closed"
    assert await execlog.recorder_account(pool, until=now - 4 * HOUR) == []
    both = await execlog.recorder_account(pool, since=now - HOUR)
    assert [one.written for one in both] == [20]


@pytest.mark.parametrize("window", [{"since": datetime(2026, 1, 1)}, {"until": "now"}])
async def test_bad_windows(window: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match=next(iter(window))):
        await execlog.recorder_account(AWAY, **window)


async def test_a_commit_whose_answer_is_lost(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = asyncpg.transaction.Transaction.commit
    lost: list[bool] = []

    async def commit_unheard(transaction: asyncpg.transaction.Transaction) -> None:
        await commit(transaction)
        if not lost:
            lost.append(True)
            raise ConnectionResetError

    monkeypatch.setattr(asyncpg.transaction.Transaction, "commit", commit_unheard)
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(100):
            record(recorder, n)
        assert await recorder.flush(30)
        record(recorder, 1)
    [one] = await accounts(pool)
    assert (lost, one.offered, one.written, one.state) == ([True], 101, 101, "closed")
    log = execlog.StrategyExecutionLogRepository(pool)
    assert await log.count_stored() == 101


async def test_rows_that_a_trigger_swallows_are_corrected(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "create function execlog.swallow() returns trigger language plpgsql as"
        " $$ begin return case when new.notes is null then new end; end $$;"
        f"create trigger swallow before insert on {TABLE}"
        " for each row execute function execlog.swallow()"
    )
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(10):
            record(recorder, n, notes="no" if n % 2 else None)
    [one] = await accounts(pool)
    assert (one.written, one.rejected) == (5, {"swallowed_by_store": 5})


async def test_a_row_that_the_server_refuses(dsn: str, pool: Pool) -> None:
    """The row is to blame and not the account, which goes with the others."""
    await pool.execute(f"alter table {TABLE} add constraint odd check (nodes_executed <> 7)")
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(20):
            record(recorder, n)
        assert await recorder.flush()
        [one] = await accounts(pool)
        assert (one.written, one.pending) == (19, 0)
        assert recorder._delivery._ledger._absent_until == 0.0
    [one] = await accounts(pool)
    assert (one.offered, one.rejected, one.state) == (20, {"refused_by_store": 1}, "closed")


@pytest.fixture
async def not_migrated(empty_dsn: str, migrations: Path) -> tuple[str, list[str]]:
    """A log of the version before accounts, and the migrations that it lacks."""
    lacking = [name for name in migration_names() if name > EARLIER]
    texts = {migrations / f"{name}.sql": "" for name in lacking}
    for path in texts:
        texts[path] = path.read_text()
        path.unlink()
    await execlog.migrate(empty_dsn)
    for path, text in texts.items():
        path.write_text(text)
    return empty_dsn, lacking


@pytest.mark.parametrize("by", ["dsn", "pool"])
async def test_a_log_of_the_version_before(
    not_migrated: tuple[str, list[str]], monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """It stores without an account, and has one once the log can keep it."""
    monkeypatch.setattr(ledger, "_ABSENT_SECONDS", 0.3)
    monkeypatch.setattr(ledger, "_FIRST_SECONDS", 0.0)
    dsn = not_migrated[0]
    async with asyncpg.create_pool(dsn, min_size=1, max_size=3) as pool:
        async with ExecutionRecorder(dsn if by == "dsn" else pool, linger=0.01) as recorder:
            loading = asyncio.create_task(load(recorder, 60, 500))
            await until(lambda: recorder.stats().batches > 10)
            refused(recorder)
            assert await execlog.migrate(pool) == not_migrated[1]
            await until(lambda: pool.fetchval(f"select sum(written) > 200 from {ACCOUNT}"))
            loading.cancel()
            assert await recorder.flush()
        stats = recorder.stats()
        [one] = await accounts(pool)
        stored = await pool.fetchval(f"select count(*) from {TABLE}")
        log = execlog.StrategyExecutionLogRepository(pool)
        held = await log.count_stored()
        assert held is not None
        assert held >= one.written
    assert (stats.retries, stats.last_error, stats.dropped) == (0, None, {})
    assert stats.written == stored
    assert 200 < one.written < stored
    assert one.rejected == {"strategy_id": 1}
    assert one.state == "closed"


async def test_roles_that_were_there_may_keep_and_ask(not_migrated: tuple[str, list[str]]) -> None:
    """Without the SQL of the roles once more."""
    dsn, lacking = not_migrated
    admin = await asyncpg.connect(dsn)
    names = {"writer": f"writer_{os.getpid()}", "reader": f"reader_{os.getpid()}"}
    for role in names.values():
        await admin.execute(f"create role {role} login; grant usage on schema execlog to {role}")
    try:
        await admin.execute(
            f"grant insert on {TABLE} to {names['writer']};"
            f"grant execute on function execlog.claim_batch to {names['writer']};"
            f"grant select on execlog.recorder_progress to {names['reader']}"
        )
        assert await execlog.migrate(admin) == lacking
        for role, may in ((names["writer"], True), (names["reader"], False)):
            keep = "has_function_privilege($1, 'execlog.keep_account(uuid, jsonb)', 'execute')"
            ask = f"has_table_privilege($1, '{ACCOUNT}', 'select')"
            [found] = await admin.fetch(f"select {keep}, {ask}", role)
            assert tuple(found) == (may, not may)
    finally:
        for role in names.values():
            await admin.execute(f"drop owned by {role}; drop role {role}")
        await admin.close()


async def test_a_role_that_may_not(dsn: str, pool: Pool) -> None:
    """Without the right the batch is stored all the same."""
    await pool.execute("alter function execlog.keep_account rename to away")
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush(2)
    assert (recorder.stats().retries, recorder.stats().written) == (0, 1)
    assert await accounts(pool) == []


async def test_recorders_of_earlier_versions_go_on_without(dsn: str, pool: Pool) -> None:
    """They claim by four values, or write their progress themselves."""
    async with pool.acquire() as own, own.transaction():
        claim = "select execlog.claim_batch(gen_random_uuid(), 1, gen_random_uuid(), null)"
        assert await own.fetchval(claim) == "claimed"
    connection = await asyncpg.connect(dsn)
    await first_wave.record(connection, uuid4(), 1, [dict(row())])
    await connection.close()
    assert await accounts(pool) == []
    assert await execlog.StrategyExecutionLogRepository(pool).count_stored() == 0


@pytest.mark.usefixtures("within_an_hour")
async def test_an_account_never_goes_back(pool: Pool) -> None:
    """What a lost client sent may arrive after what was sent later."""
    keep = "select execlog.keep_account($1, $2::text::jsonb)"
    given = {
        "host": "a", "pid": 1, "application": "x", "started_at": "2026-01-01T00:00:00Z",
        "recovered": 0, "sampled_out": 0, "rejected": {}, "dropped": {}, "capacity": 5,
    }  # fmt: skip
    own = "018f0000-0000-4000-8000-000000000001"

    async def kept(written: int, pending: int, closed: bool = False) -> bool:
        numbers: dict[str, Any] = {"written": written, "pending": pending, "closed": closed}
        numbers["offered"] = written + pending
        return bool(await pool.fetchval(keep, own, json.dumps(given | numbers)))

    assert await kept(5, 2)
    assert await kept(5, 0)
    assert not await kept(4, 9)
    await pool.execute(f"update {ACCOUNT} set hour = hour - interval '1 hour'")
    assert not await kept(4, 9)
    assert await kept(6, 0)
    assert [one.written for one in await accounts(pool)] == [6]
    # What was sent before the end and arrives after it.
    assert await kept(6, 0, closed=True)
    assert not await kept(6, 0)
    assert [one.state for one in await accounts(pool)] == ["closed"]
    await pool.execute(f"delete from {ACCOUNT} where closed_at is null")
    await pool.execute(f"update {ACCOUNT} set hour = hour - interval '1 hour'")
    assert not await kept(6, 0)
    assert await kept(7, 0)
    assert [(one.written, one.state) for one in await accounts(pool)] == [(7, "alive")]


async def test_old_accounts_are_pruned(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
    await pool.execute(f"update {ACCOUNT} set hour = now() - interval '399 days'")
    await pool.execute("select execlog.prune_recorders()")
    assert len(await accounts(pool)) == 1
    await pool.execute(f"update {ACCOUNT} set hour = now() - interval '401 days'")
    await pool.execute("select execlog.prune_recorders()")
    assert await accounts(pool) == []


def test_no_line_is_shorter_than_the_least_that_capacity_counts_with() -> None:
    recorder = ExecutionRecorder(AWAY, max_bytes=100_000)
    least: dict[str, Any] = {
        "strategy_id": "s",
        "strategy_type": "t",
        "strategy_version": 1,
        "nodes_executed": 0,
    }
    for _ in range(5000):
        recorder.record(**fields(status="", duration_ms=0, points=None, notes=None, **least))
    assert recorder.stats().dropped
    assert recorder.stats().pending_rows <= recorder._buffer.capacity
    assert recorder._buffer.capacity < recorder.stats().pending_rows * 1.5
    recorder._buffer.clear("test")
