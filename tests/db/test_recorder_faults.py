"""What a real server does to the recorder. Each ends with the sum: nothing lost, none twice."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder, RejectedExecution
from execlog.recorder.flusher import Delivery
from tests.databases import CLIENTS, TABLE, WAITING
from tests.outage import Outage
from tests.recording import (
    assert_left,
    assert_none_is_missing,
    assert_sum,
    balanced,
    load,
    record,
    terminate_others,
    until,
)
from tests.rows import fields
from tests.types import Connection, Pool

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.long, pytest.mark.usefixtures("way")]


@pytest.fixture
async def server() -> AsyncIterator[Outage]:
    """A migrated server of this test's own, that it may do anything to."""
    with Outage() as own:
        await execlog.migrate(own.dsn)
        yield own


async def test_a_server_that_is_killed_and_started_again(server: Outage) -> None:
    async with ExecutionRecorder(server.dsn, timeout=2) as recorder:
        loading = asyncio.create_task(load(recorder, 3))
        await asyncio.sleep(0.8)
        await asyncio.to_thread(server.kill)
        await until(lambda: recorder.stats().retries > 0)
        assert recorder.stats().alive
        await asyncio.to_thread(server.start)
        await loading
        assert await recorder.flush()
    stats = await recorder.aclose()
    assert stats.written == stats.offered > 5000
    await assert_sum(server.dsn, stats)


async def test_every_backend_terminated_again_and_again(dsn: str) -> None:
    killer = await asyncpg.connect(dsn)
    async with ExecutionRecorder(dsn) as recorder:
        killed = 0
        while killed < 8:
            await load(recorder, 0.1)
            killed += await terminate_others(killer)
        assert await recorder.flush()
    await killer.close()
    stats = recorder.stats()
    assert stats.written == stats.offered
    assert stats.retries > 0
    await assert_sum(dsn, stats)


@pytest.mark.parametrize("ending", ["terminate", "cancel", "timeout"])
async def test_a_commit_whose_answer_is_lost(server: Outage, ending: str) -> None:
    """It waits for a standby that is none; the rows are stored, and the client is not told."""
    await server.configure("synchronous_standby_names", "nope")
    recorder = ExecutionRecorder(server.dsn, timeout=0.5 if ending == "timeout" else 30)
    async with recorder:
        for n in range(500):
            record(recorder, n)
        async with server.connection() as connection:
            await connection.execute("set synchronous_commit = local")
            await until_waiting_for_a_standby(connection)
            if ending == "timeout":
                await until(lambda: recorder.stats().retries > 0)
            else:
                await connection.execute(
                    f"select pg_{ending}_backend(pid) from pg_stat_activity"
                    " where wait_event = 'SyncRep'"
                )
        await server.configure("synchronous_standby_names", None)
        assert await recorder.flush()
        assert (recorder.stats().retries > 0) == (ending != "cancel")
    assert recorder.stats().written == 500
    await assert_sum(server.dsn, recorder.stats())


async def until_waiting_for_a_standby(connection: Connection) -> None:
    waiting = "select true from pg_stat_activity where wait_event = 'SyncRep'"
    await until(lambda: connection.fetchval(waiting))


async def test_a_close_whose_commit_is_not_answered_says_so(server: Outage, way: str) -> None:
    await server.configure("synchronous_standby_names", "nope")
    recorder = ExecutionRecorder(server.dsn)
    await recorder.start()
    record(recorder, 1)
    stats = await recorder.aclose(timeout=0.5)
    await server.configure("synchronous_standby_names", None)
    assert_left(stats, way, 1, "unconfirmed")
    if way == "spool":
        await assert_none_is_missing(server.dsn, 1)


@pytest.mark.parametrize("kind", ["dsn", "pool"])
async def test_a_primary_that_becomes_read_only_and_back(server: Outage, kind: str) -> None:
    async with asyncpg.create_pool(server.dsn, min_size=1) as pool:
        async with ExecutionRecorder(server.dsn if kind == "dsn" else pool) as recorder:
            loading = asyncio.create_task(load(recorder, 2.5))
            await asyncio.sleep(0.5)
            await server.configure("default_transaction_read_only", "on")
            await asyncio.sleep(0.5)
            before = recorder.stats()
            await asyncio.sleep(0.5)
            assert recorder.stats().written == before.written
            assert "25006" in str(before.last_error) or "wanted kind" in str(before.last_error)
            async with server.connection() as connection:
                await connection.execute("set transaction read write")
                await connection.execute("set default_transaction_read_only = off")
                await connection.execute("alter system reset default_transaction_read_only")
                await connection.execute("select pg_reload_conf()")
            await loading
            assert await recorder.flush()
        assert recorder.stats().written == recorder.stats().offered
        await assert_sum(server.dsn, recorder.stats())


async def test_a_frozen_server_during_a_flush_and_during_close(server: Outage, way: str) -> None:
    recorder = ExecutionRecorder(server.dsn, timeout=1)
    await recorder.start()
    for n in range(3000):
        record(recorder, n)
    assert await recorder.flush()
    server.freeze()
    for n in range(3000):
        record(recorder, n)
    begin = time.monotonic()
    assert not await recorder.flush(timeout=0.5)
    assert time.monotonic() - begin < 5
    server.thaw()
    assert await recorder.flush()
    assert recorder.stats().written == 6000
    server.freeze()
    for n in range(3000):
        record(recorder, n)
    begin = time.monotonic()
    stats = await recorder.aclose(timeout=0.5)
    assert time.monotonic() - begin < 6
    assert_left(stats, way, 3000, "closed")
    server.thaw()
    await asyncio.sleep(0.3)  # what the frozen backends had been sent, they do now
    if way == "spool":
        await assert_none_is_missing(server.dsn, 9000)
    else:
        await assert_sum(server.dsn, stats)


async def test_one_frozen_backend_is_given_up(dsn: str, postgres: Any) -> None:
    if postgres.kind != "embedded server":
        pytest.skip("takes the server's processes within reach")
    own = f"{dsn}{'&' if '?' in dsn else '?'}application_name=frozen"
    async with ExecutionRecorder(own, timeout=0.5) as recorder:
        record(recorder, 0)
        assert await recorder.flush()
        connection = await asyncpg.connect(dsn)
        [[pid]] = await connection.fetch(
            f"select pid from {CLIENTS} and application_name = 'frozen'"
        )
        os.kill(pid, signal.SIGSTOP)
        try:
            for n in range(100):
                record(recorder, n)
            assert await recorder.flush(timeout=5)
        finally:
            os.kill(pid, signal.SIGCONT)
        await connection.close()
        assert recorder.stats().retries >= 1
    await assert_sum(dsn, recorder.stats())


POISONED = {
    "first": [0],
    "middle": [500],
    "last": [999],
    "three": [0, 499, 999],
    "neighbours": [7, 8, 9],
    "all": list(range(1000)),
}


async def refuse_by_statement(pool: Pool, sqlstate: str) -> None:
    """A trigger of the whole statement refuses poison: the server can't say which row it is."""
    await pool.execute(
        "create function execlog.odd() returns trigger language plpgsql as $$ begin"
        " if exists (select from new_rows where notes = 'poison') then"
        f" raise sqlstate '{sqlstate}'; end if; return null; end $$"
    )
    await pool.execute(
        f"create trigger odd after insert on {TABLE} referencing new table as new_rows"
        " for each statement execute function execlog.odd()"
    )


CASES = [
    pytest.param(named, places, id=f"{'named by line' if named else 'not named'}-{name}")
    for named in (True, False)
    for name, places in POISONED.items()
    if named or name != "all"
]


@pytest.mark.parametrize(("named", "places"), CASES)
async def test_rows_that_only_the_server_refuses(
    dsn: str, pool: Pool, places: list[int], named: bool
) -> None:
    if named:
        await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    else:
        await refuse_by_statement(pool, "23514")
    refused: list[RejectedExecution] = []
    recorder = ExecutionRecorder(dsn, batch_rows=1000, on_reject=refused.append)
    ids = [recorder.record(**fields(notes="poison" if n in places else None)) for n in range(1000)]
    async with recorder:
        assert await recorder.flush(timeout=40)
    stats = recorder.stats()
    assert stats.rejected == {"refused_by_store": len(places)}
    assert stats.written == 1000 - len(places)
    # Where the server names none, a row may be tried again after others.
    refused_ids = [one.fields["id"] for one in refused]
    assert sorted(map(str, refused_ids)) == [str(ids[n]).replace("-", "") for n in places]
    assert {(one.sqlstate, one.fields["notes"]) for one in refused} == {("23514", "poison")}
    assert "poison" not in str(stats.last_error)
    await assert_sum(dsn, stats)


async def test_a_pool_that_slow_readers_exhaust(dsn: str) -> None:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        async with ExecutionRecorder(pool, timeout=0.5) as recorder:
            async with pool.acquire(), pool.acquire():
                await load(recorder, 1)
                await until(lambda: recorder.stats().retries > 0)
                assert recorder.stats().written == 0
            assert await recorder.flush()
        assert recorder.stats().written == recorder.stats().offered
        await assert_sum(dsn, recorder.stats())


async def test_a_pool_that_is_closed_under_it(dsn: str, way: str) -> None:
    pool = await asyncpg.create_pool(dsn, min_size=1)
    async with ExecutionRecorder(pool) as recorder:
        record(recorder, 0)
        assert await recorder.flush()
        await pool.close()
        record(recorder, 1)
        begin = time.monotonic()
        stats = await recorder.aclose(timeout=0.5)
        assert time.monotonic() - begin < 6
    assert stats.written == 1
    assert_left(stats, way, 1, "closed")
    await assert_sum(dsn, stats)


async def cancel_delivery(recorder: ExecutionRecorder) -> None:
    """Cancels the task that stores, in whichever thread, and waits for its end."""
    background = recorder._background
    await until(lambda: background._tasks)
    task = background._tasks[0]
    task.get_loop().call_soon_threadsafe(task.cancel)
    for _ in range(10_000):
        if task.done():
            return await asyncio.sleep(0.001)  # its end is noticed
        await asyncio.sleep(0)
    raise AssertionError("it goes on")


@pytest.mark.parametrize("kind", ["dsn", "pool"])
async def test_the_task_cancelled_at_each_await(dsn: str, kind: str) -> None:
    """Cancelled after 0, 1, 2, ... turns of the event loop, so wherever it can be waiting."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        async with ExecutionRecorder(dsn if kind == "dsn" else pool, linger=0.001) as recorder:
            for turns in range(120):
                record(recorder, turns)
                recorder._wake()
                for _ in range(turns % 40):
                    await asyncio.sleep(0)
                if turns >= 80:
                    await asyncio.sleep(0.0005 * (turns - 80))
                await cancel_delivery(recorder)
                assert balanced(recorder.stats())
            assert await recorder.flush()
            assert recorder.stats().alive
        assert recorder.stats().written == 120
        await assert_sum(dsn, recorder.stats())


async def test_a_cancelled_task_is_begun_again_by_the_next_execution(dsn: str) -> None:
    async with ExecutionRecorder(dsn, linger=0.05) as recorder:
        for n in range(3):
            record(recorder, n)
            await asyncio.sleep(0)
        await cancel_delivery(recorder)
        assert not recorder.stats().alive
        record(recorder, 3)
        await until(lambda: recorder.stats().written == 4)
        assert recorder.stats().alive


async def test_a_task_cancelled_while_somebody_waits_for_it(dsn: str) -> None:
    async with ExecutionRecorder(dsn, linger=30) as recorder:
        for _ in range(3):
            record(recorder, 1)
            flushing = asyncio.create_task(recorder.flush(timeout=5))
            await asyncio.sleep(0)
            await cancel_delivery(recorder)
            assert await flushing
        assert recorder.stats().written == 3


def test_a_worker_that_an_ending_loop_cancels(postgres: Any, dsn: str) -> None:
    """asyncio.run cancels every task, the recorder's own among them, and then waits for all."""
    recorder = ExecutionRecorder(dsn, linger=30)

    async def worker() -> None:
        async with recorder:
            for n in range(1000):
                record(recorder, n)
            await asyncio.sleep(60)

    async def main() -> None:
        working = asyncio.create_task(worker())
        await asyncio.sleep(0.1)
        assert not working.done()

    begin = time.monotonic()
    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    thread.join(20)
    assert time.monotonic() - begin < 5
    assert (recorder.stats().written, recorder.stats().dropped) == (1000, {})


async def test_a_task_has_one_callback_however_often_it_is_woken(dsn: str) -> None:
    async with ExecutionRecorder(dsn, linger=30) as recorder:
        for _ in range(50):
            recorder._background._on_wake()
        for task in recorder._background._tasks:
            assert len(task._callbacks or []) <= 1


async def test_a_login_that_is_refused_after_a_commit_whose_answer_is_lost(server: Outage) -> None:
    """Whether the batch is stored is known only later; nothing is given up, nothing comes twice."""
    async with server.connection() as connection:
        await connection.execute("create role app login superuser")
    dsn = server.dsn.replace("postgres@", "app@")
    recorder = ExecutionRecorder(dsn)
    await recorder.start()
    await server.configure("synchronous_standby_names", "nope")
    for n in range(5):
        record(recorder, n)
    async with server.connection() as connection:
        await connection.execute("set synchronous_commit = local")
        await until_waiting_for_a_standby(connection)
        await connection.execute("alter role app nologin")
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'"
        )
        await until(lambda: "28000" in str(recorder.stats().last_error))
        await connection.execute("alter role app login")
    assert recorder.stats().alive
    await server.configure("synchronous_standby_names", None)
    for n in range(7):
        record(recorder, n)
    stats = await recorder.aclose()
    assert (stats.written, stats.dropped) == (12, {})
    await assert_sum(server.dsn, stats)


async def test_a_close_in_doubt_and_another_start(server: Outage, way: str) -> None:
    """What was dropped as unconfirmed is stored; what is recorded after it is stored too."""
    left = {} if way == "spool" else {"unconfirmed": 5}
    recorder = ExecutionRecorder(server.dsn)
    await recorder.start()
    await server.configure("synchronous_standby_names", "nope")
    for n in range(5):
        record(recorder, n)
    async with server.connection() as connection:
        await connection.execute("set synchronous_commit = local")
        await until_waiting_for_a_standby(connection)
    for task in recorder._background._tasks:
        task.cancel()
    await until(lambda: recorder._background._tasks[0].done())
    recorder._delivery.give_up("stopped")
    assert recorder.stats().dropped == left
    await server.configure("synchronous_standby_names", None)
    for n in range(7):
        record(recorder, n)
    stats = await recorder.aclose()
    assert (stats.written, stats.dropped) == (7, left)
    assert stats.last_error is None
    async with server.connection() as connection:
        assert await connection.fetchval(f"select count(*) from {TABLE}") == 12


async def test_close_while_the_store_is_away(way: str) -> None:
    recorder = ExecutionRecorder("postgresql://user@127.0.0.1:1/nowhere")
    async with recorder:
        for n in range(5000):
            record(recorder, n)
        begin = time.monotonic()
        stats = await recorder.aclose(timeout=0.5)
        assert time.monotonic() - begin < 6
    assert_left(stats, way, 5000, "closed")
    assert stats.pending_bytes == 0


KILLED = """
import asyncio, sys, execlog
from tests.rows import fields

async def main():
    async with execlog.ExecutionRecorder(sys.argv[1], batch_rows=100, linger=0.01) as recorder:
        for n in range(10**7):
            recorder.record(**fields(notes=str(n)))
            if n % 50 == 0:
                await asyncio.sleep(0)
                stats = recorder.stats()
                print(stats.written, stats.offered, flush=True)

asyncio.run(main())
"""


async def test_kill_9_of_the_process(dsn: str, pool: Pool) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, dsn, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    said = []
    for _ in range(100_000):
        said.append(await process.stdout.readline())
        if not said[-1] or int(said[-1].split()[0]) >= 1000:
            break
    process.kill()
    said += (await process.stdout.read()).splitlines(keepends=True)
    await process.wait()
    whole = [line for line in said if line.endswith(b"\n")]
    written, offered = map(int, whole[-1].split())
    busy = f"select count(*) = 0 from {CLIENTS} and state <> 'idle' and pid <> pg_backend_pid()"
    await until(lambda: pool.fetchval(busy))
    stored = await pool.fetch(f"select notes::integer as n from {TABLE} order by 1")
    numbers = [found["n"] for found in stored]
    # What was said to be written is there, and nothing is missing but the end.
    assert 0 < written <= len(numbers) <= offered + 51
    assert numbers == list(range(len(numbers)))
    # Whole batches: as many transactions as the recorder's own number says.
    transactions = await pool.fetchval(f"select count(distinct xmin::text) from {TABLE}")
    assert transactions == await pool.fetchval("select batch from execlog.recorder_progress")


async def test_fork_with_the_buffer_filled(dsn: str) -> None:
    async with ExecutionRecorder(dsn, linger=30) as recorder:
        record(recorder, 0)
        assert await recorder.flush()
        for n in range(1000):
            record(recorder, n)
        held = threading.Event()
        release = threading.Event()
        holder = threading.Thread(target=hold, args=(recorder, held, release))
        holder.start()  # the lock is taken while the process forks
        held.wait()
        pid = os.fork()
        if pid == 0:
            os._exit(in_the_child(recorder, dsn))
        release.set()
        holder.join()
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert recorder.stats().pending_rows == 1000
        assert await recorder.flush()
    stats = recorder.stats()
    assert stats.written == 1001
    await assert_sum(dsn, stats.model_copy(update={"written": 1011, "offered": 1011}))


def hold(recorder: ExecutionRecorder, held: threading.Event, release: threading.Event) -> None:
    with recorder._buffer._lock:
        held.set()
        release.wait()


def in_the_child(recorder: ExecutionRecorder, dsn: str) -> int:
    try:
        stats = recorder.stats()
        if stats.offered or stats.pending_rows or stats.alive:
            return 2
        for n in range(10):
            record(recorder, n)

        async def store() -> int:
            async with recorder:
                await recorder.flush()
            return recorder.stats().written

        # A loop of its own: the parent's is running in this very thread.
        written: list[int] = []
        thread = threading.Thread(target=lambda: written.append(asyncio.run(store())))
        thread.start()
        thread.join(20)
        return 0 if written == [10] else 3
    except BaseException:
        return 4


async def test_eight_threads(dsn: str) -> None:
    async with ExecutionRecorder(dsn, max_rows=10**6) as recorder:

        def work() -> set[object]:
            return {record(recorder, n) for n in range(3000)}

        ids = await asyncio.gather(*(asyncio.to_thread(work) for _ in range(8)))
        assert len(set().union(*ids)) == 24_000
        assert await recorder.flush()
    assert recorder.stats().written == 24_000
    await assert_sum(dsn, recorder.stats())


@pytest.mark.parametrize("kind", ["dsn", "pool"])
async def test_a_type_that_changes_under_a_live_connection(dsn: str, pool: Pool, kind: str) -> None:
    async with ExecutionRecorder(dsn if kind == "dsn" else pool) as recorder:
        recorder.record(**fields(duration_ms=2.0))
        assert await recorder.flush()
        await pool.execute(f"alter table {TABLE} alter column duration_ms type numeric")
        await pool.execute(f"alter table {TABLE} alter column nodes_executed type bigint")
        recorder.record(**fields(duration_ms=2.0))
        assert await recorder.flush()
    found = await pool.fetch(f"select duration_ms::float8 as ms, nodes_executed as n from {TABLE}")
    assert [(row["ms"], row["n"]) for row in found] == [(2.0, 4), (2.0, 4)]
    await assert_sum(dsn, recorder.stats())


async def test_a_table_that_is_locked_for_a_while(dsn: str) -> None:
    """A migration that waits, or holds the table: the batch waits, and goes in once."""
    holder = await asyncpg.connect(dsn)
    async with ExecutionRecorder(dsn, timeout=0.3) as recorder:
        async with holder.transaction():
            await holder.execute(f"lock table {TABLE} in access exclusive mode")
            await load(recorder, 1)
            assert recorder.stats().written == 0
            # Each try is given up on the server too, or they would pile up there.
            waiting = await holder.fetchval(
                "select count(*) from pg_locks where not granted and relation = $1::regclass and"
                " database = (select oid from pg_database where datname = current_database())",
                TABLE,
            )
            assert waiting <= 1
        assert await recorder.flush()
    await holder.close()
    assert recorder.stats().written == recorder.stats().offered
    await assert_sum(dsn, recorder.stats())


async def test_an_earlier_try_that_hangs_on_the_server(dsn: str) -> None:
    """A backend that a lost client left behind holds the batch: later tries must not pile up."""
    recorder = ExecutionRecorder(dsn, timeout=0.4)
    delivery: Delivery = recorder._delivery
    ghost = await asyncpg.connect(dsn)
    transaction = ghost.transaction()
    await transaction.start()
    claim = delivery._statements["claim_batch"].sql
    first = delivery._identity.claim(again=False)
    assert await ghost.fetchval(claim, *first, "60s", False) == "claimed"
    assert await ghost.fetchval("show tcp_keepalives_idle") in {"10", "0"}  # 0: a unix socket
    assert await ghost.fetchval("show lock_timeout") == "1min"
    async with recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries >= 4)
        waiting = await ghost.fetchval(f"select count(*) from {WAITING}")
        assert waiting <= 1
        await transaction.rollback()
        assert await ghost.fetchval("show lock_timeout") == "0"
        assert await recorder.flush()
    await ghost.close()
    assert recorder.stats().written == 1
    await assert_sum(dsn, recorder.stats())
