"""Old rows go into verified files of the archive before they go from the log, each of them once."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pyarrow.dataset
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from execlog import (
    ArchiveError,
    InvalidArgument,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    archived_files,
    erase_archived,
    maintain,
    rebuild_rollups,
    restore_archive,
    verify_archive,
    verify_rollups,
)
from execlog.admin import archiving
from execlog.archive.place import Place
from execlog.db.files import folder as folder_of_files
from execlog.db.sqltext import filled, pieces
from tests.archiving import (
    WANTED,
    archived,
    files_of,
    flip,
    ids,
    in_files,
    in_log,
    listed,
    midnight,
    modes_of,
    move,
    path,
    problems,
    stored,
    users_in,
    with_partitions,
)
from tests.command import run
from tests.databases import TABLE
from tests.maintaining import DAY, day, held
from tests.rows import any_row, row
from tests.types import Pool

Log = StrategyExecutionLogRepository
ENDS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


@pytest.fixture
async def log(repository: Log) -> Log:
    return repository


async def test_partitions_move_out(pool: Pool, log: Log, folder: Path) -> None:
    rows = [day(20), day(20, status="error"), day(21), day(0)]
    await with_partitions(pool, 20, 21)
    await log.insert_rows(rows)
    steps = await archived(pool, folder)
    assert [step for step in steps if step.startswith("drop")] == [
        f"drop {midnight(ago):%Y%m%d}" for ago in (21, 20)
    ]
    assert files_of(folder) == sorted([path(20), path(21)])
    assert in_files(folder) == ids(*rows[:3])
    assert await in_log(pool) == ids(rows[3])
    assert await listed(pool) == [(path(21), 1, 1, "{}", "{}"), (path(20), 2, 1, "{}", "{}")]
    assert json.loads((folder / "log.json").read_text())["log"] == str(
        await pool.fetchval("select execlog.log_id()")
    )
    assert modes_of(folder) == {"files": {0o600}, "folders": {0o700}}
    state = await log.archive_state()
    assert (state.folder, state.files, state.rows) == (str(folder), 2, 3)
    assert [step for step in await archived(pool, folder) if step.startswith("drop")] == []


async def test_values_come_back_bit_for_bit(pool: Pool, log: Log, folder: Path) -> None:
    nasty = 'a,"b"\n\r\t\\N \\ \x01\x1f é 🜁 \u2028'
    begin = midnight(20)
    rows = [
        row(created_at=begin + timedelta(microseconds=1), points=-0.0, duration_ms=5e-324),
        row(created_at=begin + timedelta(days=1, microseconds=-1), points=1e300, notes=""),
        row(created_at=begin, duration_ms=0.1 + 0.2, points=None, error_message="x\ny\n\n"),
        row(
            created_at=begin,
            strategy_id=nasty,
            strategy_type=nasty,
            realm_id=nasty,
            external_game_id="\\N",
            external_task_id='"',
            external_user_id="",
            status=nasty,
            error_code='""',
            case_name="",
            notes=nasty * 5000,
            error_message="\n",
            trace=[{"a": nasty, "n": 1.10, "b": [None, True, 1e100]}, 12345678901234567890],
            input={"text": nasty, "none": None},
            attributes={"a.b": nasty, "n": -0.5},
            trace_id=UUID(int=2**128 - 1),
            parent_strategy_id="p",
            nodes_executed=2**31 - 1,
            strategy_version=-(2**31),
            sample_rate=5e-324,
            sampled=True,
        ),
    ]
    await with_partitions(pool, 20)
    await log.insert_rows(rows)
    await pool.execute(f"update {TABLE} set stored_at = '-infinity' where id = $1", rows[0].id)
    await pool.execute(f"update {TABLE} set stored_at = 'infinity' where id = $1", rows[1].id)
    texts = f"select * from {TABLE} order by id"
    before, as_text = await stored(log), [dict(one) for one in await pool.fetch(texts)]
    await archived(pool, folder)
    assert await in_log(pool) == []
    with duckdb.connect() as reader:
        sql = "select columns(*)::varchar from read_parquet($1, hive_partitioning = 0) order by id"
        reader.execute("set timezone = 'UTC'")
        found = reader.execute(sql, [str(folder / path(20))])
        names = [one[0] for one in found.description or ()]
        read = [dict(zip(names, one, strict=True)) for one in found.fetchall()]
    assert [one["stored_at"] for one in read][:2].count("-infinity") <= 2
    assert {one["stored_at"] for one in read} > {"-infinity", "infinity"}
    for log_row, file_row in zip(as_text, read, strict=True):
        log_row.pop("stored_xid")
        assert file_row.keys() == log_row.keys()
        for name in ("trace", "input", "attributes", "notes", "case_name", "external_game_id"):
            assert file_row[name] == log_row[name]
    restored = [one async for one in restore_archive(pool, archive=folder)]
    assert [(one.rows, one.restored) for one in restored] == [(4, 4)]
    assert await stored(log) == before
    now = [dict(one) for one in await pool.fetch(texts)]
    for earlier, later in zip(as_text, now, strict=True):
        for name in earlier.keys() - {"stored_at"}:
            assert repr(earlier[name]) == repr(later[name])


async def test_failures_stay_and_are_in_files_too(pool: Pool, log: Log, folder: Path) -> None:
    rows = [day(20), day(20, status="error"), day(50, status="error"), day(50)]
    await with_partitions(pool, 20, 50)
    await log.insert_rows(rows)
    kept = {"retain_failures": 30 * DAY}
    await archived(pool, folder, **kept)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == ids(rows[1])
    [old, new] = await listed(pool)
    assert old[1:] == (2, 1, "{}", "{}")
    assert new[:4] == (path(20), 2, 1, "{}")
    assert new[4] != "{}"
    assert [one.failures_in_log for one in await archived_files(pool)] == [False, True]
    # Rows that come late: they are in one further file once they go.
    late = [day(20), day(20, status="timeout")]
    await log.insert_rows(late)
    await archived(pool, folder, **kept)
    assert await in_log(pool) == ids(rows[1], *late)
    await archived(pool, folder)
    assert await in_log(pool) == []
    assert in_files(folder) == ids(*rows, *late)
    assert path(20, 2) in files_of(folder)
    assert [one[3:] for one in await listed(pool)] == [("{}", "{}")] * 3


async def test_what_lies_in_default_goes_too(pool: Pool, log: Log, folder: Path) -> None:
    rows = [day(20), day(20, status="error"), day(41, status="limit"), day(3)]
    undated = [row(created_at=time) for time in (None, *ENDS)]
    await with_partitions(pool)
    await log.insert_rows([*rows, *undated])
    first = row(created_at=datetime(1, 1, 1, 0, 0, 1, tzinfo=UTC))
    await log.insert_rows([first])
    assert "purge default" in await archived(pool, folder, retain_failures=30 * DAY)
    assert await in_log(pool) == ids(rows[1], rows[3], *undated)
    assert in_files(folder) == ids(rows[0], rows[2], first)
    late = day(20)
    await log.insert_rows([late])
    await archived(pool, folder)
    assert await in_log(pool) == ids(rows[3], *undated)
    assert in_files(folder) == ids(*rows[:3], late, first)
    assert files_of(folder) == sorted(
        ["strategy_execution_log/day=0001-01-01/part-0001.parquet", path(20), path(20, 2), path(41)]
    )
    assert [one[3:] for one in await listed(pool)] == [("{}", "{}")] * 4


@pytest.mark.parametrize("action", ["drop", "thin", "purge"])
async def test_rows_that_come_meanwhile_stay_until_they_are_in_a_file(
    pool: Pool, log: Log, folder: Path, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    rows, late = [day(20), day(20)], [day(20), day(20)]
    await with_partitions(pool, *([] if action == "purge" else [20]))
    await log.insert_rows(rows)
    loop, publish = asyncio.get_running_loop(), Place.publish

    def publishing(self: Place, written: Path, name: str) -> None:
        publish(self, written, name)
        monkeypatch.setattr(Place, "publish", publish)
        asyncio.run_coroutine_threadsafe(log.insert_rows(late), loop).result()

    monkeypatch.setattr(Place, "publish", publishing)
    kept: dict[str, Any] = {"retain_failures": 30 * DAY} if action == "thin" else {}
    steps = await maintain(pool, **WANTED, archive=folder, **kept)
    [outcome] = [(one.outcome, one.problem) for one in steps if one.action == action]
    assert outcome == ("postponed", "lock not available (55P03)")
    assert await in_log(pool) == ids(*rows, *late)
    await archived(pool, folder, **kept)
    assert await in_log(pool) == []
    assert in_files(folder) == ids(*rows, *late)
    assert files_of(folder) == [path(20), path(20, 2)]


async def test_a_day_of_many_rows_is_several_files(
    pool: Pool, log: Log, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "_MOST_ROWS", 3)
    minute = timedelta(minutes=1)
    rows = [
        row(created_at=midnight(ago) + n * minute) for ago in (20, 21) for n in (0, 1, 1, 1, 1439)
    ]
    await with_partitions(pool, 20, 21)
    await log.insert_rows(rows)
    await archived(pool, folder)
    assert files_of(folder) == sorted(path(ago, part) for ago in (20, 21) for part in (1, 2, 3))
    assert [one.rows for one in await archived_files(pool)] == [1, 3, 1] * 2
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == []


async def test_transactions_of_another_server(pool: Pool, log: Log, folder: Path) -> None:
    """As after a dump and a restore: rows seem to be stored later than now."""
    await with_partitions(pool, 20)
    rows = [day(20), day(20), day(40)]
    await log.insert_rows(rows)
    await pool.execute(f"update {TABLE} set stored_xid = '99999999999' where id <> $1", rows[0].id)
    steps = await maintain(pool, **WANTED, archive=folder)
    told = {one.action: one.problem for one in steps if one.action in ("drop", "purge")}
    assert told == {
        "drop": None,
        "purge": "DEFAULT has rows whose stored_xid is another server's: null it",
    }
    assert await in_log(pool) == ids(rows[2])
    await pool.execute(f"update {TABLE} set stored_xid = null")
    await archived(pool, folder)
    assert await in_log(pool) == []
    assert in_files(folder) == ids(*rows)


async def test_restored_rows_are_not_doubled_and_go_again(
    pool: Pool, log: Log, folder: Path
) -> None:
    rows = [day(20), day(20), day(21, status="error"), day(3)]
    await with_partitions(pool, 20, 21)
    await log.insert_rows(rows)
    before = [await log.count_by_status(strategy_id=rows[0].strategy_id), await stored(log)]
    await archived(pool, folder)
    some = [one async for one in restore_archive(pool, archive=folder, since=midnight(20))]
    assert [one.restored for one in some] == [2]
    assert await in_log(pool) == ids(rows[0], rows[1], rows[3])
    others = [one async for one in restore_archive(pool, archive=folder)]
    assert [one.path for one in others] == [path(21)]
    assert [one async for one in restore_archive(pool, archive=folder)] == []
    assert [await log.count_by_status(strategy_id=rows[0].strategy_id), await stored(log)] == before
    assert [one async for one in verify_rollups(pool)] == []
    assert {one.rows_in_log for one in await archived_files(pool)} == {True}
    await archived(pool, folder)
    assert await in_log(pool) == ids(rows[3])
    assert in_files(folder) == ids(*rows[:3])
    assert {one.rows_in_log for one in await archived_files(pool)} == {False}
    async with held(pool):
        with pytest.raises(StoreUnavailable, match="maintains this log"):
            _ = [one async for one in restore_archive(pool, archive=folder)]


async def test_each_damage_is_named(pool: Pool, log: Log, folder: Path) -> None:
    await with_partitions(pool, 20, 21, 22)
    rows = [day(20), day(21), day(22)]
    await log.insert_rows(rows)
    await archived(pool, folder)
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    flip(folder / path(20))
    move(folder / path(21), folder / path(21, 7))
    found = [(one.path, one.problem) async for one in verify_archive(pool, archive=folder)]
    assert found == [(path(21), "missing"), (path(20), "damaged"), (path(21, 7), "unknown")]
    with pytest.raises(ArchiveError, match=r"part-0001\.parquet is damaged"):
        _ = [one async for one in restore_archive(pool, archive=folder, since=midnight(20))]
    with pytest.raises(ArchiveError, match="no such file"):
        _ = [one async for one in restore_archive(pool, archive=folder)]
    assert await in_log(pool) == ids(rows[2])


async def test_nothing_goes_if_the_folder_is_wrong(
    pool: Pool, log: Log, folder: Path, tmp_path: Path
) -> None:
    await with_partitions(pool, 20)
    first, second = day(20), day(20)
    await log.insert_rows([first])
    await archived(pool, folder)
    await with_partitions(pool, 20)
    await log.insert_rows([second])
    away = tmp_path / "away"
    move(folder, away)
    assert await problems(pool, folder) == [f"failed: {folder} is no archive: it has no log.json"]
    assert await problems(pool, None) != []
    [problem] = await problems(pool, None)
    assert problem.startswith(f"failed: old rows go to the archive in {folder} on ")
    move(away, folder)
    move(folder / path(20), folder / "elsewhere")
    [problem] = await problems(pool, folder)
    assert "lacks 1 of the 1 files that the log lists" in problem
    move(folder / "elsewhere", folder / path(20))
    (folder / path(20, 2)).write_bytes(b"PAR1")
    [problem] = await problems(pool, folder)
    assert "holds 1 files that the log does not list" in problem
    (folder / path(20, 2)).unlink()
    flip(folder / path(20))
    [problem] = await problems(pool, folder)
    assert "is damaged: its digest is another" in problem
    flip(folder / path(20))
    await pool.execute("update execlog.log_identity set log_id = gen_random_uuid()")
    assert await problems(pool, folder) == [f"failed: {folder} is the archive of another log"]
    assert await in_log(pool) == ids(second)
    (folder / "log.json").write_text("{")
    assert await problems(pool, folder) == [f"failed: {folder}/log.json is damaged"]
    for wrong in ("", 3, "a\0b"):
        with pytest.raises(InvalidArgument, match=r"^archive: must be the path of a folder$"):
            await maintain(pool, archive=wrong)  # type: ignore[arg-type]


async def test_what_needs_the_rows_refuses(pool: Pool, log: Log, folder: Path) -> None:
    await with_partitions(pool, 20)
    await log.insert_rows([day(20, external_user_id="u"), day(1)])
    await archived(pool, folder)
    for only_count in (False, True):
        with pytest.raises(ArchiveError, match=f"1 files in {folder} on .* may hold"):
            _ = [one async for one in log.erase(external_user_id="u", only_count=only_count)]
    for since in (None, midnight(21)):
        with pytest.raises(ArchiveError, match=f"are in files of {folder} on "):
            _ = [one async for one in rebuild_rollups(pool, since=since)]
    assert [one async for one in rebuild_rollups(pool, since=midnight(5))][-1].reached is None
    _ = [one async for one in restore_archive(pool, archive=folder)]
    assert [one async for one in rebuild_rollups(pool)][-1].reached is None


async def test_a_user_is_erased_from_files_too(pool: Pool, log: Log, folder: Path) -> None:
    told: dict[str, Any] = {
        "trace": [1],
        "input": {"a": 1},
        "attributes": {"a": 1},
        "notes": "n",
        "trace_id": 7,
        "error_message": "m",
    }
    users = ("it's u", "it's u", "v", None)
    rows = [day(20, external_user_id=user, points=n, **told) for n, user in enumerate(users)]
    others = [day(21, external_user_id="v"), day(1, external_user_id="it's u", **told)]
    await with_partitions(pool, 20, 21)
    await log.insert_rows([*rows, *others])
    await archived(pool, folder)
    asked: dict[str, Any] = {"archive": folder, "external_user_id": "it's u"}
    counted = [one async for one in erase_archived(pool, only_count=True, **asked)]
    assert [(one.path, one.executions) for one in counted] == [(path(21), 0), (path(20), 2)]
    parts = [one async for one in log.erase(external_user_id="it's u", with_files=True)]
    assert parts[-1].executions == 1
    done = [one async for one in erase_archived(pool, **asked)]
    assert [(one.path, one.executions) for one in done] == [(path(21), 0), (path(20, 2), 2)]
    assert files_of(folder) == [path(21), path(20, 2)]
    assert users_in(folder) == ["v", "v"]
    assert [one.executions async for one in erase_archived(pool, **asked)] == [0, 0]
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    _ = [one async for one in restore_archive(pool, archive=folder)]
    found = await stored(log)
    blank = {**dict.fromkeys(told), "external_user_id": None, "notes": "erased"}
    for one in (rows[0], rows[1], others[1]):
        assert found[one.id] == one.model_copy(update=blank)
    for one in (rows[2], rows[3], others[0]):
        assert found[one.id] == one
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows, others[0])
    async with held(pool):
        with pytest.raises(StoreUnavailable, match="maintains this log"):
            _ = [one async for one in erase_archived(pool, **asked)]


async def test_other_tools_read_the_folder(pool: Pool, log: Log, folder: Path) -> None:
    await with_partitions(pool, 20, 21)
    rows = [day(20, points=1.5), day(21, trace_id=UUID(int=7)), day(21, strategy_id="b")]
    await log.insert_rows(rows)
    await archived(pool, folder)
    place = folder / "strategy_execution_log"
    table = pyarrow.dataset.dataset(place, format="parquet", partitioning="hive").to_table()
    assert sorted(UUID(bytes=one) for one in _bytes(table["id"])) == ids(*rows)
    assert sorted(table["created_at"].to_pylist()) == sorted(
        one.created_at for one in rows if one.created_at
    )
    assert {str(one) for one in table["day"].to_pylist()} == {
        f"{midnight(ago):%Y-%m-%d}" for ago in (20, 21)
    }
    with duckdb.connect() as reader:
        found = reader.execute(
            "select day, count(*) from read_parquet($1, hive_partitioning = true)"
            " where day = $2 group by day",
            [f"{place}/*/*.parquet", f"{midnight(21):%Y-%m-%d}"],
        ).fetchall()
    assert found == [(midnight(21).date(), 2)]


def _bytes(column: Any) -> list[bytes]:
    return [one.bytes if isinstance(one, UUID) else one for one in column.to_pylist()]


async def test_a_log_without_an_archive_is_as_before(
    pool: Pool, log: Log, folder: Path, tmp_path: Path
) -> None:
    await with_partitions(pool, 20)
    await log.insert_rows([day(20), day(40)])
    await archived(pool, None)
    assert await in_log(pool) == []
    assert (await log.archive_state()).folder is None
    assert await archived_files(pool) == []
    assert [one async for one in verify_archive(pool, archive=folder)] == []
    assert [one async for one in restore_archive(pool, archive=folder)] == []
    erased = erase_archived(pool, archive=folder, external_user_id="u")
    assert [one async for one in erased] == []
    assert not list(tmp_path.iterdir())  # noqa: ASYNC240 - an empty folder


def test_each_statement_of_duckdb_can_be_prepared(folder: Path) -> None:
    folder.mkdir()
    words = {name: f"{folder}/{name}" for name in ("spill", "rows", "part", "paths", "user", "old")}
    words |= {
        "folder": str(folder),
        "memory": "256MB",
        "threads": "1",
        "longest": str(2**21),
        "buffer": str(2**23),
        "blocks": "3",
    }
    (folder / "rows").write_text("")
    names = {one.stem for one in folder_of_files("sql").joinpath("archive").glob("*.sql")}
    with duckdb.connect() as reader:
        ready = ["limits", "offer", "held_by_none", "write", "written", "sums", "extent", "held"]
        ready += ["changed", "changed_files", "unchanged", "succeed", "ok_now"]
        ready += ["user_count", "user_filter"]
        others = ["restore", "holds", "none_held", "erase"]
        assert names == {*ready, *others}
        for name in [*ready, *others]:
            text = (folder_of_files("sql") / "archive" / f"{name}.sql").read_text()
            for sql in pieces(text):
                sent = filled(sql, "execlog", words)
                if name == "held":
                    sent = sent.replace(words["paths"], words["part"])
                if name in ("restore", "erase", "succeed"):  # to a new file
                    sent = sent.replace(f") to '{folder}/", f") to '{folder}/new_")
                if name != "limits" and "create" not in sent:  # those that have no plan
                    reader.execute(f"prepare it as {sent}")
                reader.execute(sent)


async def test_two_maintainers(pool: Pool, log: Log, folder: Path) -> None:
    await with_partitions(pool, 20, 21, 22)
    rows = [day(ago) for ago in (20, 21, 22) for _ in range(20)]
    await log.insert_rows(rows)
    await asyncio.gather(*(maintain(pool, **WANTED, archive=folder) for _ in range(3)))
    await archived(pool, folder)
    assert in_files(folder) == ids(*rows)
    assert await in_log(pool) == []


async def test_the_commands(dsn: str, pool: Pool, log: Log, folder: Path) -> None:
    await with_partitions(pool, 20, 21)
    await log.insert_rows([day(20), day(21), day(0)])
    own = {"EXECLOG_DSN": dsn, "EXECLOG_ARCHIVE": str(folder)}
    wanted = ("maintain", "--interval", "day", "--retain", "10d")
    assert run(*wanted, **own).returncode == 0
    assert in_files(folder) != []
    found = json.loads(run("archive", "list", "--json", **own).stdout)
    assert [(one["path"], one["rows"], one["rowsInLog"]) for one in found] == [
        (path(21), 1, False),
        (path(20), 1, False),
    ]
    assert "2 files, 2 rows" in run("archive", "list", **own).stderr
    assert run("archive", "verify", **own).returncode == 0
    verified = run("rollup", "verify", EXECLOG_DSN=dsn)
    assert "are in files of the archive, which are not compared" in verified.stderr
    assert verified.returncode == 0
    assert "2 rows until" in run("doctor", EXECLOG_DSN=dsn).stdout
    assert "not looked at without --archive" in run("doctor", EXECLOG_DSN=dsn).stdout
    assert "; all are there" in run("doctor", **own).stdout
    done = run("archive", "restore", "--since", f"{midnight(20):%Y-%m-%d}", **own)
    assert (done.stdout, done.returncode) == ("1\n", 0)
    refused = run(*wanted, EXECLOG_DSN=dsn)
    assert refused.returncode == 1
    assert f"old rows go to the archive in {folder} on" in refused.stderr
    refused = run("erase", "--user", "u", EXECLOG_DSN=dsn)
    assert refused.returncode == 1
    assert f"2 files in {folder} on" in refused.stderr
    flip(folder / path(21))
    broken = run("archive", "verify", **own)
    assert broken.returncode == 3
    assert path(21) in broken.stdout and "damaged" in broken.stdout
    move(folder / path(20), folder / path(20, 2))
    told = run("doctor", **own)
    assert f"{path(20)} is missing or has another size and 1 more" in told.stdout
    assert told.returncode == 1
    assert run("archive", "verify", EXECLOG_DSN=dsn).returncode == 2


@pytest.mark.long
@given(rows=st.lists(any_row(st.sampled_from(["A", "B", "é"])), max_size=60))
@example(rows=[row(error_message=text) for text in ("\r", "a\r\nb", "\n", '"\r"', "\\.")])
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
async def test_any_rows_come_back_as_they_were(
    shared_pool: Pool, tmp_path_factory: pytest.TempPathFactory, rows: list[StrategyExecutionLog]
) -> None:
    folder, begin = tmp_path_factory.mktemp("archive"), midnight(20)
    moved = [
        one.model_copy(update={"created_at": begin + timedelta(seconds=n * 1000.000001)})
        for n, one in enumerate(rows)
    ]
    await shared_pool.execute("truncate execlog.archived_file, execlog.archive")
    await with_partitions(shared_pool, 20)
    await shared_pool.execute(f"truncate {TABLE}")
    log = Log(shared_pool)
    await log.insert_rows(moved)
    before = await stored(log)
    await archived(shared_pool, folder)
    assert await in_log(shared_pool) == []
    assert in_files(folder) == ids(*moved)
    _ = [one async for one in restore_archive(shared_pool, archive=folder)]
    after = await stored(log)
    assert after == before
    # Equal numbers may differ in their bits.
    for one in moved:
        for name in ("points", "duration_ms", "sample_rate", "trace", "input", "attributes"):
            assert repr(getattr(after[one.id], name)) == repr(getattr(before[one.id], name))
