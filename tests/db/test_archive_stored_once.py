"""Imports and spools store no row that a file of the archive holds already."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import execlog
from execlog import (
    ArchiveError,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    archived_files,
    erase_archived,
    maintain,
    restore_archive,
    verify_rollups,
)
from execlog.archive.files import Files
from tests.archiving import (
    WANTED,
    archived,
    files_of,
    ids,
    in_files,
    in_log,
    midnight,
    path,
    with_partitions,
)
from tests.command import run
from tests.databases import TABLE
from tests.db.test_roles import login, prefix
from tests.maintaining import DAY, day
from tests.rows import row
from tests.types import Pool

__all__ = ["prefix"]

Log = StrategyExecutionLogRepository


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def exported(file: Path, rows: Sequence[StrategyExecutionLog]) -> Path:
    """A file of rows, as they are exported."""
    file.write_text("".join(f"{one.model_dump_json(by_alias=True)}\n" for one in rows))
    return file


def imported(dsn: str, *words: str, **environment: str) -> tuple[int, list[str]]:
    done = run("import", *words, EXECLOG_DSN=dsn, **environment)
    return done.returncode, done.stderr.replace("execlog: ", "").splitlines()


async def test_what_files_hold_is_not_stored_again(
    pool: Pool, repository: Log, folder: Path
) -> None:
    rows = [day(20), day(20), day(20, status="error"), day(21), row(created_at=None)]
    await with_partitions(pool, 20, 21)
    await repository.insert_rows(rows)
    await archived(pool, folder, retain_failures=30 * DAY)
    begin = midnight(20)
    others = [
        day(20),
        row(created_at=begin),
        row(id=rows[0].id, created_at=begin + timedelta(hours=13)),  # another time
        row(id=rows[0].id, created_at=rows[0].created_at, strategy_id="other"),
        day(1),
    ]
    with pytest.raises(ArchiveError, match=f"^insert_missing: 2 files in {folder} on .* may hold"):
        await repository.insert_missing([*rows, *others])
    assert await in_log(pool) == ids(rows[2], rows[4])
    # Rows of other times need no folder, and none is looked for.
    assert await repository.insert_missing([rows[4], others[4]]) == 1
    log = Log(pool, archive=folder)
    assert await log.insert_missing([*rows, *others]) == 4
    assert await log.insert_missing([*rows, *others]) == 0
    assert await in_log(pool) == ids(rows[2], rows[4], *others)
    assert await log.count_executions() == 10
    assert [one.restored async for one in restore_archive(pool, archive=folder)] == [1, 2]
    assert await in_log(pool) == ids(*rows, *others)
    # The log has them: nothing is asked of files.
    assert await repository.insert_missing([*rows, *others]) == 0
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows[:4], *others[:4])
    assert await in_log(pool) == ids(rows[4], others[4])
    assert [one async for one in verify_rollups(pool)] == []


@pytest.mark.parametrize("has_folder", [True, False])
async def test_what_leaves_while_it_is_stored(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch, has_folder: bool
) -> None:
    """The log has the rows when it is asked first, and not when they are to be stored."""
    rows = [day(20), day(20)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)

    async def fails(*_: Any, **__: Any) -> None:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr("execlog.admin.caretaker.Caretaker._carry_out", fails)
        await maintain(pool, **WANTED, archive=folder)
    assert [one.rows_in_log for one in await archived_files(pool)] == [True]
    log = Log(pool, archive=folder if has_folder else None)
    async with pool.acquire() as other, other.transaction():
        await other.execute(f"lock table {TABLE} in access exclusive mode")
        storing = asyncio.create_task(log.insert_missing([*rows, day(20)]))
        waiting = "select count(*) from pg_locks where not granted"
        while not await other.fetchval(waiting):  # noqa: ASYNC110 - nothing tells when
            await asyncio.sleep(0.01)
        await other.execute("set local strategy_execution_log.marked = 'no'")
        await other.execute(f"delete from {TABLE}")
        await other.execute("update execlog.archived_file set in_log = '{}'")
    if has_folder:
        assert await storing == 1
        assert await log.count_executions() == 3
    else:
        with pytest.raises(ArchiveError, match="name the folder"):
            await storing
        assert await in_log(pool) == []


@pytest.mark.long
async def test_an_import_beside_a_restore(pool: Pool, repository: Log, folder: Path) -> None:
    rows = [day(20, points=n) for n in range(300)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder)
    log, late = Log(pool, archive=folder), [day(20) for _ in range(20)]

    async def restored() -> list[int]:
        return [one.restored async for one in restore_archive(pool, archive=folder)]

    async def stored() -> int:
        parts = [[*rows[n::20], late[n]] for n in range(20)]
        return sum([await log.insert_missing(part) for part in parts])

    done = await asyncio.gather(restored(), stored(), stored())
    assert (done[0], done[1] + done[2]) == ([300], 20)
    assert await in_log(pool) == ids(*rows, *late)
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows, *late)
    assert await log.count_executions() == 320
    assert [one async for one in verify_rollups(pool)] == []


@pytest.mark.long
async def test_the_command(dsn: str, pool: Pool, repository: Log, folder: Path) -> None:
    rows = [day(20), day(20, status="error"), day(2)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder)
    late = [day(20), day(1)]
    file = exported(folder.parent / "rows.jsonl", [*rows, *late])
    code, said = imported(dsn, str(file))
    assert code != 0
    assert said[-1].startswith(f"insert_missing: 1 files in {folder} on ")
    assert await in_log(pool) == ids(rows[2])
    stored = "2 executions stored, 3 were there already"
    assert imported(dsn, str(file), EXECLOG_ARCHIVE=str(folder)) == (0, [stored])
    stored = "0 executions stored, 5 were there already"
    assert imported(dsn, str(file), "--archive", str(folder)) == (0, [stored])
    assert await in_log(pool) == ids(rows[2], *late)
    assert [one.restored async for one in restore_archive(pool, archive=folder)] == [2]
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows[:2], late[0])
    # A damaged file is named, and nothing is stored.
    damaged = folder / path(20)
    damaged.write_bytes(damaged.read_bytes()[:-9])
    code, said = imported(dsn, str(file), "--archive", str(folder))
    assert (code != 0, path(20) in said[-1]) == (True, True)
    assert await in_log(pool) == ids(rows[2], late[1])


@pytest.mark.long
async def test_a_table_of_another_program(
    dsn: str, pool: Pool, repository: Log, folder: Path
) -> None:
    rows = [day(20), day(20, status="error"), day(2)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    columns = "strategy_id, strategy_version, strategy_type, status, duration_ms, nodes_executed"
    await pool.execute(f"create table public.runs as select id, created_at, {columns} from {TABLE}")
    await pool.execute("alter table public.runs add primary key (id)")
    await archived(pool, folder)
    await pool.execute(
        f"insert into public.runs select gen_random_uuid(), created_at, {columns} from public.runs"
    )
    words = ("--from-table", "public.runs")
    code, said = imported(dsn, *words)
    assert code != 0
    assert said[-1].startswith(f"import: 1 files in {folder} on ")
    assert await in_log(pool) == ids(rows[2])
    done = run("import", *words, "--plan", "--archive", str(folder), EXECLOG_DSN=dsn)
    assert "6 rows: 3 would be stored, 3 are there already, 0 can't" in done.stdout
    code, said = imported(dsn, *words, EXECLOG_ARCHIVE=str(folder))
    assert (code, said[-1]) == (0, "3 executions stored, 3 were there already")
    code, said = imported(dsn, *words, EXECLOG_ARCHIVE=str(folder))
    assert (code, said[-1]) == (0, "0 executions stored, 6 were there already")
    assert len(await in_log(pool)) == 4


@pytest.mark.long
async def test_a_role_that_may_store_and_not_look(
    dsn: str, pool: Pool, repository: Log, folder: Path, prefix: str
) -> None:
    rows = [day(20), day(20, realm_id="acme")]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder)
    await pool.execute(execlog.dump_roles(prefix=prefix))
    writer = await login(pool, dsn, f"{prefix}_writer")
    file = exported(folder.parent / "rows.jsonl", [*rows, day(20)])
    code, said = imported(writer, str(file))
    assert (code != 0, "name the folder" in said[-1]) == (True, True)
    stored = "1 executions stored, 2 were there already"
    assert imported(writer, str(file), EXECLOG_ARCHIVE=str(folder)) == (0, [stored])
    assert json.loads((folder / "log.json").read_text())["format"] == 1
    assert files_of(folder) == [path(20)]


async def test_an_import_beside_an_erasure(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was listed is replaced before it is asked: its successor is."""
    rows = [day(20, external_user_id="u"), day(20)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder)
    check = Files.check

    async def checked(*arguments: Any) -> None:
        monkeypatch.setattr(Files, "check", check)
        erased = erase_archived(pool, archive=folder, external_user_id="u")
        assert [one.executions async for one in erased] == [1]
        await check(*arguments)

    monkeypatch.setattr(Files, "check", checked)
    new = day(20)
    assert await Log(pool, archive=folder).insert_missing([*rows, new]) == 1
    assert (await in_log(pool), in_files(folder)) == (ids(new), ids(*rows))
    (folder / path(20, 2)).unlink()
    with pytest.raises(ArchiveError, match="part-0002"):
        await Log(pool, archive=folder).insert_missing(rows)
