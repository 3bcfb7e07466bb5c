"""Which role may have rows moved out, erase them from files, restore them, or look at the files."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.db.sqltext import quoted
from tests.databases import send
from tests.db.test_roles import DAY, login, prefix
from tests.rows import row
from tests.types import Pool

__all__ = ["prefix"]


async def test_who_could_store_before_may_ask_which_files_there_are(
    empty_dsn: str, prefix: str
) -> None:
    """After an upgrade, without `roles`; others may not."""
    stores, looks, other = (f"{prefix}_{one}" for one in ("stores", "looks", "other"))
    connection = await asyncpg.connect(empty_dsn)
    await send(connection, execlog.dump_migrations(until="0020_archive"))
    for name in (stores, looks, other):
        await connection.execute(f"create role {quoted(name)}")
    await connection.execute(f"grant usage on schema execlog to {quoted(other)}")
    await connection.execute(f"grant insert on execlog.strategy_execution_log to {quoted(stores)}")
    await connection.execute(f"grant select on execlog.archived_file to {quoted(looks)}")
    await send(connection, execlog.dump_migrations(after="0020_archive"))
    sql = "select has_function_privilege($1::name, 'execlog.archived_on(date[])', 'execute')"
    may = [await connection.fetchval(sql, one) for one in (stores, looks, other)]
    for name in (stores, looks, other):
        await connection.execute(f"drop owned by {quoted(name)}")
    await connection.close()
    assert may == [True, True, False]


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
