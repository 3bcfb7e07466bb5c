"""A breakdown from rollups says what the rows do, and its percentiles are within their bound."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import Breakdown, StrategyExecutionLog
from execlog.ids import uuid7
from tests import databases
from tests.command import run
from tests.oracle import close, many
from tests.rolling import HOUR, START, Log, assert_bounded, both, lognormal, rolled_up
from tests.rows import row
from tests.types import Pool

MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)
MIDNIGHT = START.replace(hour=0, minute=0, second=0)
COLUMNS = ("strategy_id", "realm_id", "strategy_version")
EXACT = ("value", "runs", "failures", "last_seen")
CLOSE = ("error_rate", "error_rate_low", "error_rate_high", "avg_ms", "points_avg")
PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


def _row(dice: random.Random, at: datetime | None) -> StrategyExecutionLog:
    """One of three strategies; runs of a status have one weight, as with one recorder."""
    status = dice.choice(["ok", "ok", "ok", "error", "timeout", "limit", "odd"])
    return row(
        created_at=at,
        strategy_id=dice.choice("ab\u00e9"),
        strategy_version=dice.choice([-2, 3, 10]),
        realm_id=dice.choice([None, "", "r", "s"]),
        external_user_id=dice.choice([None, "u1", "u2"]),
        status=status,
        points=dice.choice([None, 0.0, 12.5, -3.0]),
        duration_ms=lognormal(dice),
        sample_rate=0.05 if status == "ok" else 1.0,
    )


def _rows(seed: int, number: int, *, undated: bool) -> list[StrategyExecutionLog]:
    dice = random.Random(seed)
    times = [MIDNIGHT + dice.random() * timedelta(days=3, hours=7) for _ in range(number)]
    return [_row(dice, None if undated and n % 50 == 0 else at) for n, at in enumerate(times)]


@pytest.fixture(scope="module")
async def shared(template: str) -> AsyncIterator[Pool]:
    """Three days and a part of the fourth, summed up, then late rows, and rows that are gone."""
    async with (
        databases.clone(template) as dsn,
        asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool,
    ):
        await pool.execute("update execlog.rollup_state set minute_runs = 5")
        await Log(pool).insert_rows(_rows(1, 1500, undated=True))
        await rolled_up(pool)
        late = [one for one in _rows(2, 40, undated=False) if one.strategy_id != "b"]
        await Log(pool).insert_rows(late)
        removed = "delete from execlog.strategy_execution_log where strategy_id = 'a'"
        await pool.execute(f"{removed} and created_at < $1", MIDNIGHT + 3 * HOUR)
        assert await pool.fetchval("select count(*) from execlog.rollup_mark") > 10
        yield pool


def same(rolled: list[Breakdown], exact: list[Breakdown], left_out: tuple[str, ...] = ()) -> None:
    assert [one.value for one in rolled] == [one.value for one in exact]
    for one, other in zip(rolled, exact, strict=True):
        assert [getattr(one, name) for name in EXACT] == [getattr(other, name) for name in EXACT]
        for name in CLOSE:
            if name not in left_out:
                assert close(getattr(one, name), getattr(other, name)), name
        assert (other.method, other.relative_error) == ("exact", 0.0)
        assert seen_then(one.first_seen, other.first_seen)


def alike(found: list[Breakdown], expected: list[Breakdown]) -> None:
    """The same but for the noise of sums in another order, which another plan may add up in."""
    assert [_rounded(one) for one in found] == [_rounded(one) for one in expected]


def _rounded(one: Breakdown) -> dict[str, Any]:
    fields = one.model_dump()
    return {
        name: float(f"{value:.12g}") if isinstance(value, float) else value
        for name, value in fields.items()
    }


def seen_then(found: datetime | None, first: datetime | None) -> bool:
    """Whether that is the time of the first, or the begin of its minute or hour."""
    if found is None or first is None:
        return found is first
    hour = first.replace(minute=0, second=0, microsecond=0)
    return found in (first, first.replace(second=0, microsecond=0), hour)


def sketched(rolled: list[Breakdown], exact: list[Breakdown]) -> None:
    for one, other in zip(rolled, exact, strict=True):
        assert (one.method, one.users) == ("sketch", None)
        assert one.relative_error == 0.01
        assert other.users is not None
        for name in PERCENTILES:
            assert_bounded(getattr(one, name), getattr(other, name))


WINDOWS = {
    "all": {},
    "whole days": {"since": MIDNIGHT, "until": MIDNIGHT + timedelta(days=3)},
    "odd ends": {"since": MIDNIGHT + 17 * MINUTE + SECOND, "until": START + timedelta(days=2)},
    "from a day on": {"since": MIDNIGHT + timedelta(days=1, minutes=59, seconds=59)},
}
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "one strategy": {"strategy_id": "a"},
    "two": {"strategy_id": ["b", "\u00e9"]},
    "a tenant": {"realm_id": "r"},
    "a tenant of one": {"strategy_id": "b", "realm_id": ["", "s"]},
    "versions": {"strategy_version": [-2, 10], "realm_id": None},
    "no such": {"realm_id": "none such"},
    "none at all": {"strategy_version": []},
}


@pytest.mark.parametrize("by", COLUMNS)
@pytest.mark.parametrize("window", WINDOWS)
async def test_what_rollups_say_is_what_rows_say(shared: Pool, by: str, window: str) -> None:
    for filters in FILTERS.values():
        scope: dict[str, Any] = {"by": by, **WINDOWS[window], **filters}
        rolled, exact = await both(shared, lambda log: log.breakdown(**scope))  # noqa: B023
        same(rolled, exact)
        sketched(rolled, exact)
        assert bool(rolled) is (filters not in (FILTERS["no such"], FILTERS["none at all"]))


@pytest.mark.parametrize("by", COLUMNS)
async def test_orders_limits_and_details(shared: Pool, by: str) -> None:
    log = Log(shared)
    for order in ("failures", "runs", "error_rate"):
        scope: dict[str, Any] = {"by": by, "order": order, "since": MIDNIGHT}
        rolled, exact = await both(shared, lambda log: log.breakdown(**scope))  # noqa: B023
        same(rolled, exact)
        await shared.execute("update execlog.rollup_state set exact_runs = -1")
        alike(await log.breakdown(**scope, limit=2), rolled[:2])
        bare = await log.breakdown(**scope, details=False)
        no_details = dict.fromkeys((*PERCENTILES, "relative_error"))
        alike(bare, [one.model_copy(update=no_details) for one in rolled])
    slowest = await log.breakdown(by=by, order="p99", since=MIDNIGHT)
    alike(slowest, sorted(rolled, key=lambda one: -(one.p99_ms or 0.0)))
    alike(await log.breakdown(by=by, order="p99", since=MIDNIGHT, limit=1), slowest[:1])
    bare = await log.breakdown(by=by, order="p99", since=MIDNIGHT, details=False)
    assert [one.value for one in bare] == [one.value for one in slowest]
    assert {one.p99_ms for one in bare} == {None}


async def test_few_runs_and_what_rollups_do_not_tell_apart_are_of_rows(shared: Pool) -> None:
    log = Log(shared)
    await shared.execute("update execlog.rollup_state set exact_runs = 400")
    few: dict[str, Any] = {"since": MIDNIGHT, "until": MIDNIGHT + 5 * HOUR}
    for scope, method in (
        ({"by": "realm_id", **few}, "exact"),
        ({"by": "realm_id", "strategy_id": "a", **few}, "exact"),
        ({"by": "realm_id"}, "sketch"),
        ({"by": "realm_id", "strategy_id": "b", "no_case": False}, "sketch"),
        ({"by": "realm_id", "status": "failed"}, "exact"),
        ({"by": "realm_id", "min_nodes": 0}, "exact"),
        ({"by": "case_name"}, "exact"),
    ):
        found = await log.breakdown(**scope)
        assert {one.method for one in found} == {method}
        assert {one.users is None for one in found} == {method == "sketch"}


async def test_a_log_over_a_cluster_is_read_from_rows(shared: Pool) -> None:
    await shared.execute("update execlog.rollup_state set exact_runs = -1")
    found = await Log(shared, spread=True).breakdown(by="realm_id")
    assert {one.method for one in found} == {"exact"}


async def test_a_server_that_can_not_group_rollups_is_asked_once(pool: Pool) -> None:
    """As a cluster whose log is not known to be spread."""
    log = Log(pool)
    await log.insert_rows(_rows(4, 20, undated=False))
    await rolled_up(pool)
    await pool.execute("update execlog.rollup_state set exact_runs = -1")
    await pool.execute(
        "alter function execlog.rollup_parts rename to kept;"
        " create function execlog.rollup_parts(text, timestamptz, timestamptz)"
        " returns setof execlog.rollup_part language plpgsql"
        " as $$ begin raise feature_not_supported; end $$"
    )
    assert {one.method for one in await log.breakdown(by="realm_id")} == {"exact"}
    await pool.execute(
        "drop function execlog.rollup_parts(text, timestamptz, timestamptz);"
        " alter function execlog.kept rename to rollup_parts"
    )
    assert {one.method for one in await log.breakdown(by="realm_id")} == {"exact"}
    assert {one.method for one in await Log(pool).breakdown(by="realm_id")} == {"sketch"}
    window: dict[str, Any] = {"since": MIDNIGHT, "until": MIDNIGHT + timedelta(days=4)}
    assert await log.activity(**window) == await Log(pool).activity(**window)


async def test_the_command_says_that_percentiles_are_sketched(template: str) -> None:
    async with databases.clone(template) as dsn:
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await Log(pool).insert_rows(_rows(3, 20, undated=False))
            await rolled_up(pool)
            await pool.execute("update execlog.rollup_state set exact_runs = -1")
        words = ("breakdown", "--since", "2026-11-01T00:00:00Z", "--dsn", dsn, "--by")
        said = "execlog: of rollups: percentiles are within 1 %, users are not counted\n"
        assert run(*words, "version").stderr == said
        assert run(*words, "case").stderr == ""
        assert run(*words, "version", "--no-details").stderr == ""


async def test_a_card_says_the_same(shared: Pool) -> None:
    await shared.execute("update execlog.rollup_state set exact_runs = -1")
    for version in (-2, 3):
        scope: dict[str, Any] = {"strategy_id": "b", "strategy_version": version}
        card = await Log(shared).metrics(**scope)
        [found] = await Log(shared).breakdown(by="strategy_id", **scope)
        took = card.duration
        assert (found.p50_ms, found.p95_ms, found.p99_ms) == (took.p50_ms, took.p95_ms, took.p99_ms)
        assert (found.runs, found.relative_error) == (
            card.status_breakdown.total,
            took.relative_error,
        )


async def test_runs_whose_rows_are_gone_have_no_version_if_it_was_not_summed_up(
    pool: Pool,
) -> None:
    log = Log(pool)
    for version in (1, 2):
        await log.insert_rows(
            row(strategy_version=version, created_at=MIDNIGHT + version * HOUR) for _ in range(5)
        )
    await rolled_up(pool)
    await pool.execute("delete from execlog.strategy_execution_log where strategy_version = 1")
    # As the first wave's rollups are, whose rows were removed before versions were told apart.
    await pool.execute("delete from execlog.rollup_mark")
    await pool.execute(
        "update execlog.rollup set strategy_version = null where strategy_version = 1"
    )
    await pool.execute(
        "update execlog.rollup_state set rows_from = $1, versions_from = $1, exact_runs = -1",
        MIDNIGHT + 2 * HOUR,
    )
    found = await log.breakdown(by="strategy_version")
    assert [(one.value, one.runs) for one in found] == [(2, 5), (None, 5)]
    assert found[1].first_seen == MIDNIGHT + HOUR


@pytest.mark.long
@many
@given(seed=st.integers(0, 2**32), begin=st.integers(0, 80 * 60), length=st.integers(0, 80 * 60))
async def test_any_window(shared: Pool, seed: int, begin: int, length: int) -> None:
    """Weights differ within a status, so that the interval is near, and no wider."""
    dice = random.Random(seed)
    rows = [
        one.model_copy(update={"id": uuid7(), "strategy_id": f"{seed}-{one.strategy_id}"})
        for one in _rows(seed, 60, undated=True)
    ]
    await Log(shared).insert_rows(
        one.model_copy(update={"sample_rate": dice.choice([1.0, 0.5, 0.1])}) for one in rows
    )
    if dice.random() < 0.7:
        await rolled_up(shared)
    since = MIDNIGHT + begin * MINUTE
    scope: dict[str, Any] = {"since": since, "until": since + length * MINUTE}
    for names in ([f"{seed}-a"], [f"{seed}-a", f"{seed}-b"]):
        for by in COLUMNS:
            rolled, exact = await both(
                shared,
                lambda log: log.breakdown(by=by, strategy_id=names, **scope),  # noqa: B023
            )
            same(rolled, exact, ("error_rate_low", "error_rate_high"))
            for one, other in zip(rolled, exact, strict=True):
                assert one.error_rate_low >= other.error_rate_low - 1e-9
                assert one.error_rate_high <= other.error_rate_high + 1e-9
                for name in PERCENTILES:
                    assert_bounded(getattr(one, name), getattr(other, name))
