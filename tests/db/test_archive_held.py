"""A read that waits for a step which removes rows answers from what is there after it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from execlog import StrategyExecutionLogRepository
from execlog.admin.lease import Lease
from tests.archiving import archived, ids, in_files, with_partitions
from tests.maintaining import DAY, day
from tests.types import Pool

Log = StrategyExecutionLogRepository
_WAITING = "select count(*) from pg_locks where not granted and mode = 'AccessShareLock'"


@pytest.mark.parametrize(
    "kept", [{}, pytest.param({"retain_failures": 30 * DAY}, marks=pytest.mark.long)]
)
async def test_a_read_that_waits_for_a_step(
    pool: Pool, repository: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Any
) -> None:
    """Its files and its rows are of one snapshot; but a partition that left is in none."""
    rows = [day(20), day(20), day(20, status="error")]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    log = Log(pool, archive=tmp_path / "archive")
    sending, reads = Lease.send, list[Any]()

    async def streamed() -> int:
        return len([one async for one in log.stream()])

    async def send(self: Lease, parts: Sequence[str], *others: Any, **named: Any) -> None:
        if "lock_log" in parts:
            after = list(parts).index("lock_log") + 1
            await sending(self, parts[:after], *others, **named)
            reads.extend(map(asyncio.ensure_future, (log.count_executions(), streamed())))
            while await pool.fetchval(_WAITING) < len(reads):  # noqa: ASYNC110 - nothing tells when
                await asyncio.sleep(0.01)
            parts = parts[after:]
        await sending(self, parts, *others, **named)

    monkeypatch.setattr(Lease, "send", send)
    await archived(pool, tmp_path / "archive", **kept)
    assert await asyncio.gather(*reads) == [3, 3]
    assert in_files(tmp_path / "archive") == ids(*rows)
