"""The same questions of a log that is all rows, half archive, and all archive."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import duckdb
import httpx2
import pytest

from execlog import (
    ArchiveError,
    QueryRejected,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    restore_archive,
)
from execlog.archive.files import statements_of_files
from execlog.db.copy_format import COLUMNS
from execlog.db.statements import Parameter
from execlog.models import Model
from execlog.repository.repository import files_of as files_of_folder
from execlog.web import Scope, create_app
from tests.archiving import archived, files_of, midnight, path, with_partitions
from tests.command import run
from tests.databases import TABLE
from tests.maintaining import DAY
from tests.rows import row
from tests.types import Pool

Log = StrategyExecutionLogRepository
_DAYS = (20, 21, 22)
_EMPTY = """
create table empty (
    id uuid, created_at timestamptz, strategy_id text, strategy_version integer, strategy_type text,
    realm_id text, external_game_id text, external_task_id text, external_user_id text, status text,
    error_code text, points double, case_name text, duration_ms double, nodes_executed integer,
    trace text, sampled boolean, sample_rate double, parent_strategy_id text, notes text,
    trace_id uuid, error_message text, stored_at timestamptz, input text, attributes text
)
"""
_VALUES: dict[str, Any] = {
    "text": "x",
    "text[]": ["1"],
    "bigint": 1,
    "bigint[]": [1],
    "boolean[]": [True],
    "integer": 1,
    "double precision": 1.0,
    "double precision[]": [1.0],
    "uuid": UUID(int=1),
    "uuid[]": [UUID(int=1)],
    "timestamptz": midnight(1),
    "timestamptz[]": [midnight(1)],
}
_ODD_POINTS = (0.1, -3.0, 1e300)
_TRACE = [{"name": "x", "ms": 3.5, "children": [{"name": "y", "ms": 1}]}, {"name": "y", "ms": 2}]
_STATUSES = ("ok", "ok", "ok", "error", "timeout", "odd")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def some(count: int, seed: int) -> list[StrategyExecutionLog]:
    """Rows of three old days and of today, many with the same time, some without one."""
    draw = random.Random(seed)
    return [_one(draw) for _ in range(count)]


def _one(draw: random.Random) -> StrategyExecutionLog:
    days = draw.choice((0, *_DAYS, *_DAYS))
    at: datetime | None = midnight(days) + timedelta(
        microseconds=draw.choice((0, 1, 10**9, 86399999999))
    )
    if days == 0 and draw.random() < 0.3:
        at = None
    status = draw.choice(_STATUSES)
    return row(
        id=UUID(int=draw.getrandbits(128)),
        created_at=at,
        strategy_id=(strategy := draw.choice(("a", "b", "ä"))),
        strategy_version=draw.choice((1, 2)),
        realm_id=draw.choice((None, "", "r", "s")),
        external_user_id=draw.choice((None, "u", "v")),
        status=status,
        error_code=None if status == "ok" else draw.choice((None, "E1", "E2")),
        points=draw.choice((None, *((1.0, 7.0, 120.0) if strategy == "b" else _ODD_POINTS))),
        case_name=draw.choice((None, "", "c")),
        duration_ms=draw.choice((0.0, 0.1, 250.5, 1e4 * draw.random())),
        sample_rate=draw.choice((1.0, 0.5)) if status == "ok" else 1.0,
        trace=draw.choice((None, [], [{"n": "x", "v": 1.5}], _TRACE)),
        input=draw.choice((None, {"k": ["ü", None, 1e100]})),
        trace_id=draw.choice((None, UUID(int=7))),
        attributes=draw.choice(
            (None, {"k": 1}, {"k": 1.0, "t": 'a"k": 1,'}, {"k": "1", "b": True})
        ),
    )


Question = tuple[str, dict[str, Any]]


async def answer(log: Log, question: Question) -> Any:
    name, asked = question
    if name == "pages":
        return await _pages(log, **asked)
    if name == "stream":
        return [one async for one in log.stream(**asked)]
    return await getattr(log, name)(**asked)


async def _pages(log: Log, limit: int, **asked: Any) -> list[list[StrategyExecutionLog]]:
    """All pages of a list."""
    pages: list[list[StrategyExecutionLog]] = []
    before = None
    while page := await log.list_executions(limit=limit, before=before, **asked):
        pages.append(page)
        before = page[-1]
    return pages


_WINDOWS: list[dict[str, Any]] = [
    {},
    {"since": midnight(21)},
    {"until": midnight(20)},
    {
        "since": midnight(22) + timedelta(microseconds=1),
        "until": midnight(20) + timedelta(seconds=1),
    },
]
_FILTERS: list[dict[str, Any]] = [
    {},
    {"strategy_id": "a"},
    {"strategy_id": ["a", "ä"], "status": "failed"},
    {"status": "errors", "realm_id": ["r", ""]},
    {"status": "other"},
    {"status": ["ok", "other"], "external_user_id": "u"},
    {"external_user_id": ["u", "v"], "status": "failed", "strategy_id": "b"},
    {"strategy_version": 2, "case_name": ["", "c"]},
    {"no_case": True, "min_duration_ms": 0.1, "max_duration_ms": 250.0},
    {"above_duration_ms": 0.1, "below_points": 1e300},
    {"trace_id": UUID(int=7), "min_points": 0.1},
    {"attributes": {"k": 1}},
    {"attributes": {"k": "1", "b": True}},
    {"attributes": {"k": 1.0, "t": 'a"k": 1,'}},
    {"attribute_texts": {"k": "1"}},
    {"attribute_texts": {"k": "1.0"}},
    {"attribute_texts": {"b": "true"}},
    {"error_code": ["E1"], "strategy_type": "DSL_FULL"},
    {"realm_id": []},
]


_GROUPS: list[dict[str, Any]] = [
    {"by": "strategy_id"},
    {"by": "strategy_version", "order": "p99", "limit": 1},
    {"by": "realm_id", "order": "runs"},
    {"by": "external_user_id", "order": "error_rate"},
    {"by": "attributes.k", "details": False},
    {"by": "strategy_version", "details": False, "order": "error_rate"},
]


def _questions(
    rows: list[StrategyExecutionLog], windows: list[dict[str, Any]], filters: list[dict[str, Any]]
) -> list[Question]:
    asked: list[Question] = []
    for place, window in enumerate(windows):
        for number, one in enumerate(filters, place):
            both = {**window, **one}
            asked += [
                ("pages", {**both, "limit": 7}),
                ("list_executions", {**both, "limit": 50, "payloads": False}),
                ("list_failures", {**both, "limit": 30}),
                ("stream", both),
                ("count_executions", both),
                ("breakdown", {**both, **_GROUPS[number % 6]}),
            ]
            if number % 2 == 0:
                asked.append(("node_times", both))
        for name in ("a", "b", "none"):
            of_one = {**window, "strategy_id": name}
            asked += [
                ("count_by_status", of_one),
                ("duration_percentiles", {**of_one, "fractions": (0.0, 0.3, 0.5, 0.99, 1.0)}),
                ("duration_and_nodes_summary", of_one),
                ("sample_durations", {**of_one, "limit": 5}),
                ("sample_points", {**of_one, "limit": 3}),
                ("count_by_points", of_one),
                ("metrics", of_one),
                ("metrics", {**of_one, "strategy_version": 2, "realm_id": ["r", ""]}),
                ("compare", {**window, "a": name, "b": "a"}),
                ("count_by_error_code", {**of_one, "limit": 1}),
                ("count_by_case_name", of_one),
            ]
    for row_ in rows[::5]:
        asked += [
            ("get", {"id": row_.id}),
            ("get", {"id": row_.id, "strategy_id": row_.strategy_id}),
            ("get", {"id": row_.id, "strategy_id": "none"}),
            ("list_by_prefix", {"prefix": row_.id.hex[:8]}),
            ("next_failure", {"strategy_id": "a", "after": row_, "realm_id": "r"}),
            ("list_for_strategy", {"strategy_id": "b", "before": row_, "limit": 4}),
            ("list_newest", {"before": row_, "status": "failed", "limit": 4}),
        ]
    return asked


def _close(one: Any, two: Any) -> bool:
    """Whether measures are equal but for the last digits of sums."""
    if one == two:
        return True
    if isinstance(one, float) and isinstance(two, float):
        return one == pytest.approx(two, rel=1e-12)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_close, one, two))
    if not isinstance(one, Model):
        return False
    mine, theirs = dict(one), dict(two)
    # Of the log these are by minutes; those of files are of rollups, whatever the window's ends.
    names = mine.keys() - {"intervals"}
    return type(one) is type(two) and all(_close(mine[name], theirs[name]) for name in names)


def _differences(one: Any, two: Any) -> Iterator[Any]:
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        for mine, theirs in zip(one, two, strict=True):
            yield from _differences(mine, theirs)
    elif isinstance(one, Model) and type(one) is type(two):
        for name in dict(one):
            mine, theirs = getattr(one, name), getattr(two, name)
            if not _close(mine, theirs):
                yield name, mine, theirs
    elif not _close(one, two):
        yield one, two


async def same(log: Log, asked: list[Question], expected: list[Any]) -> None:
    for question, wanted in zip(asked, expected, strict=True):
        found = await answer(log, question)
        assert _close(found, wanted), (question, [*_differences(found, wanted)])


async def _compared(
    pool: Pool, folder: Path, count: int, seed: int, windows: Any, filters: Any
) -> None:
    await with_partitions(pool, *_DAYS)
    rows = some(count, seed)
    log = Log(pool)
    await log.insert_rows(rows)
    asked = _questions(rows, windows, filters)
    expected = [await answer(log, question) for question in asked]
    both = Log(pool, archive=folder)
    # Half: one day, and of another the ok rows.
    await archived(pool, folder, retain=21 * DAY, retain_failures=40 * DAY)
    assert files_of(folder)
    await same(both, asked, expected)
    await archived(pool, folder)
    await same(both, asked, expected)
    [restored] = [
        one
        async for one in restore_archive(
            pool, archive=folder, until=midnight(21) - timedelta(microseconds=1)
        )
    ]
    assert restored.restored
    await same(both, asked, expected)


async def test_the_archive_makes_no_difference(pool: Pool, folder: Path) -> None:
    await _compared(pool, folder, 60, 1, _WINDOWS[:1], _FILTERS[:3])


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_the_archive_makes_no_difference_to_any_filter(pool: Pool, folder: Path) -> None:
    await _compared(pool, folder, 80, 2, _WINDOWS, _FILTERS)


def _value(parameter: Parameter, file: str) -> Any:
    if parameter.name == "paths":
        return [file]
    if parameter.name == "trace_ids":
        return [UUID(int=1).hex]
    if parameter.name in ("durations", "weights") or parameter.name.startswith("given_"):
        return "[]"
    return "[0.5]" if parameter.name == "fractions" else _VALUES[parameter.type]


def test_each_statement_of_files_can_be_prepared(tmp_path: Path) -> None:
    """In every shape of one switch or filter, and of all filters together."""
    file = tmp_path / "part.parquet"
    with duckdb.connect() as engine:
        engine.execute(_EMPTY)
        engine.execute(f"copy empty to '{file}' (format parquet)")
        for statement in statements_of_files().values():
            own = {"before_created_at", "before_id", "before_strategy_id"} & statement.filters
            spans = {"span_paths", "span_begins", "span_ends", "span_whole"}
            drawn = {"drawn_kinds", "drawn_hashes", "drawn_others"} & statement.filters
            alone = statement.filters - own - spans - drawn
            chosen = [set[str](), {*own}, {*spans}, {*drawn}, {*alone, *own, *spans, *drawn}]
            chosen += [{one} for one in (*alone, *statement.switches)]
            for one in chosen:
                shape = statement.shape(frozenset(one))
                engine.execute(shape.sql, [_value(one, str(file)) for one in shape.parameters])


async def test_a_file_that_is_damaged_is_named(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20, 21)
    rows = [row(created_at=midnight(20), trace=["x" * 1000]), row(created_at=midnight(21))]
    await Log(pool).insert_rows(rows)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    damaged = folder / path(20)
    damaged.write_bytes(damaged.read_bytes().replace(b"PAR1", b"PAR0"))
    with pytest.raises(ArchiveError, match=re.escape(path(20))):
        await log.list_executions()
    with pytest.raises(ArchiveError, match=re.escape(path(20))):
        _ = [one async for one in log.stream()]
    assert await log.list_executions(until=midnight(21)) == rows[1:]
    assert await log.count_executions(until=midnight(21)) == 1
    (folder / path(20)).unlink()
    with pytest.raises(ArchiveError, match=re.escape(path(20))):
        await log.count_by_status(strategy_id=rows[0].strategy_id)
    assert await log.list_executions(until=midnight(21)) == rows[1:]


async def test_a_folder_that_is_away_is_named(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    old, new = row(created_at=midnight(20)), row()
    await Log(pool).insert_rows([old, new])
    await archived(pool, folder)
    log = Log(pool, archive=folder.with_name("other"))
    with pytest.raises(ArchiveError, match="other is no archive"):
        await log.list_executions()
    assert await log.list_executions(since=midnight(1)) == [new]
    assert await log.get(id=new.id) == new
    assert await log.list_executions(limit=1) == [new]


async def test_a_tenant_role_reads_no_files(dsn: str, pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    rows = [row(created_at=midnight(20), realm_id="r"), row(realm_id="r")]
    await Log(pool).insert_rows(rows)
    await archived(pool, folder)
    role = f"tenant_{rows[0].id.hex[:12]}"
    await pool.execute(
        f"create role {role};"
        f"grant usage on schema execlog to {role};"
        f"grant select on all tables in schema execlog to {role};"
        f"grant execute on all functions in schema execlog to {role};"
        f"alter table {TABLE} enable row level security;"
        f"create policy own on {TABLE} for select to {role} using (realm_id = 'r')"
    )

    as_tenant = {"role": role}
    try:
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings=as_tenant
        ) as theirs:
            log = Log(theirs, archive=folder)
            with pytest.raises(QueryRejected, match="row level security"):
                await log.list_executions()
            with pytest.raises(QueryRejected, match="row level security"):
                _ = [one async for one in log.stream()]
            with pytest.raises(QueryRejected, match="row level security"):
                await log.get(id=rows[0].id)
            with pytest.raises(QueryRejected, match="row level security"):
                await log.count_executions()
            assert await log.list_executions(since=midnight(1)) == rows[1:]
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")


async def test_commands_read_the_folder_or_say_where_rows_are(
    dsn: str, pool: Pool, folder: Path
) -> None:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20), status="error", error_code="E1")
    await Log(pool).insert_rows([old])
    await archived(pool, folder)
    for words in (["export"], ["show", str(old.id)]):
        ours = await asyncio.to_thread(run, *words, "--dsn", dsn, "--archive", str(folder))
        assert (ours.returncode, old.id.hex[:8] in ours.stdout) == (0, True), ours
        assert "--archive" not in ours.stderr
        without = await asyncio.to_thread(run, *words, "--dsn", dsn)
        assert f"are in the archive in {folder} on " in without.stderr, without
        assert "read them with --archive" in without.stderr
        assert old.id.hex[:8] not in without.stdout


@pytest.mark.parametrize(
    "words", [["breakdown", "a", "--by", "case"], ["explain", "a"]], ids=lambda words: words[0]
)
async def test_commands_of_rows_alone_say_where_others_are(
    dsn: str, pool: Pool, folder: Path, words: list[str]
) -> None:
    await with_partitions(pool, 20)
    await Log(pool).insert_rows([row(created_at=midnight(20), strategy_id="a")])
    await archived(pool, folder)
    said = f"are in the archive in {folder} on "
    old = await asyncio.to_thread(run, *words, "--since", "30d", "--dsn", dsn)
    new = await asyncio.to_thread(run, *words, "--since", "1d", "--dsn", dsn)
    assert (said in old.stderr, said in new.stderr) == (True, False), (old, new)
    assert old.stderr.count("archive in") == 1
    _ = [one async for one in restore_archive(pool, archive=folder)]
    again = await asyncio.to_thread(run, *words, "--since", "30d", "--dsn", dsn)
    assert said not in again.stderr
    assert "read them with --archive" in old.stderr


@pytest.mark.long
async def test_commands_of_numbers_read_the_folder(dsn: str, pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    old = [row(created_at=midnight(20), strategy_id="a", status=one) for one in ("ok", "error")]
    await Log(pool).insert_rows(old)
    commands = [
        ["breakdown", "a", "--by", "user", "--since", "30d", "--json"],
        ["check", "a", "--max-error-rate", "1%", "--type", "DSL_FULL", "--since", "30d", "--json"],
        ["summary", "a", "--until", "2100-01-01", "--json"],
        ["compare", "a", "--realms", "a", "b", "--until", "2100-01-01", "--json"],
    ]

    async def answers(*more: str) -> list[tuple[int, str, str]]:
        runs = [await asyncio.to_thread(run, *words, "--dsn", dsn, *more) for words in commands]
        return [(one.returncode, one.stdout, one.stderr) for one in runs]

    expected = await answers()
    await archived(pool, folder)
    assert await answers("--archive", str(folder)) == expected
    assert [code for code, *_ in expected] == [0, 3, 0, 0]
    said = [stderr.count("read them with --archive") for *_, stderr in await answers()]
    assert said == [1, 1, 0, 0]  # rollups have counted what was moved
    (wrong := folder / "file").touch()
    for code, _, stderr in await answers("--archive", str(wrong)):
        assert (code, stderr) == (1, f"execlog: {wrong}: not a directory\n")


async def test_an_absent_value_is_looked_for_in_files(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20), strategy_id="a", realm_id="r", status="odd")
    await Log(pool).insert_rows([old])
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    asked: dict[str, Any] = {
        "strategy_id": ["a", "b"],
        "realm_id": ["r", "s"],
        "strategy_version": [old.strategy_version, 9],
        "status": ["other", "failed", "error"],
    }
    absent = {"realm_id": ["s"], "status": ["error"], "strategy_id": ["b"]}
    assert await log.list_absent(**asked) == {**absent, "strategy_version": ["9"]}


async def test_pages_show_what_a_scope_may_see(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    mine, other = (
        row(created_at=midnight(20), realm_id=realm, input={"k": "secret"}, trace=[{"v": "covert"}])
        for realm in ("r", "s")
    )
    await Log(pool).insert_rows([mine, other])
    await archived(pool, folder)
    app = create_app(pool, archive=folder, authorize=lambda request: Scope(realms=["r"]))
    transport = httpx2.ASGITransport(app=app, client=("127.0.0.1", 50000))
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as site:
        page = await site.get(f"/executions?id={mine.strategy_id}&since=40d")
        assert (str(mine.id) in page.text, str(other.id) in page.text) == (True, False)
        found = await site.get(f"/execution?id={mine.id}")
        assert found.status_code == 200
        assert "secret" not in found.text and "covert" not in found.text
        assert (await site.get(f"/execution?id={other.id}")).status_code == 404
        (folder / path(20)).unlink()
        assert (await site.get(f"/execution?id={mine.id}")).status_code == 503


async def test_a_role_without_the_right_to_inputs_reads_none_of_files(
    dsn: str, pool: Pool, folder: Path
) -> None:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20), input={"k": 1}, trace=["t"])
    await Log(pool).insert_rows([old])
    await archived(pool, folder)
    role = f"reader_{old.id.hex[20:]}"
    columns = ", ".join(name for name in (*COLUMNS, "stored_at") if name != "input")
    await pool.execute(
        f"create role {role};"
        f"grant usage on schema execlog to {role};"
        f"grant select ({columns}) on {TABLE} to {role};"
        f"grant select on execlog.archive, execlog.archived_file to {role};"
        f"grant execute on all functions in schema execlog to {role}"
    )
    try:
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings={"role": role}
        ) as theirs:
            expected = [old.model_copy(update={"input": None})]
            for question in (
                ("stream", {}),
                ("list_executions", {}),
                ("list_by_prefix", {"prefix": str(old.id)}),
            ):
                assert await answer(Log(theirs, archive=folder), question) == expected
            assert [await Log(theirs, archive=folder).get(id=old.id)] == expected
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")


async def test_a_stream_takes_many_steps_through_a_file(pool: Pool, folder: Path) -> None:
    """Most runs have one of few times: a step ends among equal ones."""
    await with_partitions(pool, 20, 21)
    draw = random.Random(4)
    times = [midnight(20) + timedelta(seconds=second) for second in (0, 1, 86399)]
    rows = [
        row(
            id=UUID(int=draw.getrandbits(128)),
            created_at=draw.choice((*times, midnight(21) + draw.random() * DAY)),
            strategy_id=draw.choice(("a", "b")),
        )
        for _ in range(2500)
    ]
    log = Log(pool)
    await log.insert_rows(rows)
    asked: list[Question] = [("stream", {}), ("stream", {"strategy_id": "a", "until": times[1]})]
    expected = [await answer(log, question) for question in asked]
    await archived(pool, folder)
    await same(Log(pool, archive=folder), asked, expected)
    async with contextlib.aclosing(Log(pool, archive=folder).stream()) as left:
        assert await anext(left) == expected[0][0]
    assert pool.get_idle_size() == pool.get_size()


async def test_a_read_of_files_ends_in_time(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20))
    await Log(pool).insert_rows([old])
    await archived(pool, folder)
    files = files_of_folder(folder)
    assert files is not None
    now = asyncio.get_running_loop().time()
    with pytest.raises(StoreUnavailable, match="no answer in time"):
        await files.rows("page", [path(20)], now - 1, realm_ids=None, limit=1)
    [found] = await files.rows("page", [path(20)], now + 30, realm_ids=None, limit=1)
    assert found["id"] == old.id
