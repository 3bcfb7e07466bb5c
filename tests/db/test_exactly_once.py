"""What counts as written is stored, once, whoever else says that he is this recorder."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder
from tests.databases import TABLE, WAITING
from tests.outage import Outage
from tests.recording import assert_sum, record, until
from tests.samples import one_of
from tests.types import Pool

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("way")
PROGRESS = "execlog.recorder_progress"

# Two processes of one memory image, of which Python hears nothing. What they say comes as JSON.
CLONES = """
import asyncio, ctypes, json, os, sys
import execlog
from tests.recording import record

recorder = execlog.ExecutionRecorder(sys.argv[1], linger=0.01)

async def before(rows, seconds):
    await recorder.start()
    for n in range(rows):
        record(recorder, n)
    await recorder.flush(seconds)

async def after():
    for n in range(1000):
        record(recorder, n)
    return await recorder.aclose(30)

{image}
child = ctypes.CDLL(None).fork()
if child:
    os.write(1, b"[]\\n")
stats = asyncio.run(after())
os.write(1, (json.dumps([stats.written, stats.offered, stats.last_error]) + "\\n").encode())
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
IMAGES = {
    "before its first batch": "",
    "between two batches": "asyncio.run(before(10, 10))",
}


async def clones(
    dsn: str, image: str, then: Callable[[], Awaitable[object]] | None = None
) -> list[list[object]]:
    """What both say: written, offered, last error; the one with more written first."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLONES.format(image=image), dsn,
        stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    assert process.stdout is not None
    assert await process.stdout.readline() == b"[]\n"
    if then is not None:
        await then()
    said, _ = await process.communicate()
    assert process.returncode == 0
    return sorted(map(json.loads, said.splitlines()), reverse=True, key=lambda one: one[:2])


@pytest.mark.parametrize("image", one_of(IMAGES.values()), ids=IMAGES)
async def test_two_processes_of_one_memory_image(dsn: str, pool: Pool, image: str) -> None:
    first = 10 if image else 0
    found = await clones(dsn, image)
    assert [one[:2] for one in found] == [[first + 1000, first + 1000]] * 2
    assert await pool.fetchval(f"select count(*) from {TABLE}") == first + 2000
    assert await pool.fetchval(f"select count(distinct id) from {TABLE}") == first + 2000
    # The one that came second has noticed, if there was anything to notice.
    assert sum("another process" in str(one[2]) for one in found) == (1 if image else 0)


@pytest.mark.long
async def test_two_processes_of_one_memory_image_with_the_same_batch(empty_dsn: str) -> None:
    """Both hold executions that neither has stored: these have their ids, and are stored once."""
    image = "asyncio.run(before(10, 0.6))"
    found = await clones(empty_dsn, image, then=lambda: execlog.migrate(empty_dsn))
    assert [one[:2] for one in found] == [[1010, 1010], [1000, 1010]]
    connection = await asyncpg.connect(empty_dsn)
    stored = await connection.fetchrow(f"select count(*), count(distinct id) from {TABLE}")
    await connection.close()
    assert stored is not None
    assert tuple(stored) == (2010, 2010)


MEDDLING = {
    "its number is raised": f"update {PROGRESS} set batch = batch + 1000",
    "its number is lowered": f"update {PROGRESS} set batch = 0",
    "its token is another's": f"update {PROGRESS} set token = gen_random_uuid()",
    "its token is gone": f"update {PROGRESS} set token = null",
    "it is forgotten": f"delete from {PROGRESS}",
}


@pytest.mark.parametrize("meddle", MEDDLING.values(), ids=MEDDLING)
async def test_a_progress_that_somebody_changed(
    dsn: str, pool: Pool, meddle: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(3):
            record(recorder, n)
            assert await recorder.flush()
        await pool.execute(meddle)
        for n in range(1000):
            record(recorder, n)
        assert await recorder.flush()
        stats = recorder.stats()
        recorder._reporter.report()
    assert stats.written == 1003
    assert stats.retries == 0
    noticed = "delete" not in meddle and "batch" not in meddle
    assert ("another process" in str(stats.last_error)) == noticed
    assert ("another process" in caplog.text) == noticed
    await assert_sum(dsn, stats)


@pytest.mark.long
async def test_a_commit_in_doubt_whose_progress_somebody_changed() -> None:
    """The answer is lost, and so is the proof: that the rows are there is seen by their ids."""
    waiting = "from pg_stat_activity where wait_event = 'SyncRep'"
    with Outage() as server:
        await execlog.migrate(server.dsn)
        await server.configure("synchronous_standby_names", "nope")
        async with ExecutionRecorder(server.dsn, timeout=30) as recorder:
            for n in range(5):
                record(recorder, n)
            async with server.connection() as one, server.connection() as meddler:
                await one.execute("set synchronous_commit = local")
                await until(lambda: one.fetchval(f"select true {waiting}"))
                await meddler.execute("set synchronous_commit = local")
                transaction = meddler.transaction()
                await transaction.start()
                lock = asyncio.create_task(
                    meddler.execute(f"lock table {PROGRESS} in access exclusive mode")
                )
                await until(lambda: one.fetchval(f"select true from {WAITING}"))
                await one.execute(f"select pg_terminate_backend(pid) {waiting}")
                await lock
                await meddler.execute(f"update {PROGRESS} set token = gen_random_uuid()")
                await transaction.commit()
            await server.configure("synchronous_standby_names", None)
            assert await recorder.flush()
            stats = recorder.stats()
        assert (stats.written, stats.rejected) == (0, {"refused_by_store": 5})
        async with server.connection() as one:
            assert await one.fetchval(f"select count(*) from {TABLE}") == 5


async def test_a_commit_in_doubt_of_which_a_trigger_swallowed_rows(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer to the commit is lost; the next try hears that the batch is stored."""
    await pool.execute(
        "create function execlog.swallow() returns trigger language plpgsql as"
        " $$ begin return case when new.notes is null then new end; end $$;"
        f"create trigger swallow before insert on {TABLE}"
        " for each row execute function execlog.swallow()"
    )
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
            record(recorder, n, notes="no" if n % 2 else None)
        assert await recorder.flush(30)
    stats = recorder.stats()
    assert (lost, stats.written, stats.rejected) == ([True], 50, {"swallowed_by_store": 50})
    await assert_sum(dsn, stats)


async def test_a_claim_that_is_not_ones_own_holds_nobody_up(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        victim = await pool.fetchval(f"select recorder_id from {PROGRESS}")
        claim = "select execlog.claim_batch($1, 5, gen_random_uuid(), $2)"
        async with pool.acquire() as other, other.transaction():
            for last in (None, UUID(int=7)):
                assert await other.fetchval(claim, victim, last) == "another"
            record(recorder, 2)
            assert await recorder.flush(30)
    assert recorder.stats().written == 2


async def test_a_claim_that_is_not_ones_own_changes_nothing(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        before = await pool.fetchrow(f"select * from {PROGRESS}")
        assert before is not None
        claim = "select execlog.claim_batch($1, $2, gen_random_uuid(), $3)"
        for number in (1, 2, 10**9):
            for last_token in (None, before["recorder_id"]):
                said = await pool.fetchval(claim, before["recorder_id"], number, last_token)
                assert said == "another"
        assert await pool.fetchrow(f"select * from {PROGRESS}") == before
        record(recorder, 2)
        assert await recorder.flush()
        after = await pool.fetchrow(f"select * from {PROGRESS}")
        assert after is not None
        assert (after["recorder_id"], after["batch"]) == (before["recorder_id"], 2)
        assert after["token"] != before["token"]
