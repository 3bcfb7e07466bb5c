"""What the tests of the archive share: old rows in partitions of their days, and who holds them."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any
from unittest import mock
from uuid import UUID

import duckdb

from execlog import (
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    erase_archived,
    maintain,
)
from execlog.admin.lease import Lease
from execlog.archive.engine import Engine
from tests.databases import TABLE
from tests.maintaining import DAY, run_out
from tests.types import Pool

WANTED: dict[str, Any] = {"interval": "day", "ahead": 1, "retain": 10 * DAY}
Work = Callable[[str, str], Coroutine[Any, Any, None]]
_NAMES = "strategy_execution_log_"
_LISTED = (
    "select path, rows, ok_rows, in_log::text, failures_in_log::text"
    " from execlog.archived_file order by path"
)


async def archived(pool: Pool, folder: Path | None, **changes: Any) -> list[str]:
    """The steps of a run with the archive, all of them done."""
    steps = await maintain(pool, **{**WANTED, "archive": folder, **changes})
    assert {step.outcome for step in steps} <= {"done"}, [str(step) for step in steps]
    return [f"{step.action} {step.partition.removeprefix(_NAMES)}" for step in steps]


async def problems(pool: Pool, folder: Path | None, **changes: Any) -> list[str]:
    """The problems of the steps of a run that would remove rows."""
    steps = await maintain(pool, **{**WANTED, "archive": folder, **changes})
    removing = [step for step in steps if step.action in ("drop", "thin", "purge")]
    assert removing, steps
    return sorted({f"{step.outcome}: {step.problem}" for step in removing})


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


def users_in(folder: Path) -> list[str]:
    """The users that a reader of the folder finds."""
    with duckdb.connect() as reader:
        found = reader.execute(
            "select external_user_id from read_parquet($1) where external_user_id is not null",
            [f"{folder}/strategy_execution_log/*/*.parquet"],
        ).fetchall()
    return sorted(one for [one] in found)


def modes_of(folder: Path) -> dict[str, set[int]]:
    """The rights of files, and of folders."""
    found: dict[str, set[int]] = {"files": set(), "folders": set()}
    for one in [folder, *folder.rglob("*")]:
        found["folders" if one.is_dir() else "files"].add(one.stat().st_mode & 0o777)
    return found


def flip(file: Path) -> None:
    """Changes one bit of a file."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def move(file: Path, to: Path) -> None:
    """Moves a file or a folder."""
    file.rename(to)


async def in_log(pool: Pool) -> list[UUID]:
    return sorted(UUID(str(one["id"])) for one in await pool.fetch(f"select id from {TABLE}"))


async def listed(pool: Pool) -> list[tuple[Any, ...]]:
    """The entries: path, rows, ok rows, and what the log holds of them too."""
    return [tuple(one) for one in await pool.fetch(_LISTED)]


async def with_partitions(pool: Pool, *ago: int) -> None:
    """A log whose only partitions are those of days that are so long ago."""
    await run_out(pool)
    for days in ago:
        begin = midnight(days)
        await pool.execute(
            f"create table {TABLE}_{begin:%Y%m%d} partition of {TABLE}"
            f" for values from ('{begin}') to ('{begin + DAY}')"
        )


def midnight(ago: int) -> datetime:
    return (datetime.now(UTC) - ago * DAY).replace(hour=0, minute=0, second=0, microsecond=0)


def path(ago: int, part: int = 1) -> str:
    return f"strategy_execution_log/day={midnight(ago):%Y-%m-%d}/part-{part:04}.parquet"


def ids(*rows: StrategyExecutionLog) -> list[UUID]:
    return sorted(one.id for one in rows)


async def stored(log: StrategyExecutionLogRepository) -> dict[UUID, StrategyExecutionLog]:
    return {one.id: one async for one in log.stream()}


async def let_go(pool: Pool) -> None:
    """A process that is gone keeps its lease for a minute; its backend ends by itself."""
    others = "select count(*) from pg_locks where mode = 'AccessExclusiveLock'"
    while await pool.fetchval(others):  # noqa: ASYNC110 - nothing tells when
        await asyncio.sleep(0.02)
    await pool.execute("update execlog.maintenance set held_until = now() - interval '1 second'")


def killing() -> ForkServerContext:
    """Where processes begin that are to be killed: all is imported there already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.archiving", "duckdb"])
    return context


def die_at(work: Work, dsn: str, folder: str, at: int | str) -> None:
    """Works, and kills this process at the nth thing that it does, or at a named one."""
    passed = 0

    def place(*names: str) -> None:
        nonlocal passed
        passed += 1
        if passed == at or at in names:
            os.kill(os.getpid(), signal.SIGKILL)

    sending, asking, linking = Lease.send, Engine.sent, os.link
    unlinking = Path.unlink

    async def send(self: Lease, parts: Sequence[str], *others: Any, **named: Any) -> None:
        place(*parts)
        await sending(self, parts, *others, **named)

    async def ask(self: Engine, name: str, *others: Any, **named: Any) -> dict[str, Any]:
        place(name)
        return await asking(self, name, *others, **named)

    def link(*words: Any) -> None:
        place("link")
        linking(*words)
        place("linked")

    def unlink(self: Path, **named: Any) -> None:
        place("unlink")
        unlinking(self, **named)

    with (
        mock.patch.object(Lease, "send", send),
        mock.patch.object(Engine, "sent", ask),
        mock.patch.object(os, "link", link),
        mock.patch.object(Path, "unlink", unlink),
    ):
        asyncio.run(work(dsn, folder))


async def moving_out(dsn: str, folder: str) -> None:
    await maintain(dsn, **WANTED, retain_failures=30 * DAY, archive=folder)


async def erasing(dsn: str, folder: str) -> None:
    found = erase_archived(dsn, archive=folder, external_user_id="u")
    assert [one async for one in found]
