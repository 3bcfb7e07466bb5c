"""What the tests of maintenance share: a policy, rows by their age, the log's partitions."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog import MaintenanceStep, StrategyExecutionLog
from execlog.admin import caretaker
from execlog.admin.lease import Lease
from execlog.admin.session import Session
from tests.databases import TABLE
from tests.rows import row
from tests.types import Pool

DAY = timedelta(days=1)
DEFAULT = f"{TABLE}_default"
KEPT: dict[str, Any] = {"interval": "day", "retain": 10 * DAY, "retain_failures": 30 * DAY}


def told(steps: list[MaintenanceStep]) -> Counter[str]:
    return Counter(f"{step.action} {step.outcome}" for step in steps)


def day(ago: int, **changes: Any) -> StrategyExecutionLog:
    return row(created_at=datetime.now(UTC) - ago * DAY, **changes)


async def partitions(pool: Pool) -> list[str]:
    found = await pool.fetch(
        "select inhrelid::regclass::text as name from pg_inherits"
        f" where inhparent = '{TABLE}'::regclass order by 1"
    )
    return [record["name"].removeprefix(f"{TABLE}_") for record in found]


async def run_out(pool: Pool) -> None:
    """A log whose partitions have come to their end: all goes into DEFAULT."""
    for name in await partitions(pool):
        if name != "default":
            await pool.execute(f"drop table {TABLE}_{name}")


@contextlib.asynccontextmanager
async def held(pool: Pool) -> AsyncIterator[tuple[Lease, caretaker.Caretaker]]:
    """The lease is ours inside the block."""
    async with Session(pool) as session:
        lease = Lease(session, "execlog")
        await lease.look()
        assert (await lease.take()).is_ours
        yield lease, caretaker.Caretaker(lease)
        await lease.release(completed=False, left=None)
