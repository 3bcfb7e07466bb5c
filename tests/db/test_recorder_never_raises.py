"""What the recorder promises to those who embed it: cheap, bounded, exact, and quiet."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock
from uuid import UUID, uuid4

import numpy as np
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    Maintenance,
    RecorderStats,
    StrategyExecutionLogRepository,
)
from tests.databases import TABLE
from tests.recording import assert_sum, balanced, record, until
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool

AWAY = "postgresql://user:s3cret@127.0.0.1:1/nowhere"


async def test_an_execution_is_stored_as_it_was_given(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    whole = row(
        realm_id="r",
        external_game_id="g\t1",
        external_task_id="t\\n",
        external_user_id="ü\n😀",
        error_code="E",
        points=-1.25,
        case_name="\1",
        trace=[{"node": "a", "ms": 0.5, "text": 'q"\\\t\n\x01é😀'}, None],
        parent_strategy_id="p",
        notes="a\\tb\r\nc",
        created_at=T0,
        status="error",
    )
    async with ExecutionRecorder(dsn) as recorder:
        given = whole.model_dump()
        assert recorder.record(**given) == whole.id
        before = datetime.now(UTC)
        made = recorder.record(**fields())
        after = datetime.now(UTC)
        assert isinstance(made, UUID)
        assert await recorder.flush()
    assert await repository.get(id=whole.id) == whole
    stored = await repository.get(id=made)
    assert stored is not None
    assert stored == row(id=made, created_at=stored.created_at)
    assert stored.created_at is not None
    assert before - timedelta(microseconds=1) <= stored.created_at <= after
    await assert_sum(dsn, recorder.stats())


async def test_ids_and_rows_are_in_the_order_of_the_calls(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, batch_rows=7) as recorder:
        ids = [recorder.record(**fields(notes=str(n))) for n in range(100)]
        assert await recorder.flush()
    assert ids == sorted(ids, key=str)
    stored = await pool.fetch(f"select id, notes from {TABLE} order by id")
    assert [r["id"] for r in stored] == ids
    batches = await pool.fetchval(f"select count(distinct xmin::text) from {TABLE}")
    assert batches == recorder.stats().batches == 15
    assert await pool.fetchval("select batch from execlog.recorder_progress") == 15


async def test_a_full_batch_goes_at_once_and_another_when_it_has_waited(dsn: str) -> None:
    async with ExecutionRecorder(dsn, batch_rows=10, linger=30) as recorder:
        begin = time.monotonic()
        for n in range(10):
            record(recorder, n)
        await until(lambda: recorder.stats().written == 10)
        assert time.monotonic() - begin < 5
        record(recorder, 1)
        await asyncio.sleep(0.3)
        assert recorder.stats().pending_rows == 1
    async with ExecutionRecorder(dsn, linger=0.2) as recorder:
        record(recorder, 1)
        await asyncio.sleep(0.1)
        assert recorder.stats().written == 0
        await until(lambda: recorder.stats().written == 1)


async def test_sampling_keeps_failures_and_says_at_which_rate(dsn: str, pool: Pool) -> None:
    def run(seed: int) -> list[bool]:
        recorder = ExecutionRecorder(dsn, sample_rate=0.05, seed=seed)
        return [recorder.record(**fields()) is not None for _ in range(2000)]

    assert run(1) == run(1) != run(2)
    async with ExecutionRecorder(dsn, sample_rate=0.05, seed=3) as recorder:
        kept = sum(recorder.record(**fields()) is not None for _ in range(10_000))
        for status in ("error", "timeout", "limit", "odd"):
            assert recorder.record(**fields(status=status)) is not None
        # Who has sampled already is not sampled again.
        assert recorder.record(**fields(sampled=True, sample_rate=0.5)) is not None
        assert recorder.record(**fields(sample_rate=0.25)) is not None
        assert recorder.record(**fields(sampled=False)) is not None
        assert await recorder.flush()
    assert 400 < kept < 600
    stats = recorder.stats()
    assert (stats.offered, stats.sampled_out, stats.written) == (10_007, 10_000 - kept, kept + 7)
    found = await pool.fetch(
        f"select status, sampled, sample_rate, count(*) as n from {TABLE} group by 1, 2, 3"
    )
    assert {tuple(r) for r in found} == {
        ("ok", True, 0.05, kept),
        ("error", False, 1.0, 1),
        ("timeout", False, 1.0, 1),
        ("limit", False, 1.0, 1),
        ("odd", False, 1.0, 1),
        ("ok", True, 0.5, 1),
        ("ok", False, 0.25, 1),
        ("ok", False, 1.0, 1),
    }
    await assert_sum(dsn, stats)


async def test_the_rate_of_who_says_only_that_it_was_sampled(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, sample_rate=0.25) as recorder:
        for sampled in (True, np.True_, False, np.False_):
            for status in ("ok", "error"):
                assert recorder.record(**fields(sampled=sampled, status=status)) is not None
        assert recorder.record(**fields(sampled=True, sample_rate=0.5)) is not None
        assert await recorder.flush()
    found = await pool.fetch(
        f"select status, sampled, sample_rate, count(*) as n from {TABLE} group by 1, 2, 3"
    )
    assert {tuple(r) for r in found} == {
        ("ok", True, 0.25, 2),
        ("error", True, 0.25, 2),
        ("ok", False, 1.0, 2),
        ("error", False, 1.0, 2),
        ("ok", True, 0.5, 1),
    }


class Hostile:
    """Answers every question with an exception."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return Hostile
        raise RuntimeError("s3cret")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("s3cret")

    __hash__ = object.__hash__


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("strategy_id", {"strategy_id": ""}),
    ("strategy_id", {"strategy_id": None}),
    ("strategy_id", {"strategy_id": 7.5}),
    ("external_user_id", {"external_user_id": True}),
    ("external_user_id", {"external_user_id": np.bool_(True)}),
    ("external_task_id", {"external_task_id": 1 << 20_000}),
    ("strategy_id", {"strategy_id": "x" * 513}),
    ("error_code", {"error_code": "é" * 257}),
    ("status", {"status": None}),
    ("points", {"points": float("nan")}),
    ("points", {"points": "12"}),
    ("points", {"points": 10**400}),
    ("points", {"points": True}),
    ("points", {"points": np.bool_(True)}),
    ("points", {"points": np.float32("nan")}),
    ("points", {"points": np.complex64(1)}),
    ("points", {"points": np.array([1.0, 2.0])}),
    ("points", {"points": np.ma.masked}),
    ("points", {"points": MagicMock()}),
    ("duration_ms", {"duration_ms": np.timedelta64(5, "ns")}),
    ("duration_ms", {"duration_ms": Decimal("Infinity")}),
    ("nodes_executed", {"nodes_executed": np.float64(4.5)}),
    ("nodes_executed", {"nodes_executed": float("nan")}),
    ("strategy_version", {"strategy_version": np.int64(2**31)}),
    ("duration_ms", {"duration_ms": float("inf")}),
    ("duration_ms", {"duration_ms": -0.1}),
    ("duration_ms", {"duration_ms": None}),
    ("strategy_version", {"strategy_version": 2**31}),
    ("strategy_version", {"strategy_version": 1.5}),
    ("strategy_version", {"strategy_version": True}),
    ("nodes_executed", {"nodes_executed": -1}),
    ("created_at", {"created_at": datetime(2026, 1, 1)}),
    ("created_at", {"created_at": "yesterday"}),
    ("sample_rate", {"sample_rate": 0.0}),
    ("sampled", {"sampled": "no"}),
    ("id", {"id": "7"}),
    ("notes", {"notes": 7}),
    ("notes", {"notes": 7, "trace": [1] * 201}),
    ("unknown_field", {"durationms": 1.0}),
    ("unknown_field", {"self_": 1.0}),
    ("case_name", {"case_name": Hostile()}),
    ("status", {"status": Hostile()}),
]


@pytest.mark.parametrize(("reason", "changes"), REFUSED)
def test_what_can_not_be_stored_is_refused_and_counted(
    reason: str, changes: dict[str, Any]
) -> None:
    recorder = ExecutionRecorder(AWAY)
    assert recorder.record(**(fields() | changes)) is None
    assert recorder.stats().rejected == {reason: 1}
    assert recorder.record(**fields()) is not None
    assert (recorder.stats().offered, recorder.stats().pending_rows) == (2, 1)
    recorder._buffer.clear("test")


def test_calls_that_are_wrong_do_not_raise() -> None:
    recorder = ExecutionRecorder(AWAY)
    assert recorder.record() is None
    assert recorder.record("loyalty", **fields()) is None
    assert recorder.record(**fields(), **{"not a name": 1}) is None  # type: ignore[arg-type]
    assert recorder.stats().rejected == {"strategy_id": 1, "unknown_field": 2}


nan = float("nan")
deep: list[Any] = []
for _ in range(250):
    deep = [deep]
circle: list[Any] = [1]
circle.append(circle)
REPAIRED: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"notes": "a\0b"}, {"notes": "a\ufffdb"}, {"text_repaired"}),
    ({"case_name": "\ud800x"}, {"case_name": "\ufffdx"}, {"text_repaired"}),
    ({"notes": "\ud83d\ude00"}, {"notes": "😀"}, {"text_repaired"}),
    ({"points": 12}, {"points": 12.0}, set()),
    ({"duration_ms": 3}, {"duration_ms": 3.0}, set()),
    ({"trace": [nan, {"a": -float("inf")}]}, {"trace": [None, {"a": None}]}, {"trace_repaired"}),
    ({"trace": ["\0", {"\0": 1}]}, {"trace": ["\ufffd", {"\ufffd": 1}]}, {"trace_repaired"}),
    ({"trace": ["\udc00"]}, {"trace": ["\ufffd"]}, {"trace_repaired"}),
    ({"trace": ["\\u0000"]}, {"trace": ["\\u0000"]}, set()),
    ({"trace": (1, 2)}, {"trace": [1, 2]}, {"trace_repaired"}),
    ({"nodes_executed": np.int64(4)}, {"nodes_executed": 4}, set()),
    ({"nodes_executed": 4.0}, {"nodes_executed": 4}, set()),
    ({"strategy_version": np.float32(7)}, {"strategy_version": 7}, set()),
    ({"duration_ms": np.float32(0.5)}, {"duration_ms": 0.5}, set()),
    ({"points": Decimal("1.5")}, {"points": 1.5}, set()),
    ({"points": Fraction(1, 4)}, {"points": 0.25}, set()),
    ({"points": np.array([2.5])}, {"points": 2.5}, set()),
    (
        {"points": np.array(2), "sample_rate": np.half(0.5)},
        {"points": 2, "sample_rate": 0.5},
        set(),
    ),
    ({"sampled": np.bool_(True)}, {"sampled": True}, set()),
    ({"strategy_id": 7, "realm_id": np.int64(8)}, {"strategy_id": "7", "realm_id": "8"}, set()),
    ({"external_user_id": UUID(int=7)}, {"external_user_id": str(UUID(int=7))}, set()),
    (
        {"external_game_id": 10**30, "external_task_id": -1, "parent_strategy_id": 0},
        {"external_game_id": f"{10**30}", "external_task_id": "-1", "parent_strategy_id": "0"},
        set(),
    ),
    ({"error_code": 404, "case_name": np.uint8(2)}, {"error_code": "404", "case_name": "2"}, set()),
    (
        {"trace": [np.float32(1.5), {"a": [np.int64(3), np.bool_(False), {np.int8(7): 1}]}]},
        {"trace": [1.5, {"a": [3, False, {"7": 1}]}]},
        set(),
    ),
    (
        {"trace": [np.float32("nan"), np.array([1, nan])]},
        {"trace": [None, [1.0, None]]},
        {"trace_repaired"},
    ),
    ({"trace": [np.eye(2), np.arange(3)]}, {"trace": [[[1.0, 0], [0, 1.0]], [0, 1, 2]]}, set()),
    ({"trace": np.array([True, False])}, {"trace": [True, False]}, set()),
    (
        {"trace": np.zeros(201, np.int8)},
        {"trace": [0] * 200, "notes": "trace truncated: 201 -> 200 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": [{"a": np.zeros(10**4), "b": np.zeros(3)}]},
        {"trace": [{"a": "<ndarray>", "b": [0.0] * 3}]},
        {"trace_repaired"},
    ),
    ({"trace": [object()]}, {"trace": ["<object>"]}, {"trace_repaired"}),
    ({"trace": [{"a": Mock()}, int]}, {"trace": [{"a": "<Mock>"}, "<type>"]}, {"trace_repaired"}),
    ({"trace": [Hostile(), 1]}, {"trace": ["<Hostile>", 1]}, {"trace_repaired"}),
    (
        {"trace": ["\0", np.float32(1.5), Decimal("1.5"), {np.int8(1): {True}}]},
        {"trace": ["\ufffd", 1.5, "1.5", {"1": [True]}]},
        {"trace_repaired"},
    ),
    (
        {"trace": [object()] + [0] * 300},
        {"trace": ["<object>"] + [0] * 199, "notes": "trace truncated: 301 -> 200 entries"},
        {"trace_cut", "trace_repaired"},
    ),
    ({"trace": [{1: 2}]}, {"trace": [{"1": 2}]}, set()),
    ({"trace": [b"\xff"]}, {"trace": ["<bytes>"]}, {"trace_repaired"}),
    ({"trace": circle}, {"trace": [1, [1, "..."]]}, {"trace_repaired"}),
    (
        {"trace": {"node": 1}},
        {"trace": None, "notes": "trace left out: it is no list of JSON values"},
        {"trace_left_out"},
    ),
    (
        {"trace": list(range(201)), "notes": "n"},
        {"trace": list(range(200)), "notes": "n; trace truncated: 201 -> 200 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": ["x" * 400, "y" * 400, "z" * 400]},
        {"trace": ["x" * 400, "y" * 400], "notes": "trace truncated: 3 -> 2 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": ["x" * 2000]},
        {"trace": [], "notes": "trace truncated: 1 -> 0 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": [nan, "\0"] + [0] * 300},
        {"trace": [None, "\ufffd"] + [0] * 198, "notes": "trace truncated: 302 -> 200 entries"},
        {"trace_cut", "trace_repaired"},
    ),
]


@pytest.mark.parametrize(("given", "expected", "altered"), REPAIRED)
async def test_what_can_be_repaired_is(
    dsn: str,
    repository: StrategyExecutionLogRepository,
    given: dict[str, Any],
    expected: dict[str, Any],
    altered: set[str],
) -> None:
    async with ExecutionRecorder(dsn, trace_bytes=1000) as recorder:
        id_ = recorder.record(**fields(**given))
        assert id_ is not None
        assert await recorder.flush()
    stored = await repository.get(id=id_)
    assert stored is not None
    assert stored == row(id=id_, created_at=stored.created_at, **expected)
    assert recorder.stats().altered == dict.fromkeys(altered, 1)
    await assert_sum(dsn, recorder.stats())


@pytest.mark.parametrize("mask", [(), ["notes"]])
@pytest.mark.parametrize(
    "unusual", [{}, {"nodes_executed": np.int64(4)}, {"notes": "a\0"}, {"case_name": 7}]
)
async def test_a_generator_in_a_trace_is_run_once(
    dsn: str, repository: StrategyExecutionLogRepository, mask: Any, unusual: dict[str, Any]
) -> None:
    async with ExecutionRecorder(dsn, mask=mask) as recorder:
        trace = [{"steps": (n for n in range(3))}]
        id_ = recorder.record(**fields(trace=trace, **unusual))
        assert id_ is not None
    stored = await repository.get(id=id_)
    assert stored is not None
    assert stored.trace == [{"steps": [0, 1, 2]}]
    assert "trace_repaired" not in recorder.stats().altered


async def test_a_trace_too_deep_to_be_read_again(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        id_ = recorder.record(**fields(trace=deep))
        assert await recorder.flush()
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert str(stored.trace).startswith("[[[[")
    assert "..." in str(stored.trace)


async def test_what_the_engine_changes_afterwards_is_not_stored(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    trace = [{"node": 1}]
    async with ExecutionRecorder(dsn) as recorder:
        id_ = recorder.record(**fields(trace=trace))
        trace[0]["node"] = 2
        trace.append({"node": 3})
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert stored.trace == [{"node": 1}]


async def test_a_mask_is_told_the_text_of_an_id(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    def hashed(user: str) -> str:
        return hashlib.sha256(user.encode()).hexdigest()

    user = uuid4()
    async with ExecutionRecorder(dsn, mask={"external_user_id": hashed}) as recorder:
        for n, one in enumerate((7, user, "7", str(user))):
            record(recorder, n, external_user_id=one)
        assert await recorder.flush()
    found = {one.external_user_id async for one in repository.stream()}
    assert found == {hashed("7"), hashed(str(user))}


async def test_masked_values_never_arrive(
    dsn: str, repository: StrategyExecutionLogRepository, pool: Pool
) -> None:
    def broken(value: object) -> str:
        raise RuntimeError(str(value))

    mask = {
        "external_user_id": lambda user: f"user-{len(user)}",
        "notes": broken,
        "trace/*/input/card": None,
        "trace/*/input/name": "***",
    }
    secret = "4111-1111"
    trace = [{"node": 1, "input": {"card": secret, "name": secret, "ok": 1}}, {"input": secret}]
    async with ExecutionRecorder(dsn, mask=mask) as recorder:
        id_ = recorder.record(**fields(external_user_id=secret, notes=secret, trace=trace))
        assert recorder.record(**fields(trace=[{"input": {"card": secret}}] * 201)) is not None
        assert recorder.record(**fields(points="x", notes=secret)) is None
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert stored.external_user_id == "user-9"
    assert stored.notes is None
    assert stored.trace == [{"node": 1, "input": {"name": "***", "ok": 1}}, {"input": None}]
    assert trace[0]["input"]["card"] == secret  # type: ignore[index]
    assert not await pool.fetchval(
        f"select bool_or(log::text like '%' || $1 || '%') from {TABLE} as log", secret
    )


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("bound", ["rows", "bytes"])
async def test_which_executions_give_way(dsn: str, pool: Pool, policy: Any, bound: str) -> None:
    size = len(row_line()) + 48
    limits: dict[str, Any] = {"max_rows": 10} if bound == "rows" else {"max_bytes": size * 10 + 5}
    recorder = ExecutionRecorder(dsn, policy=policy, **limits)
    first = [recorder.record(**fields(notes=f"{n:02}")) for n in range(12)]
    # A failure takes the place of an ok run; another ok run does not take that of a failure.
    failed = [recorder.record(**fields(notes=f"{n:02}", status="no")) for n in range(20, 33)]
    assert recorder.record(**fields(notes="40")) is None
    stats = recorder.stats()
    assert (stats.offered, stats.pending_rows, stats.dropped) == (26, 10, {"full": 16})
    assert [n for n, id_ in enumerate(first) if id_ is None] == (
        [10, 11] if policy == "drop_newest" else []
    )
    assert [n for n, id_ in enumerate(failed) if id_ is None] == (
        [10, 11, 12] if policy == "drop_newest" else []
    )
    async with recorder:
        assert await recorder.flush()
    stored = await pool.fetch(f"select notes from {TABLE} order by id")
    expected = range(20, 30) if policy == "drop_newest" else range(23, 33)
    assert [r["notes"] for r in stored] == [str(n) for n in expected]
    await assert_sum(dsn, recorder.stats())


def row_line() -> bytes:
    recorder = ExecutionRecorder(AWAY)
    recorder.record(**fields(notes="00"))
    batch = recorder._buffer.take(full=False)
    assert batch is not None
    recorder._buffer.settle(batch.ok, last=True)
    return batch.ok[0]


async def test_an_execution_larger_than_the_buffer_is_refused() -> None:
    recorder = ExecutionRecorder(AWAY, max_bytes=2000)
    assert recorder.record(**fields(notes="x" * 2000)) is None
    assert recorder.stats().rejected == {"too_large": 1}


def test_by_default_bytes_are_the_bound() -> None:
    recorder = ExecutionRecorder(AWAY)
    row = b"x" * 300
    while recorder._add(row, False)[0]:
        pass
    stats = recorder.stats()
    assert stats.pending_rows > 100_000
    assert 64 * 2**20 - 400 < stats.pending_bytes <= 64 * 2**20
    assert stats.dropped == {"full": 1}
    recorder._buffer.clear("test")


async def test_before_start_after_close_and_twice(dsn: str) -> None:
    recorder = ExecutionRecorder(dsn)
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
    recorder = ExecutionRecorder(AWAY)
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

    recorder = ExecutionRecorder(AWAY, maintenance=maintenance)
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
    recorder = ExecutionRecorder(postgres.dsn.replace("/postgres?", "/nowhere?"))

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


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("nonsense", "target: is not a connection string"),
        (7, "target: must be a DSN or a Pool"),
    ],
)
def test_a_target_that_is_none(target: Any, says: str) -> None:
    with pytest.raises(InvalidArgument, match=says):
        ExecutionRecorder(target)


def test_a_password_that_is_not_encoded() -> None:
    with pytest.raises(InvalidArgument, match="target: is not a connection string") as caught:
        ExecutionRecorder("postgresql://user:s3c/ret@localhost/db")
    assert "s3c" not in str(caught.value)


async def test_a_file_of_the_connection_string_that_is_not_there_yet(tmp_path: Path) -> None:
    """Certificates are changed by others: what is missing now may be there in a minute."""
    missing = f"sslmode=verify-ca&sslrootcert={tmp_path}/s3cret"
    async with ExecutionRecorder(f"postgresql://user@localhost/db?{missing}") as recorder:
        record(recorder, 1)
        await until(lambda: recorder.stats().retries > 0)
        stats = recorder.stats()
        assert (stats.alive, stats.pending_rows, stats.dropped) == (True, 1, {})
        assert "s3cret" not in str(stats.last_error)
        await recorder.aclose(timeout=0.1)


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("sample_rate", [0, 1.1, -1, True, "1", float("nan")]),
        ("trace_limit", [-1, 1.5, True, None]),
        ("trace_bytes", [1, "2"]),
        ("max_rows", [0, 1.5]),
        ("max_bytes", [0, None]),
        ("batch_rows", [0, "5"]),
        ("linger", [0, -1, "1"]),
        ("timeout", [0, float("inf")]),
        ("policy", ["drop", None]),
        ("on_reject", [7, asyncio.sleep]),
        ("mask", ["notes", "", 0, False, ["strategy_id"], {"trace/x": object()}]),
        ("seed", [1.5, "x"]),
    ],
)
def test_arguments(argument: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(InvalidArgument) as caught:
            ExecutionRecorder(AWAY, **{argument: value})
        assert caught.value.argument == argument


@pytest.mark.parametrize("bad", [0, -1, True, "1", None])
async def test_timeouts(bad: Any) -> None:
    recorder = ExecutionRecorder(AWAY)
    for call in (recorder.flush, recorder.aclose):
        with pytest.raises(InvalidArgument, match="timeout"):
            await call(timeout=bad)


async def test_no_secret_in_what_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with ExecutionRecorder(AWAY) as recorder:
            record(recorder, 1, notes="s3cret")
            recorder.record(**fields(), **{"s3cret\nline": 1})  # type: ignore[arg-type]
            recorder.record(**fields(id="s3cret"))
            recorder.record(**fields(points="s3cret"))
            recorder.record(**fields(status=Hostile()))
            await recorder.flush(timeout=0.3)
            recorder._reporter.report()
            said = f"{recorder!r} {recorder.stats()}"
            await recorder.aclose(timeout=0.1)
    assert "can't store, 1 executions wait: record: the server can't be reached" in caplog.text
    assert "points: should be a valid number" in caplog.text
    assert "dropped executions: 1 closed" in caplog.text
    assert "s3cret" not in caplog.text + said


async def test_one_line_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    recorder = ExecutionRecorder(AWAY, max_rows=10)
    with caplog.at_level(logging.INFO, "execlog.recorder"):
        for _ in range(50):
            for n in range(5):
                record(recorder, n)
            recorder.record(**fields(points="x"))
            recorder._reporter.report()
        assert [r.levelname for r in caplog.records] == ["WARNING"] * 3
        assert "refused executions: 1 points (points: should be a valid number)" in caplog.text
        assert "the buffer is at least 80 % full: 10 executions" in caplog.text
        caplog.clear()
        recorder._reporter._said_at.clear()  # a minute later
        recorder._reporter.report()
        assert "refused executions: 49 points" in caplog.text
        assert "dropped executions: " in caplog.text


async def test_a_log_handler_that_records(dsn: str) -> None:
    """An engine may keep its warnings as executions; ours must not feed on themselves."""
    async with ExecutionRecorder(dsn, max_rows=5) as recorder:

        class Recording(logging.Handler):
            def emit(self, _: logging.LogRecord) -> None:
                recorder.record(**fields())

        handler = Recording()
        logging.getLogger("execlog").addHandler(handler)
        try:
            for n in range(10):
                record(recorder, n)
            for _ in range(20):
                recorder._reporter.report()
        finally:
            logging.getLogger("execlog").removeHandler(handler)
        assert recorder.stats().offered <= 13
        assert await recorder.flush()


async def test_what_the_hook_raises_is_said_and_no_more(
    dsn: str, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    def hook(_: object) -> None:
        raise RuntimeError("s3cret")

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
        for notes in ("a", "poison", "b"):
            recorder.record(**fields(notes=notes))
        assert await recorder.flush()
    assert recorder.stats().written == 2
    assert caplog.text.count("on_reject failed 1 times: RuntimeError") == 1
    assert "s3cret" not in caplog.text


async def test_the_same_id_twice_is_refused_by_the_store(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        for _ in range(3):
            recorder.record(**row(created_at=T0, id=row().id).model_dump())
        twice = row(created_at=T0).model_dump()
        recorder.record(**twice)
        recorder.record(**twice)
        assert await recorder.flush()
    assert recorder.stats().rejected == {"refused_by_store": 1}
    assert recorder.stats().written == 4
    await assert_sum(dsn, recorder.stats())


async def test_recorders_of_long_ago_are_forgotten(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "insert into execlog.recorder_progress (recorder_id, batch, stored_at)"
        " select gen_random_uuid(), 1, now() - days * interval '1 day'"
        " from unnest(array[0, 29, 31, 400]) as days"
    )
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        three = "select count(*) = 3 from execlog.recorder_progress"
        await until(lambda: pool.fetchval(three))
    ages = await pool.fetch(
        "select extract(day from now() - stored_at)::integer as days"
        " from execlog.recorder_progress order by 1"
    )
    assert [r["days"] for r in ages] == [0, 0, 29]


async def test_many_recorders_at_once(dsn: str) -> None:
    recorders = [ExecutionRecorder(dsn, linger=0.01) for _ in range(8)]
    for recorder in recorders:
        await recorder.start()
    for n in range(2000):
        record(recorders[n % 8], n)
        if n % 100 == 0:
            await asyncio.sleep(0.005)
    closed = await asyncio.gather(*(recorder.aclose() for recorder in recorders))
    assert [stats.written for stats in closed] == [250] * 8
    both = closed[0].model_copy(update={"written": 2000, "offered": 2000})
    await assert_sum(dsn, both)


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
    assert done.stderr == "1 executions are lost with this process: aclose() was not called\n"


async def test_the_stats_dump_as_every_answer_does(dsn: str) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        record(recorder, 0)
        await recorder.flush()
        dumped = recorder.stats().model_dump(by_alias=True, mode="json")
    assert dumped.pop("secondsSinceSuccess") >= 0
    assert dumped == {
        "offered": 1,
        "sampledOut": 0,
        "rejected": {},
        "dropped": {},
        "altered": {},
        "written": 1,
        "pendingRows": 0,
        "pendingBytes": 0,
        "batches": 1,
        "retries": 0,
        "lastError": None,
        "alive": True,
    }


async def test_a_name_for_the_strategy_that_is_an_enum(dsn: str, pool: Pool) -> None:
    from tests.db.test_bad_input import Named

    async with ExecutionRecorder(dsn) as recorder:
        assert recorder.record(**fields(strategy_id=Named.LOYALTY)) is not None
    assert await pool.fetchval(f"select strategy_id from {TABLE}") == STRATEGY


async def test_migrate_while_it_records(dsn: str, pool: Pool) -> None:
    async with ExecutionRecorder(dsn, linger=0.01) as recorder:
        for n in range(20):
            record(recorder, n)
            await execlog.migrate(dsn)
            await pool.execute(f"alter table {TABLE} add column extra_{n} integer")
            await asyncio.sleep(0.01)
        assert await recorder.flush()
    assert recorder.stats().written == 20
    await assert_sum(dsn, recorder.stats())


async def test_an_error_before_the_rows_were_sent_blames_none_of_them(dsn: str) -> None:
    """22023, invalid parameter value, is of a class that blames rows; here it is the connection."""
    odd = f"{dsn}{'&' if '?' in dsn else '?'}TimeZone=nowhere"
    async with ExecutionRecorder(odd) as recorder:
        for n in range(10):
            record(recorder, n)
        await until(lambda: recorder.stats().retries > 0)
        assert not await recorder.flush(timeout=0.1)
        stats = recorder.stats()
        assert (stats.pending_rows, stats.rejected) == (10, {})
        await recorder.aclose(timeout=0.1)


async def test_a_flush_during_a_close_waits_like_the_close() -> None:
    recorder = ExecutionRecorder(AWAY)
    await recorder.start()
    record(recorder, 1)
    closing = asyncio.create_task(recorder.aclose(timeout=1.5))
    await asyncio.sleep(0.1)
    assert not await recorder.flush(timeout=0.1)
    await closing
    assert await recorder.flush(timeout=0.1)


async def test_a_log_filter_that_raises(dsn: str, pool: Pool) -> None:
    def raising(_: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    def hook(_: object) -> None:
        raise RuntimeError

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    logger = logging.getLogger("execlog.recorder")
    logger.addFilter(raising)
    try:
        async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
            for notes in ("a", "poison", "b"):
                recorder.record(**fields(notes=notes))
            assert await recorder.flush()
            assert recorder.stats().alive
            stats = await recorder.aclose()
    finally:
        logger.removeFilter(raising)
    assert (stats.written, stats.rejected) == (2, {"refused_by_store": 1})


async def test_it_stores_again_is_said_when_it_does(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "execlog.recorder"):
        async with ExecutionRecorder(AWAY) as recorder:
            record(recorder, 1)
            await recorder.flush(timeout=0.3)
            recorder._reporter.report()
            recorder._reporter.report()
            assert "can't store" in caplog.text
            assert "stores again" not in caplog.text
            recorder._delivery.failing = False
            recorder._reporter.report()
            recorder._reporter.report()
            await recorder.aclose(timeout=0.1)
    assert caplog.text.count("stores again") == 1


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


def test_deep_in_the_stack_it_counts_and_does_not_raise() -> None:
    recorder = ExecutionRecorder(AWAY)
    recorder.record(**fields())  # what is made once is made now

    def descend() -> int:
        try:
            deeper = descend()
        except RecursionError:
            deeper = 0
        if 0 <= deeper < 60:  # the last sixty levels, one after the other
            recorder.record(**fields())
        return deeper + 1

    calls = min(descend(), 60)
    stats = recorder.stats()
    assert balanced(stats)
    assert calls <= stats.offered - 1 <= calls + 1
    recorder._buffer.clear("test")


def test_graphs_without_end_take_no_time_without_end() -> None:
    nodes: list[dict[str, Any]] = [{"n": n} for n in range(40)]
    for n, node in enumerate(nodes):
        node["next"] = [nodes[(n * k + k) % 40] for k in (3, 7, 11)]
    recorder = ExecutionRecorder(AWAY)
    begin = time.monotonic()
    assert recorder.record(**fields(trace=nodes)) is not None
    # Many entries beside a text that wants care: only the head is looked at.
    assert recorder.record(**fields(trace=[{"x": "y" * 1000}] * 100_000, notes="a\0")) is not None
    assert time.monotonic() - begin < 3
    assert recorder.stats().altered["trace_cut"] == 1
    recorder._buffer.clear("test")


class Falsy(str):
    """Holds what COPY takes for its own, and says that it is nothing."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class Unequal(str):
    """Answers a comparison with what is no bool."""

    __slots__ = ()

    def __eq__(self, other: object) -> Any:
        return Hostile()

    __hash__ = str.__hash__


class Panicking:
    """A trace entry that changes the dict that holds it while that is written."""

    def __init__(self) -> None:
        self.entry: dict[str, Any] = {"a": self.steps(), "b": 1, "c": 2}

    def steps(self) -> Any:
        for n in range(100):
            self.entry[f"k{n}"] = n
            yield n


async def test_texts_and_traces_that_lie(dsn: str, pool: Pool) -> None:
    evil = Falsy("x\n" + "\t".join(["spoofed"] * 20))
    async with ExecutionRecorder(dsn) as recorder:
        for name in ("notes", "realm_id", "external_user_id", "parent_strategy_id"):
            assert recorder.record(**fields(**{name: evil})) is not None
        recorder.record(**fields(status=Unequal("ok")))
        recorder.record(**fields(trace=[Panicking().entry]))
        assert balanced(recorder.stats())
        assert await recorder.flush()
    assert balanced(recorder.stats())
    assert recorder.stats().offered == 6
    assert await pool.fetchval(f"select count(*) from {TABLE} where strategy_id <> 'loyalty'") == 0
    await assert_sum(dsn, recorder.stats())


async def test_rows_that_a_trigger_swallows_do_not_count_as_written(dsn: str, pool: Pool) -> None:
    await pool.execute(
        "create function execlog.swallow() returns trigger language plpgsql as $$ begin"
        " if new.notes = 'poison' then return null; end if; return new; end $$"
    )
    await pool.execute(
        f"create trigger swallow before insert on {TABLE}"
        " for each row execute function execlog.swallow()"
    )
    async with ExecutionRecorder(dsn) as recorder:
        for n in range(10):
            recorder.record(**fields(notes="poison" if n % 2 else "a"))
        assert await recorder.flush()
    assert recorder.stats().rejected == {"swallowed_by_store": 5}
    await assert_sum(dsn, recorder.stats())


async def test_a_hook_that_raises_a_cancellation_cancels_nobody(dsn: str, pool: Pool) -> None:
    def hook(_: object) -> None:
        raise asyncio.CancelledError

    await pool.execute(f"alter table {TABLE} add constraint odd check (notes <> 'poison')")
    async with ExecutionRecorder(dsn, on_reject=hook) as recorder:
        for n in range(20):
            recorder.record(**fields(notes="poison" if n == 3 else "a"))
        assert await recorder.flush(timeout=5)
    assert recorder.stats().written == 19


async def test_the_second_close_has_a_limit_of_its_own() -> None:
    recorder = ExecutionRecorder(AWAY)
    record(recorder, 1)
    first = asyncio.create_task(recorder.aclose(timeout=1.5))
    await asyncio.sleep(0.05)
    begin = time.monotonic()
    await recorder.aclose(timeout=0.1)
    assert time.monotonic() - begin < 1
    assert (await first).dropped == {"closed": 1}


def test_a_loop_that_dies_while_it_closes(dsn: str) -> None:
    recorder = ExecutionRecorder(AWAY)
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
