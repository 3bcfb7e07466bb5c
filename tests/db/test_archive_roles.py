"""Which role may have rows moved out, erase them from files, restore them, or look at the files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from tests.db.test_roles import DAY, login, prefix
from tests.rows import row
from tests.types import Pool

__all__ = ["prefix"]


async def test_the_archive_is_the_owners_and_the_readers_to_look_at(
    dsn: str, pool: Pool, prefix: str, tmp_path: Path
) -> None:
    rows = [row(created_at=datetime.now(UTC) - 60 * DAY, external_user_id="u") for _ in range(3)]
    await StrategyExecutionLogRepository(pool).insert_rows(rows)
    await pool.execute(execlog.dump_roles(prefix=prefix))
    own = execlog.dump_realm_reader(realm_id="acme", role=f"{prefix}_acme", prefix=prefix)
    await pool.execute(own)
    owner, reader, writer, tenant = [
        await login(pool, dsn, f"{prefix}_{one}") for one in ("owner", "reader", "writer", "acme")
    ]
    folder = tmp_path / "archive"
    steps = await execlog.maintain(owner, interval="day", retain=30 * DAY, archive=folder)
    assert {step.outcome for step in steps} == {"done"}
    assert [one.rows for one in await execlog.archived_files(reader)] == [3]
    asked: dict[str, Any] = {"archive": folder, "external_user_id": "u"}
    found = [one async for one in execlog.erase_archived(reader, only_count=True, **asked)]
    assert [one.executions for one in found] == [3]
    assert [one async for one in execlog.verify_archive(reader, archive=folder)] == []
    for role in (writer, tenant):
        with pytest.raises(execlog.QueryRejected):
            await execlog.archived_files(role)
    for role in (writer, tenant, reader):
        with pytest.raises(execlog.ExeclogError):
            _ = [one async for one in execlog.restore_archive(role, archive=folder)]
    found = [one async for one in execlog.erase_archived(owner, **asked)]
    assert [one.executions for one in found] == [3]
    done = [one async for one in execlog.restore_archive(owner, archive=folder)]
    assert [one.restored for one in done] == [3]
