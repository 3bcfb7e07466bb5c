"""A row that SQL of one's own changes while a file holds it too: the file has the change before."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest

from execlog import (
    StrategyExecutionLogRepository,
    archived_files,
    erase_archived,
    maintain,
    restore_archive,
    verify_archive,
)
from execlog.archive.place import Place
from tests.archiving import (
    WANTED,
    archived,
    die_at,
    files_of,
    ids,
    in_files,
    in_log,
    killing,
    let_go,
    listed,
    moving_out,
    path,
    problems,
    stored,
    users_in,
    with_partitions,
)
from tests.databases import TABLE
from tests.maintaining import DAY, day
from tests.types import Pool

Log = StrategyExecutionLogRepository
KEPT: dict[str, Any] = {"retain_failures": 30 * DAY}
# A value that is another one than that of any row here.
CHANGES = {
    "strategy_version": "77",
    "strategy_type": "'changed'",
    "realm_id": "'changed'",
    "external_game_id": "null",
    "external_task_id": "'changed'",
    "external_user_id": "'changed'",
    "status": "'ok'",
    "error_code": "'changed'",
    "points": "-0.5",
    "case_name": "''",
    "duration_ms": "duration_ms + 1e-9",
    "nodes_executed": "77",
    "trace": "'[77]'",
    "sampled": "not sampled",
    "sample_rate": "0.5",
    "parent_strategy_id": "'changed'",
    "notes": "'changed'",
    "trace_id": "'00000000-0000-0000-0000-000000000077'",
    "error_message": "'changed'",
    "input": "'{\"a\": 77}'",
    "attributes": "'{\"a\": 77}'",
}
SENT = "update {table} set {column} = {value} where id = $1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


async def change(pool: Pool, column: str, value: str, *rows: UUID) -> None:
    for one in rows:
        sql = SENT.format(table=TABLE, column=column, value=value)
        assert await pool.execute(sql, one) == "UPDATE 1"


async def test_a_change_of_each_column_is_in_the_file(
    pool: Pool, repository: Log, folder: Path
) -> None:
    rows = {
        name: day(20, status="error", duration_ms=2.0, input={"a": 1}, external_game_id="g")
        for name in CHANGES
    }
    others = [day(20, status="error"), day(20)]
    await with_partitions(pool, 20)
    await repository.insert_rows([*rows.values(), *others])
    assert {*CHANGES, "id", "strategy_id", "created_at"} == {
        one for one in type(others[0]).model_fields if one != "stored_at"
    }
    await archived(pool, folder, **KEPT)
    for name, value in CHANGES.items():
        await change(pool, name, value, rows[name].id)
    before = await stored(repository)
    assert len(before) == len(rows) + 1
    await archived(pool, folder)
    assert files_of(folder) == [path(20, 3)]
    assert in_files(folder) == ids(*rows.values(), *others)
    assert await listed(pool) == [(path(20, 3), len(rows) + 2, 2, "{}", "{}")]
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    [restored] = [one async for one in restore_archive(pool, archive=folder)]
    assert restored.restored == len(rows) + 2
    now = await stored(repository)
    assert {one: now[one] for one in before} == before
    # And nothing is written if nothing was changed.
    await archived(pool, folder)
    assert files_of(folder) == [path(20, 3)]
    assert await in_log(pool) == []


async def test_a_restored_row_is_counted_once_if_its_status_changes(
    pool: Pool, repository: Log, folder: Path
) -> None:
    rows = [day(20), day(20), day(20, status="error"), day(21)]
    await with_partitions(pool, 20, 21)
    await repository.insert_rows(rows)
    await archived(pool, folder)
    _ = [one async for one in restore_archive(pool, archive=folder)]
    await change(pool, "status", "'timeout'", rows[0].id)
    await change(pool, "status", "'ok'", rows[2].id)
    log = Log(pool, archive=folder)
    for kept in (None, KEPT, {}):
        if kept is not None:
            await archived(pool, folder, **kept)
        statuses = {one.id: one.status async for one in log.stream()}
        assert statuses == {
            rows[0].id: "timeout",
            rows[1].id: "ok",
            rows[2].id: "ok",
            rows[3].id: "ok",
        }
        assert await log.count_executions() == 4
    assert [(one.path, one.ok_rows) for one in await archived_files(pool)] == [
        (path(21), 1),
        (path(20, 3), 2),
    ]
    assert await in_log(pool) == []


async def test_a_failure_that_is_ok_now_is_counted_once_if_its_step_ends_early(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file has it as ok, and ok rows of that file are read from the file alone."""
    rows = [day(20), day(20, status="error"), day(20, status="error")]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder, **KEPT)
    await change(pool, "status", "'ok'", rows[1].id)

    async def fails(self: Any, *_: Any, **__: Any) -> Any:
        raise OSError

    monkeypatch.setattr("execlog.admin.caretaker.Caretaker._carry_out", fails)
    assert await maintain(pool, **WANTED, archive=folder)
    monkeypatch.undo()
    log, wanted = Log(pool, archive=folder), {"ok": 2, "error": 1}
    assert await in_log(pool) == ids(rows[2])
    assert await log.count_by_status(strategy_id=rows[0].strategy_id) == wanted
    await archived(pool, folder)
    assert await log.count_by_status(strategy_id=rows[0].strategy_id) == wanted
    assert (in_files(folder), await in_log(pool)) == (ids(*rows), [])


@pytest.mark.long
async def test_what_maintenance_clears_of_inputs_is_no_change(
    pool: Pool, repository: Log, folder: Path
) -> None:
    rows = [day(20, status="error", input={"a": 1}, notes=notes) for notes in (None, "", "n")]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder, **KEPT)
    await archived(pool, folder, **KEPT, retain_inputs=15 * DAY)
    assert {one.notes for one in (await stored(repository)).values()} == {
        "input expired",
        "n; input expired",
    }
    await archived(pool, folder)
    assert files_of(folder) == [path(20)]
    assert await in_log(pool) == []
    with duckdb.connect() as reader:
        found = reader.execute("select input from read_parquet($1)", [str(folder / path(20))])
        assert {one for [one] in found.fetchall()} == {'{"a": 1}'}


async def test_an_erased_row_stays_erased(pool: Pool, repository: Log, folder: Path) -> None:
    rows = [day(20, status="error", external_user_id=user, trace=[1]) for user in ("u", "v")]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await archived(pool, folder, **KEPT)
    # In the log, and not in files yet: the row takes it there.
    _ = [one async for one in repository.erase(external_user_id="u", with_files=True)]
    await archived(pool, folder)
    assert (users_in(folder), await in_log(pool)) == (["v"], [])
    # In files, and not in the log: its row must not come back with what was erased.
    _ = [one async for one in restore_archive(pool, archive=folder)]
    asked: dict[str, Any] = {"archive": folder, "external_user_id": "v"}
    assert sum([one.executions async for one in erase_archived(pool, **asked)]) == 1
    [problem] = await problems(pool, folder)
    assert problem.startswith(f"failed: {folder / path(20, 4)}: 1 of its rows were erased from it")
    assert await in_log(pool) == ids(*rows)
    _ = [one async for one in repository.erase(external_user_id="v", with_files=True)]
    await archived(pool, folder)
    assert (users_in(folder), await in_log(pool)) == ([], [])
    assert in_files(folder) == ids(*rows)


@pytest.mark.parametrize(
    "action",
    ["drop", *(pytest.param(one, marks=pytest.mark.long) for one in ("thin", "purge"))],
)
async def test_a_change_meanwhile_has_the_row_stay(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    rows = [day(20), day(20), day(20, status="error")]
    await with_partitions(pool, *([] if action == "purge" else [20]))
    await repository.insert_rows(rows)
    loop, publish = asyncio.get_running_loop(), Place.publish

    def publishing(self: Place, written: Path, name: str) -> None:
        publish(self, written, name)
        monkeypatch.setattr(Place, "publish", publish)
        work = change(pool, "case_name", "'changed'", rows[0].id)
        asyncio.run_coroutine_threadsafe(work, loop).result()

    monkeypatch.setattr(Place, "publish", publishing)
    kept = KEPT if action == "thin" else {}
    steps = await maintain(pool, **WANTED, archive=folder, **kept)
    [outcome] = [(one.outcome, one.problem) for one in steps if one.action == action]
    assert outcome == ("postponed", "lock not available (55P03)")
    assert await in_log(pool) == ids(*rows)
    await archived(pool, folder, **kept)
    assert await in_log(pool) == (ids(rows[2]) if action == "thin" else [])
    assert files_of(folder) == [path(20, 3)]
    assert in_files(folder) == ids(*rows)
    found = {one.id: one.case_name async for one in Log(pool, archive=folder).stream()}
    assert found == {rows[0].id: "changed", rows[1].id: None, rows[2].id: None}


@pytest.mark.long
async def test_a_change_within_a_transaction_of_another(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It began before, and no snapshot lists its number."""
    rows = [day(20), day(20)]
    await with_partitions(pool, 20)
    await repository.insert_rows(rows)
    await maintain(pool, interval="day", ahead=1)  # nothing of this waits for it any more
    loop, publish = asyncio.get_running_loop(), Place.publish
    async with pool.acquire() as connection:
        outer = connection.transaction()
        await outer.start()
        await connection.fetchval("select pg_current_xact_id()::text")
        async with connection.transaction():
            await connection.execute(f"update {TABLE} set notes = 'changed'")
        await pool.fetchval("select pg_current_xact_id()::text")

        def publishing(self: Place, written: Path, name: str) -> None:
            publish(self, written, name)
            monkeypatch.setattr(Place, "publish", publish)
            asyncio.run_coroutine_threadsafe(outer.commit(), loop).result()

        monkeypatch.setattr(Place, "publish", publishing)
        steps = await maintain(pool, **WANTED, archive=folder)
    assert [one.outcome for one in steps if one.action == "drop"] == ["postponed"]
    await archived(pool, folder)
    found = [one.notes async for one in Log(pool, archive=folder).stream()]
    assert (found, await in_log(pool)) == (["changed", "changed"], [])


@pytest.mark.long
async def test_a_row_of_default_that_fails_since(
    pool: Pool, repository: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in a file as ok, was not removed yet, and stays in the log as a failure."""
    rows = [day(20), day(20)]
    await with_partitions(pool)
    await repository.insert_rows(rows)

    async def fails(self: Any, *_: Any, **__: Any) -> Any:
        raise OSError

    monkeypatch.setattr("execlog.admin.caretaker.Caretaker._carry_out", fails)
    assert await maintain(pool, **WANTED, archive=folder, **KEPT)
    monkeypatch.undo()
    assert [one.rows_in_log for one in await archived_files(pool)] == [True]
    await change(pool, "status", "'error'", rows[0].id)
    await archived(pool, folder, **KEPT)
    assert await in_log(pool) == ids(rows[0])
    log = Log(pool, archive=folder)
    assert await log.count_by_status(strategy_id=rows[0].strategy_id) == {"error": 1, "ok": 1}
    await archived(pool, folder)
    assert await log.count_by_status(strategy_id=rows[0].strategy_id) == {"error": 1, "ok": 1}
    assert (in_files(folder), await in_log(pool)) == (ids(*rows), [])


async def killed_with_a_change(dsn: str, pool: Pool, log: Log, folder: Path, at: int | str) -> bool:
    """Whether a process was killed there; the next run ends what it began."""
    rows = [day(20), day(20), day(20, status="error")]
    await with_partitions(pool, 20)
    await log.insert_rows(rows)
    await archived(pool, folder)
    _ = [one async for one in restore_archive(pool, archive=folder)]
    late = day(20)
    await log.insert_rows([late])
    await change(pool, "case_name", "'changed'", rows[0].id, rows[2].id)
    process = killing().Process(target=die_at, args=(moving_out, dsn, str(folder), at))
    process.start()
    await asyncio.to_thread(process.join, 60)
    assert {name for name, *_ in await listed(pool)} <= set(files_of(folder))
    await let_go(pool)
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows, late)
    assert await in_log(pool) == []
    assert {name for name, *_ in await listed(pool)} == set(files_of(folder))
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    found = {one.id: one.case_name async for one in Log(pool, archive=folder).stream()}
    assert [found[one.id] for one in rows] == ["changed", None, "changed"]
    return process.exitcode != 0


@pytest.mark.parametrize("at", ["linked", pytest.param("unlink", marks=pytest.mark.long)])
async def test_a_kill_while_a_file_is_replaced(
    dsn: str, pool: Pool, repository: Log, folder: Path, at: str
) -> None:
    assert await killed_with_a_change(dsn, pool, repository, folder, at)


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_kill_anywhere_while_a_file_is_replaced(
    dsn: str, pool: Pool, repository: Log, tmp_path: Path
) -> None:
    place = 1
    while await killed_with_a_change(dsn, pool, repository, tmp_path / f"{place}", place):
        place += 4
        await pool.execute("truncate execlog.archived_file, execlog.archive")
    assert place > 20
