"""A recorder in a thread of its own, for programs that have no event loop."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from typing import Any

import pytest

from execlog import ExecutionRecorder, InvalidArgument
from execlog.recorder import lifecycle
from tests.recording import AWAY, assert_sum, balanced, record, until
from tests.rows import fields
from tests.types import Pool


def threads() -> int:
    return sum(one.name == "execlog recorder" for one in threading.enumerate())


async def test_a_block_stores_and_closes(dsn: str) -> None:
    def program() -> ExecutionRecorder:
        with ExecutionRecorder(dsn) as recorder:
            for n in range(3000):
                record(recorder, n)
            assert recorder.flush_blocking()
            assert recorder.stats().written == 3000
            assert recorder.stats().alive
            record(recorder, 1)
        return recorder

    before = threads()
    recorder = await asyncio.to_thread(program)
    assert threads() == before
    assert recorder.record(**fields()) is None
    assert recorder.close().written == 3001
    assert recorder.flush_blocking()
    assert (recorder.stats().written, recorder.stats().rejected) == (3001, {"closed": 1})
    with pytest.raises(InvalidArgument, match="was closed"), recorder:
        pass
    await assert_sum(dsn, recorder.stats())


async def test_the_first_execution_starts_it_whichever_thread_it_comes_from(dsn: str) -> None:
    before = threads()
    recorder = ExecutionRecorder(dsn)
    ready = threading.Barrier(4)

    def engine() -> None:
        ready.wait()
        for n in range(1000):
            record(recorder, n)

    await asyncio.gather(*(asyncio.to_thread(engine) for _ in range(4)))
    assert await recorder.flush()  # from this loop, which is another one
    assert threads() == before + 1
    await recorder.start()  # it is, and stays where it is
    async with recorder:
        record(recorder, 1)
    await until(lambda: threads() == before)
    assert recorder.stats().written == 4001
    await assert_sum(dsn, recorder.stats())


async def test_two_ways_of_starting_at_once(dsn: str) -> None:
    """Whichever comes first, all is stored."""
    for _ in range(20):
        recorder = ExecutionRecorder(dsn, linger=0.001)
        record(recorder, 1)  # begins to start a thread
        async with recorder:
            record(recorder, 2)
            assert await recorder.flush()
        assert recorder.stats().written == 2


async def test_a_blocking_call_where_the_event_loop_stores(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        for call in ("flush_blocking", "close"):
            with pytest.raises(InvalidArgument, match=f"^{call}: waits for the event loop"):
                getattr(recorder, call)()
        assert await asyncio.to_thread(recorder.flush_blocking)
        assert recorder.stats().written == 1
        record(recorder, 2)
        stats = await asyncio.to_thread(recorder.close)
        assert (stats.written, stats.alive) == (2, False)


async def test_a_blocking_call_in_its_own_thread(dsn: str, pool: Pool) -> None:
    await pool.execute("alter table execlog.strategy_execution_log add check (notes <> 'bad')")
    said: list[str] = []

    def refused(_: object) -> None:
        try:
            recorder.flush_blocking()
        except InvalidArgument as error:
            said.append(str(error))

    with ExecutionRecorder(dsn, on_reject=refused, linger=0.01) as recorder:
        recorder.record(**fields(notes="bad"))
        recorder.record(**fields(notes="good"))
        await until(lambda: recorder.stats().written == 1)
        stats = await recorder.aclose()
    assert said == ["flush_blocking: waits for the event loop of this very thread"]
    assert (stats.written, stats.rejected) == (1, {"refused_by_store": 1})


async def test_a_hook_that_ends_the_thread(dsn: str, pool: Pool) -> None:
    """SystemExit goes through an event loop; the next execution finds another one."""
    await pool.execute("alter table execlog.strategy_execution_log add check (notes <> 'bad')")

    def refused(_: object) -> None:
        raise SystemExit(1)

    before = threads()
    recorder = ExecutionRecorder(dsn, on_reject=refused, linger=0.01)
    recorder.record(**fields(notes="good"))
    assert await asyncio.to_thread(recorder.flush_blocking)
    recorder.record(**fields(notes="bad"))
    await until(lambda: threads() == before)
    recorder.record(**fields(notes="good"))
    assert await asyncio.to_thread(recorder.flush_blocking)
    stats = await asyncio.to_thread(recorder.close)
    assert (stats.written, stats.rejected) == (2, {"refused_by_store": 1})
    await assert_sum(dsn, stats)


async def test_a_pool_can_not_be_used_from_a_thread(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lifecycle, "_UNSTARTED_SECONDS", 0.05)
    recorder = ExecutionRecorder(pool)
    with pytest.raises(InvalidArgument, match=r"^target: is a pool"), recorder:
        pass
    with pytest.raises(InvalidArgument, match=r"^target: is a pool"):
        recorder.flush_blocking()
    with caplog.at_level(logging.WARNING, "execlog.recorder"):
        for n in range(3):
            record(recorder, n)
        await until(lambda: caplog.messages)
    await asyncio.sleep(0.1)
    assert caplog.messages == [
        "executions wait: a recorder with a pool must be started in the pool's event loop"
    ]
    async with recorder:
        assert await recorder.flush()
        stats = await asyncio.to_thread(recorder.close)
    assert stats.written == 3


async def test_a_close_is_bounded_and_says_what_it_dropped() -> None:
    recorder = ExecutionRecorder(AWAY)
    record(recorder, 1)
    assert not await asyncio.to_thread(recorder.flush_blocking, 0.2)
    begin = time.monotonic()
    first, second = await asyncio.gather(
        asyncio.to_thread(recorder.close, 0.5), asyncio.to_thread(recorder.close, 2)
    )
    assert time.monotonic() - begin < 6
    assert first.dropped == second.dropped
    assert (first.dropped, first.pending_rows) == ({"closed": 1}, 0)


@pytest.mark.parametrize("timeout", [0, -1, "1", None, True, float("nan"), float("inf")])
def test_limits_that_are_none(timeout: Any) -> None:
    recorder = ExecutionRecorder(AWAY)
    for call in ("flush_blocking", "close"):
        with pytest.raises(InvalidArgument, match=r"^timeout: "):
            getattr(recorder, call)(timeout)


async def test_a_forked_child_starts_a_thread_of_its_own(dsn: str) -> None:
    with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                record(recorder, 2)
                code = 0 if recorder.flush_blocking() and recorder.stats().written == 1 else 2
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert await recorder.flush()
    stats = recorder.stats()
    assert balanced(stats)
    await assert_sum(dsn, stats.model_copy(update={"offered": 2, "written": 2}))


def test_a_forked_child_that_leaves_its_parents_block(dsn: str) -> None:
    with ExecutionRecorder(dsn) as recorder:
        pid = os.fork()
        if pid == 0:
            try:
                recorder.__exit__(None, None, None)
            finally:
                os._exit(0 if threads() == 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        record(recorder, 1)
    assert recorder.stats().written == 1
