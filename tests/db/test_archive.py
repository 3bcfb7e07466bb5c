"""Old rows go into verified files of the archive before they go from the log, each of them once."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository, maintain
from tests.databases import TABLE
from tests.maintaining import DAY, day, run_out
from tests.types import Pool

WANTED: dict[str, Any] = {"interval": "day", "ahead": 1, "retain": 10 * DAY}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def archived(pool: Pool, folder: Path, **changes: Any) -> list[str]:
    """The steps of a run with the archive, all of them done."""
    steps = await maintain(pool, **{**WANTED, "archive": folder, **changes})
    assert {step.outcome for step in steps} <= {"done"}, [str(step) for step in steps]
    return [f"{step.action} {step.partition.removeprefix(f'{TABLE}_')}" for step in steps]


def files_of(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.glob("**/*.parquet"))


def in_files(folder: Path) -> list[UUID]:
    """The ids that a reader of the folder finds, duplicates included."""
    if not files_of(folder):
        return []
    with duckdb.connect() as reader:
        found = reader.execute(
            "select id from read_parquet($1, hive_partitioning = true)",
            [f"{folder}/strategy_execution_log/*/*.parquet"],
        ).fetchall()
    return sorted(one for [one] in found)


async def in_log(pool: Pool) -> list[UUID]:
    return sorted(UUID(str(one["id"])) for one in await pool.fetch(f"select id from {TABLE}"))


async def aged(
    pool: Pool, log: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> None:
    """The rows lie in partitions of their days."""
    await run_out(pool)
    for ago in sorted(
        {(datetime.now(UTC) - one.created_at).days for one in rows if one.created_at}
    ):
        begin = (datetime.now(UTC) - ago * DAY).replace(hour=0, minute=0, second=0, microsecond=0)
        await pool.execute(
            f"create table if not exists {TABLE}_{begin:%Y%m%d} partition of {TABLE}"
            f" for values from ('{begin}') to ('{begin + DAY}')"
        )
    await log.insert_rows(rows)


async def test_a_partition_moves_out(
    pool: Pool, repository: StrategyExecutionLogRepository, folder: Path
) -> None:
    rows = [day(20), day(20, status="error"), day(21), day(0)]
    await aged(pool, repository, rows)
    steps = await archived(pool, folder)
    assert sum(step.startswith("drop") for step in steps) == 2
    assert files_of(folder) == sorted(
        f"strategy_execution_log/day={datetime.now(UTC) - ago * DAY:%Y-%m-%d}/part-0001.parquet"
        for ago in (20, 21)
    )
    assert in_files(folder) == sorted(one.id for one in rows[:3])
    assert await in_log(pool) == [rows[3].id]
    assert not list((folder / "unfinished").glob("*"))
