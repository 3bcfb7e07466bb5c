"""What is sampled out, and what gives way in a full buffer, follows a rule and is counted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from execlog import ExecutionRecorder
from tests.databases import TABLE
from tests.recording import AWAY, assert_sum, unstarted
from tests.rows import fields
from tests.types import Pool


async def test_sampling_keeps_failures_and_says_at_which_rate(dsn: str, pool: Pool) -> None:
    def run(seed: int) -> list[bool]:
        recorder = unstarted(dsn, sample_rate=0.05, seed=seed)
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


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("bound", ["rows", "bytes"])
async def test_which_executions_give_way(dsn: str, pool: Pool, policy: Any, bound: str) -> None:
    size = len(row_line()) + 48
    limits: dict[str, Any] = {"max_rows": 10} if bound == "rows" else {"max_bytes": size * 10 + 5}
    recorder = unstarted(dsn, policy=policy, **limits)
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
    recorder = unstarted(AWAY)
    recorder.record(**fields(notes="00"))
    batch = recorder._buffer.take(full=False)
    assert batch is not None
    recorder._buffer.settle(batch.ok, last=True)
    return batch.ok[0]


async def test_an_execution_larger_than_the_buffer_is_refused() -> None:
    recorder = unstarted(AWAY, max_bytes=2000)
    assert recorder.record(**fields(notes="x" * 2000)) is None
    assert recorder.stats().rejected == {"too_large": 1}


def test_by_default_bytes_are_the_bound() -> None:
    recorder = unstarted(AWAY)
    row = b"x" * 300
    while recorder._add(row, False)[0]:
        pass
    stats = recorder.stats()
    assert stats.pending_rows > 100_000
    assert 64 * 2**20 - 400 < stats.pending_bytes <= 64 * 2**20
    assert stats.dropped == {"full": 1}
    recorder._buffer.clear("test")
