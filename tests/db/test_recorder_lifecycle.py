"""Start, flush and close, in any order, task, event loop or process, lose nothing uncounted."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from execlog import ExecutionRecorder, InvalidArgument, Maintenance, RecorderStats
from tests.recording import AWAY, assert_sum, record, unstarted
from tests.rows import fields
from tests.types import Pool


async def test_before_start_after_close_and_twice(dsn: str) -> None:
    recorder = unstarted(dsn)
    assert recorder.record(**fields()) is not None
    assert not recorder.stats().alive
    async with recorder:
        await recorder.start()  # once more does nothing
        assert recorder.stats().alive
        assert await recorder.flush()
        first = await recorder.aclose()
    assert recorder.record(**fields()) is None
    assert await recorder.flush()
    last = await recorder.aclose()
    assert last.rejected == {"closed": 1}
    assert (first.written, last.written, last.alive) == (1, 1, False)
    with pytest.raises(InvalidArgument, match="was closed"):
        await recorder.start()
    await assert_sum(dsn, last)


async def test_two_closes_at_once(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(3000):
            record(recorder, n)
        both = await asyncio.gather(recorder.aclose(), recorder.aclose())
    assert [stats.written for stats in both] == [3000, 3000]


async def test_flush_and_close_start_what_was_not_started(dsn: str) -> None:
    for use in ("flush", "aclose"):
        recorder = ExecutionRecorder(dsn)
        record(recorder, 1)
        await getattr(recorder, use)()
        assert recorder.stats().written == 1
        await recorder.aclose()


async def test_a_close_that_is_cancelled_is_a_close() -> None:
    recorder = unstarted(AWAY)
    async with recorder:
        record(recorder, 1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await recorder.aclose(timeout=60)
        stats = recorder.stats()
        assert (stats.dropped, stats.pending_rows, stats.alive) == ({"closed": 1}, 0, False)
    assert await recorder.aclose() == recorder.stats()


@pytest.mark.parametrize("maintenance", [None, Maintenance(interval="day")])
async def test_whoever_waits_through_an_outage_does_not_spin(
    maintenance: Maintenance | None,
) -> None:
    """Each task is begun once, and not anew in each turn of the loop."""
    loop = asyncio.get_running_loop()
    begun = []

    def count(loop: asyncio.AbstractEventLoop, run: Any, **options: Any) -> asyncio.Task[Any]:
        begun.append(run.__qualname__)
        return asyncio.Task(run, loop=loop, **options)

    recorder = unstarted(AWAY, maintenance=maintenance)
    record(recorder, 1)
    loop.set_task_factory(count)
    try:
        assert not await recorder.flush(timeout=0.3)
        await recorder.aclose(timeout=0.3)
    finally:
        loop.set_task_factory(None)
    assert Counter(name for name in begun if name.endswith(".run")).most_common(1)[0][1] == 1


async def test_a_flush_that_is_cancelled_loses_nothing(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(3000):
            record(recorder, n)
        flushing = asyncio.create_task(recorder.flush())
        await asyncio.sleep(0)
        flushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await flushing
        assert await recorder.flush()
        assert recorder.stats().written == 3000


async def test_another_event_loop(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)

        def elsewhere(call: str) -> str:
            try:
                asyncio.run(getattr(recorder, call)())
            except InvalidArgument as error:
                return str(error)
            return ""

        for call in ("start", "flush", "aclose"):
            said = await asyncio.to_thread(elsewhere, call)
            assert said == f"{call}: the recorder runs in another event loop"
        assert await recorder.flush()
    assert recorder.stats().written == 1


def test_an_event_loop_that_dies(postgres: Any) -> None:
    """Two runs of asyncio, as a worker makes them; the first one forgets to close."""
    recorder = unstarted(postgres.dsn.replace("/postgres?", "/nowhere?"))

    async def first() -> None:
        await recorder.start()
        record(recorder, 1)
        await asyncio.sleep(0.05)

    asyncio.run(first())
    record(recorder, 2)
    assert not recorder.stats().alive
    assert recorder.stats().pending_rows == 2

    async def second() -> RecorderStats:
        await recorder.start()
        assert recorder.stats().alive
        return await recorder.aclose(timeout=0.3)

    stats = asyncio.run(second())
    assert sum(stats.dropped.values()) == 2


async def test_what_was_pending_when_a_loop_died_is_stored_by_the_next(dsn: str) -> None:
    recorder = ExecutionRecorder(dsn, linger=30)

    def run(work: Any) -> None:
        thread = threading.Thread(target=lambda: asyncio.run(work()))
        thread.start()
        thread.join()

    async def first() -> None:
        await recorder.start()
        for n in range(2500):  # a whole batch, which is under way when the loop ends
            record(recorder, n)
        await asyncio.sleep(0.002)

    async def second() -> None:
        await recorder.aclose()

    await asyncio.to_thread(run, first)
    await asyncio.to_thread(run, second)
    assert recorder.stats().written == 2500
    await assert_sum(dsn, recorder.stats())


async def test_a_flush_during_a_close_waits_like_the_close() -> None:
    recorder = unstarted(AWAY)
    await recorder.start()
    record(recorder, 1)
    closing = asyncio.create_task(recorder.aclose(timeout=1.5))
    await asyncio.sleep(0.1)
    assert not await recorder.flush(timeout=0.1)
    await closing
    assert await recorder.flush(timeout=0.1)


async def test_the_second_close_has_a_limit_of_its_own() -> None:
    recorder = unstarted(AWAY)
    record(recorder, 1)
    first = asyncio.create_task(recorder.aclose(timeout=2))
    await asyncio.sleep(0.05)
    await recorder.aclose(timeout=0.1)
    assert not first.done()
    assert (await first).dropped == {"closed": 1}


def test_a_loop_that_dies_while_it_closes(dsn: str) -> None:
    recorder = unstarted(AWAY)
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)  # what dies with it is the test's doing

    async def begin_to_close() -> None:
        record(recorder, 1)
        recorder_closing.append(asyncio.ensure_future(recorder.aclose(timeout=30)))
        for _ in range(20):  # turns of the loop, in which each of its tasks has begun
            await asyncio.sleep(0.005)

    recorder_closing: list[Any] = []
    loop.run_until_complete(begin_to_close())
    loop.close()
    recorder_closing.clear()
    gc.collect()  # the coroutine that was left behind must not end what goes on
    assert recorder.stats().pending_rows == 1
    stats = asyncio.run(recorder.aclose(timeout=0.2))
    assert (stats.dropped, stats.pending_rows) == ({"closed": 1}, 0)


async def test_a_forked_child_leaves_its_parents_pool_alone(pool: Pool) -> None:
    async with ExecutionRecorder(pool) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                record(recorder, 2)
                thread = threading.Thread(target=lambda: asyncio.run(recorder.flush()))
                thread.start()
                thread.join(10)
                stats = recorder.stats()
                code = 0 if stats.dropped == {"stopped": 1} and "DSN" in str(stats) else 2
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert await pool.fetchval("select 1") == 1
        record(recorder, 3)
        assert await recorder.flush()
    assert recorder.stats().written == 2


@pytest.mark.long
def test_what_is_lost_at_exit_is_said() -> None:
    code = (
        "import execlog; from tests.rows import fields;"
        f"r = execlog.ExecutionRecorder({AWAY!r}); r.record(**fields())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 0
    assert "dropped executions: 1 closed\n" in done.stderr, done.stderr
