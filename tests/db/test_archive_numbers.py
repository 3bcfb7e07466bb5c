"""Cards, breakdowns and nodes of windows that reach into files: what is exact, what is not."""

from __future__ import annotations

import asyncio
import functools
import itertools
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import asyncpg
import pytest

from execlog import (
    ArchiveError,
    QueryRejected,
    StoreUnavailable,
    StrategyComparison,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    restore_archive,
)
from execlog.archive import files
from execlog.archive.place import Place
from execlog.db.executor import Store
from execlog.db.statements import Query
from execlog.repository.breakdown import BY
from tests.archiving import archived, midnight, path, with_partitions
from tests.databases import TABLE, WAITING
from tests.db.test_archive_reads import Question, answer, same, some
from tests.maintaining import DAY
from tests.rows import row
from tests.types import Pool

Log = StrategyExecutionLogRepository
Asked = Callable[[Log], Awaitable[Any]]
_BOUND = "execlog.repository.both.MOST_OF_LOG"
_GROUPS = "execlog.archive.summing.MOST_GROUPS_OF_EITHER"
_DURATIONS = "execlog.repository.both._MOST_DURATIONS"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def _questions(strategy: str) -> dict[str, Asked]:
    return {
        "metrics": lambda log: log.metrics(strategy_id=strategy),
        "compare": lambda log: log.compare(strategy, "other"),
        "breakdown": lambda log: log.breakdown(by="status", strategy_id=strategy),
        "breakdown of all": lambda log: log.breakdown(by="strategy_id"),
        "node_times": lambda log: log.node_times(strategy_id=strategy),
        "count_by_points": lambda log: log.count_by_points(strategy_id=strategy),
        "sample_durations": lambda log: log.sample_durations(strategy_id=strategy),
        "sample_points": lambda log: log.sample_points(strategy_id=strategy),
        "duration_percentiles": lambda log: log.duration_percentiles(strategy_id=strategy),
    }


async def _half(pool: Pool, folder: Path, count: int = 3) -> list[StrategyExecutionLog]:
    """As many old rows, which are in files, and as many of today."""
    await with_partitions(pool, 20)
    old = [
        row(created_at=midnight(20) + timedelta(hours=at), strategy_id="s", duration_ms=10.0 + at)
        for at in range(count)
    ]
    new = [row(strategy_id="s", duration_ms=1000.0 + at) for at in range(count)]
    await Log(pool).insert_rows([*old, *new])
    await archived(pool, folder)
    return [*old, *new]


def _asked_of_all(window: dict[str, Any]) -> list[Question]:
    asked: list[Question] = []
    fractions = (0.0, 0.1, 0.5, 0.9, 0.95, 0.999, 1.0)
    for name in ("a", "b"):
        scope = {**window, "strategy_id": name}
        asked += [
            ("metrics", scope),
            ("count_by_points", scope),
            ("compare", {**window, "a": name, "b": "ä", "realm_id": ["r"]}),
            ("duration_percentiles", {**scope, "fractions": fractions}),
            ("sample_durations", {**scope, "limit": 77}),
            ("node_times", scope),
        ]
    orders = itertools.cycle(("failures", "p99", "runs", "error_rate"))
    for by, order in zip((*BY, "attributes.k"), orders, strict=False):
        asked.append(("breakdown", {**window, "by": by, "order": order, "limit": 20}))
    return asked


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_numbers_of_many_rows_are_the_same(pool: Pool, folder: Path) -> None:
    """Groups of many runs that weigh differently."""
    await with_partitions(pool, 20, 21, 22)
    log = Log(pool)
    await log.insert_rows(some(500, 11))
    asked = [*_asked_of_all({}), *_asked_of_all({"since": midnight(21)})]
    expected = [await answer(log, question) for question in asked]
    await archived(pool, folder, retain=21 * DAY, retain_failures=40 * DAY)
    await same(Log(pool, archive=folder), asked, expected)
    await archived(pool, folder)
    await same(Log(pool, archive=folder), asked, expected)


async def test_runs_of_the_log_are_handed_over_in_pieces(pool: Pool, folder: Path) -> None:
    """A row of the driver a run would be so many objects that the event loop stands still."""
    await with_partitions(pool, 20)
    await Log(pool).insert_rows([row(created_at=midnight(20), strategy_id="s", points=3.0)])
    await pool.execute(
        f"insert into {TABLE} (id, created_at, strategy_id, strategy_version, strategy_type,"
        " status, external_user_id, duration_ms, nodes_executed, points, sample_rate)"
        " select gen_random_uuid(), case when n > 2 then now() end, 's', n % 3, 't', 'ok', 'ü\"' ||"
        " n % 9, n / 7.0, n, -n, 1 / (1 + n % 2)::float8 from generate_series(1, 5001) as n"
    )
    asked: list[Question] = [
        ("metrics", {"strategy_id": "s"}),
        ("count_by_points", {"strategy_id": "s"}),
        ("duration_percentiles", {"strategy_id": "s"}),
        ("breakdown", {"by": "external_user_id"}),
    ]
    expected = [await answer(Log(pool), question) for question in asked]
    await archived(pool, folder)
    given: list[int] = []
    fetched = Store.together

    async def counted(self: Store, *queries: Query, **named: Any) -> Any:
        found = await fetched(self, *queries, **named)
        given.append(len(found[-1]))
        return found

    with mock.patch.object(Store, "together", counted):
        await same(Log(pool, archive=folder), asked, expected)
    assert max(given) <= 12, given


async def test_a_tenant_role_is_told_no_numbers_of_files(
    dsn: str, pool: Pool, folder: Path
) -> None:
    [old, _] = await _half(pool, folder, 1)
    role = f"tenant_{old.id.hex[12:24]}"
    await pool.execute(
        f"create role {role};"
        f"grant usage on schema execlog to {role};"
        f"grant select on all tables in schema execlog to {role};"
        f"grant execute on all functions in schema execlog to {role};"
        f"alter table {TABLE} enable row level security;"
        f"create policy own on {TABLE} for select to {role} using (realm_id = 'r')"
    )
    try:
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings={"role": role}
        ) as theirs:
            for name, asked in _questions("s").items():
                with pytest.raises(QueryRejected, match="row level security"):
                    await asked(Log(theirs, archive=folder))
                    pytest.fail(name)
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")


async def test_a_file_that_is_away_is_named_by_each(pool: Pool, folder: Path) -> None:
    await _half(pool, folder, 1)
    (folder / path(20)).unlink()
    for name, asked in _questions("s").items():
        with pytest.raises(ArchiveError, match="is missing"):
            await asked(Log(pool, archive=folder))
            pytest.fail(name)


async def test_of_many_runs_of_the_log_a_card_is_of_rollups(pool: Pool, folder: Path) -> None:
    rows = await _half(pool, folder)
    log = Log(pool, archive=folder)
    exact = await log.metrics(strategy_id="s")
    assert (exact.duration.method, exact.rows_from) == ("exact", None)
    with mock.patch(_BOUND, 2):
        card = await log.metrics(strategy_id="s")
        assert card.duration.method == "sketch"
        assert card.status_breakdown == exact.status_breakdown
        assert card.rows_from is not None
        [group] = await log.breakdown(by="strategy_id", strategy_id="s")
        assert (group.method, group.runs) == ("sketch", len(rows))
        for by in ("status", "external_user_id"):
            with pytest.raises(ArchiveError, match="more than 2 runs of these times: ask about"):
                await log.breakdown(by=by, strategy_id="s")
        [group] = await log.breakdown(by="status", strategy_id="s", details=False)
        assert (group.value, group.runs, group.method) == ("ok", len(rows), "exact")
        with pytest.raises(ArchiveError, match="more than 2 runs"):
            await log.count_by_points(strategy_id="s")


async def test_groups_without_details_add_up(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    rows = [
        row(created_at=midnight(days), case_name=case, points=points)
        for days in (20, 0)
        for case, points in ((None, None), ("a", 1.5), ("b", None), (f"of {days}", 2.0))
    ]
    log = Log(pool)
    await log.insert_rows(rows)
    asked: dict[str, Any] = {"by": "case_name", "details": False, "order": "runs", "limit": 4}
    expected = await log.breakdown(**asked)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    assert await log.breakdown(**asked) == expected
    with mock.patch(_GROUPS, 3), pytest.raises(ArchiveError, match="more than 3 groups"):
        await log.breakdown(**asked)


async def test_without_rollups_a_card_is_exact_or_refused(pool: Pool, folder: Path) -> None:
    rows = await _half(pool, folder)
    await pool.execute("update execlog.rollup_state set enabled = false")
    log = Log(pool, archive=folder)
    card = await log.metrics(strategy_id="s")
    assert (card.status_breakdown.total, card.duration.method) == (len(rows), "exact")
    both = await log.compare("s", "other")
    assert (both.a, both.intervals.error_rate.significant) == (card, None)
    with mock.patch(_BOUND, 2), pytest.raises(ArchiveError, match="more than 2 runs"):
        await log.metrics(strategy_id="s")
    with mock.patch(_BOUND, 2), pytest.raises(ArchiveError, match="more than 2 runs"):
        await log.breakdown(by="strategy_id", strategy_id="s")
    with pytest.raises(ArchiveError, match="are in the archive"):
        await log.metrics(strategy_id="s", timeout=1e-6)


async def test_a_window_within_a_minute_is_of_its_rows(pool: Pool, folder: Path) -> None:
    """Rollups have whole minutes."""
    await with_partitions(pool, 20)
    begin = midnight(20)
    rows = [
        row(created_at=begin + timedelta(seconds=at), strategy_id="s", duration_ms=10.0 + at)
        for at in range(3)
    ]
    await Log(pool).insert_rows(rows)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    window: dict[str, Any] = {"since": begin, "until": begin + timedelta(milliseconds=1500)}
    card = await log.metrics(strategy_id="s", **window)
    assert (card.status_breakdown.total, card.duration.p50_ms) == (2, 10.5)
    [group] = await log.breakdown(by="strategy_id", strategy_id="s", **window)
    assert (group.runs, group.users, group.p50_ms) == (2, 0, 10.5)


async def test_percentiles_of_many_durations_are_of_a_sample(pool: Pool, folder: Path) -> None:
    rows = await _half(pool, folder)
    log = Log(pool, archive=folder)
    exact = await log.duration_percentiles(strategy_id="s")
    with mock.patch(_DURATIONS, 2):
        found = await log.duration_percentiles(strategy_id="s")
    assert (exact.method, found.method) == ("exact", "sample")
    assert found.values_ms == pytest.approx(exact.values_ms)
    assert found.sample_size == exact.sample_size == len(rows)


async def test_attributes_are_told_apart_by_their_text(pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20)
    texts = ['a"b', "\\", '\\"k": 1, ', "line\nbreak", "\x01\x1f\x7f", "ü\u2028", "", "null", "{},"]
    values = [*texts, 1, 1.0, 1.5e300, -0.25, True, False, "1", "true", "1.0"]
    rows = [
        row(created_at=midnight(days), attributes={"k": value, "j.k": "other", "z": "k"})
        for value in values
        for days in (20, 0)
    ]
    rows.append(row(created_at=midnight(20), attributes={"j": 1}))
    log = Log(pool)
    await log.insert_rows(rows)
    expected = await log.breakdown(by="attributes.k", order="runs")
    assert len(expected) > len(texts)
    await archived(pool, folder)
    assert await Log(pool, archive=folder).breakdown(by="attributes.k", order="runs") == expected


async def test_traces_of_both_share_the_room(pool: Pool, folder: Path) -> None:
    """Those that are too long are counted; of the others the newest are read."""
    await with_partitions(pool, 20)
    trace = [{"name": "n", "ms": 1.0, "text": "x" * 1000}]
    long = [{"name": "n", "ms": 1.0, "text": "x" * 300_000}]
    rows = [
        row(created_at=midnight(days) + timedelta(minutes=at), status="error", trace=kept)
        for days in (20, 0)
        for at, kept in enumerate((trace, long, trace))
    ]
    await Log(pool).insert_rows(rows)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    found = await log.node_times()
    assert (found.runs, found.left_out) == (4, 2)
    assert [(one.name, one.runs) for one in found.nodes] == [("n", 4)]
    with mock.patch("execlog.repository.breakdown.NEWEST", 4):
        found = await log.node_times()
    assert (found.runs, found.left_out) == (3, 1)


async def test_what_does_not_fit_into_memory_is_of_rollups(pool: Pool, folder: Path) -> None:
    rows = await _half(pool, folder)
    with mock.patch("execlog.archive.files._MEMORY", "1MB"):
        log = Log(pool, archive=folder)
        card = await log.metrics(strategy_id="s")
        assert (card.duration.method, card.status_breakdown.total) == ("sketch", len(rows))
        [group] = await log.breakdown(by="strategy_id", strategy_id="s")
        assert (group.method, group.runs) == ("sketch", len(rows))
        with pytest.raises(ArchiveError, match="1MB do not suffice"):
            await log.breakdown(by="status", strategy_id="s")


async def test_a_card_that_is_late_is_of_rollups(pool: Pool, folder: Path) -> None:
    rows = await _half(pool, folder)
    card = await Log(pool, archive=folder).metrics(strategy_id="s", timeout=1e-6)
    assert (card.duration.method, card.status_breakdown.total) == ("sketch", len(rows))


async def test_a_read_that_is_late_before_it_runs_ends_soon(pool: Pool, folder: Path) -> None:
    """What interrupts a statement of DuckDB before it runs has no effect."""
    await _half(pool, folder, 1)
    fetched = files._fetched

    def slow(cursor: Any, query: Query) -> list[dict[str, Any]]:
        time.sleep(0.1)
        endless = "select count(*) from range(100000000000) as a (n) where sqrt(n) > 3"
        return fetched(cursor, query._replace(sql=endless, values=()))

    reads = files.Files(Place(str(folder)))
    with mock.patch.object(files, "_fetched", slow):
        now = asyncio.get_running_loop().time()
        asked = reads.rows("count_executions", [path(20)], now, limit=1, realm_ids=None)
        with pytest.raises(StoreUnavailable, match="no answer in time"):
            await asyncio.wait_for(asked, 20)


async def test_runs_that_went_before_the_archive_began(pool: Pool, folder: Path) -> None:
    """Rollups alone hold them: what they can answer counts all, and says what it is of."""
    await with_partitions(pool, 30, 20)
    rows = [row(created_at=midnight(ago), strategy_id="s") for ago in (30, 20, 20, 0)]
    await Log(pool).insert_rows(rows)
    await archived(pool, None, retain=25 * DAY)
    await archived(pool, folder)
    log = Log(pool, archive=folder)
    card = await log.metrics(strategy_id="s")
    assert (card.status_breakdown.total, card.duration.method) == (4, "sketch")
    assert card.rows_from is not None
    [group] = await log.breakdown(by="strategy_id", strategy_id="s")
    assert (group.runs, group.users) == (4, None)
    later: dict[str, Any] = {"strategy_id": "s", "since": midnight(21)}
    card = await log.metrics(**later)
    assert (card.status_breakdown.total, card.duration.method) == (3, "exact")
    assert [one.runs for one in await log.breakdown(by="strategy_id", **later)] == [3]
    assert [one.runs for one in await log.breakdown(by="status", strategy_id="s")] == [3]


@pytest.mark.long
async def test_rows_that_are_moved_while_they_are_asked_about(pool: Pool, folder: Path) -> None:
    """To files or back, before any statement of a question: the answer is the same."""
    await _half(pool, folder)
    log = Log(pool, archive=folder)
    # Without rollups each answer is of rows; by sums, the second statement is not that of details.
    await pool.execute("update execlog.rollup_state set enabled = false")
    asked = _questions("s")
    asked["breakdown of sums"] = lambda log: log.breakdown(
        by="status", strategy_id="s", details=False
    )
    expected = {name: await one(log) for name, one in asked.items()}
    for name, one in asked.items():
        for at in (1, 2, 3):
            for move in (_restored, archived):
                moving = functools.partial(move, pool, folder)
                with mock.patch.multiple(Store, **_before(at, moving)):
                    found = await one(log)
                assert _told(found) == _told(expected[name]), (name, at, move)


async def test_a_partition_that_is_dropped_while_a_read_waits(pool: Pool, folder: Path) -> None:
    """Its snapshot is older than the drop, which it sees all the same."""
    rows = await _half(pool, folder)
    await _restored(pool, folder)
    name = f"{TABLE}_{midnight(20):%Y%m%d}"
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(f"lock table {TABLE} in access exclusive mode")
        asked = asyncio.ensure_future(Log(pool, archive=folder).count_executions(strategy_id="s"))
        for _ in range(500):
            if await pool.fetchval(f"select count(*) from {WAITING}"):
                break
            await asyncio.sleep(0.01)
        await connection.execute(f"drop table {name}")
        await connection.execute("update execlog.archived_file set in_log = '{}'")
    assert await asked == len(rows)


async def _restored(pool: Pool, folder: Path) -> None:
    _ = [one async for one in restore_archive(pool, archive=folder)]


def _told(found: Any) -> Any:
    """A comparison of rows of the log has intervals."""
    return (found.a, found.b) if isinstance(found, StrategyComparison) else found


def _before(at: int, move: Callable[[], Awaitable[Any]]) -> dict[str, Any]:
    """Moves rows before the store is asked for the nth time."""
    passed = 0

    def moving(asked: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def later(self: Store, *queries: Query, **named: Any) -> Any:
            nonlocal passed
            passed += 1
            if passed == at:
                await move()
            return await asked(self, *queries, **named)

        return later

    return {"fetch": moving(Store.fetch), "together": moving(Store.together)}
