"""An explanation of a log that is all rows, half archive, and all archive: the same answer."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from execlog import (
    ArchiveError,
    Explanation,
    QueryRejected,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    restore_archive,
)
from execlog.repository import explain
from execlog.repository.explain_drawing import hashed
from execlog.repository.questions import Questions
from tests.archiving import archived, files_of, listed, midnight, path, with_partitions
from tests.databases import TABLE
from tests.db.test_explain import planted
from tests.explaining import runs
from tests.maintaining import DAY
from tests.rows import STRATEGY, T0
from tests.types import Pool

Log = StrategyExecutionLogRepository
HOUR = timedelta(hours=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def old_runs(**changes: Any) -> list[StrategyExecutionLog]:
    """The last hour of a day and the first one of the next, in which version 4 fails more often."""
    shift = midnight(20) - T0
    dice = random.Random(5)
    found = []
    for one in runs(planted(strategy_version=4), values=_values, kept=0.5, **changes):
        assert one.created_at is not None
        is_slow = one.strategy_version == 4 and one.created_at >= T0
        moved = {
            "created_at": one.created_at + shift,
            "duration_ms": dice.expovariate(1) * (5 if is_slow else 1),
            "points": dice.choice((None, 1.5, -2.0, 1e300)) if one.status == "ok" else None,
            "nodes_executed": dice.choice((0, 1, 7, 900)),
        }
        found.append(one.model_copy(update=moved))
    return found


def _values(dice: random.Random, after: bool) -> dict[str, Any]:
    country = dice.choice(["de", "fr", 'q", "beta": true, "x": "\\', "ü\n"])
    attributes = {"country": country, "beta": dice.random() < 0.5, "n": dice.choice((1, 1.5, 2))}
    return {
        "attributes": dice.choice([None, {}, attributes, {**attributes, "each": dice.random()}]),
        "external_user_id": dice.choice((None, "u1", "u2")),
        "external_task_id": f"task-{dice.randrange(10**6)}",
    }


_WINDOW: dict[str, Any] = {"since": midnight(20), "until": midnight(20) + HOUR}
_QUESTIONS: list[dict[str, Any]] = [
    {},
    {"measure": "duration", "strategy_type": "DSL_FULL"},
    {"measure": "points", "by": ["strategy_version", "external_user_id", "attributes.country"]},
    {"measure": "case:rule", "attributes": {"beta": True}},
    {"status": ["ok", "error"], "baseline_since": midnight(20) - HOUR / 2},
]


def _same(found: Any, expected: Any) -> None:
    """Equal but for the last digits of sums."""
    if isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-9)
    elif isinstance(expected, Mapping):
        assert found.keys() == expected.keys()
        for name in expected:
            _same(found[name], expected[name])
    elif isinstance(expected, Sequence) and not isinstance(expected, str):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            _same(one, other)
    else:
        assert found == expected


async def _explained(log: Log, asked: dict[str, Any]) -> Explanation:
    return await log.explain(strategy_id=STRATEGY, **{**_WINDOW, **asked})


async def _compared(
    pool: Pool, folder: Path, rows: Sequence[StrategyExecutionLog], questions: Any
) -> list[Explanation]:
    await with_partitions(pool, 20, 21)
    log = Log(pool)
    await log.insert_rows(rows)
    expected = [await _explained(log, one) for one in questions]
    both = Log(pool, archive=folder)
    # Half: the ok rows of one day; of the other all are in the log.
    await archived(pool, folder, retain=20 * DAY, retain_failures=40 * DAY)
    assert files_of(folder)
    for one, answer in zip(questions, expected, strict=True):
        _same((await _explained(both, one)).model_dump(), answer.model_dump())
    await archived(pool, folder)
    for one, answer in zip(questions, expected, strict=True):
        _same((await _explained(both, one)).model_dump(), answer.model_dump())
    return expected


async def test_the_archive_makes_no_difference_to_an_explanation(pool: Pool, folder: Path) -> None:
    await _compared(pool, folder, old_runs(a_minute=12), _QUESTIONS[:1])


async def test_of_the_window_before_the_log_may_have_all_runs(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The durations before tell which runs are slow, and files hold none of these."""
    await with_partitions(pool, 20, 21)
    await Log(pool).insert_rows(old_runs(a_minute=12))
    expected = await _explained(Log(pool), {"measure": "duration"})
    await archived(pool, folder)
    both = Log(pool, archive=folder)
    _ = [one async for one in restore_archive(pool, archive=folder, until=midnight(20) - HOUR / 60)]
    assert [in_log != "{}" for *_, in_log, _ in await listed(pool)] == [True, False]
    found = await _explained(both, {"measure": "duration"})
    _same(found.model_dump(), expected.model_dump())
    # Nothing is slow if no run was before.
    alone = {"measure": "duration", "baseline_since": midnight(25), "baseline_until": midnight(24)}
    found = await _explained(both, alone)
    assert (found.runs_before, found.runs_after > 0, found.after) == (0, True, 0.0)
    # All are restored while it is asked.
    _ = [one async for one in restore_archive(pool, archive=folder)]

    asked, were = Questions._is_in_files, [True, True]

    async def there_were_some(*arguments: Any) -> bool:
        return were.pop() if were else await asked(*arguments)

    monkeypatch.setattr(Questions, "_is_in_files", there_were_some)
    found = await _explained(both, {"measure": "duration"})
    _same(found.model_dump(), expected.model_dump())
    assert len(were) == 1
    assert await both.node_times(strategy_id=STRATEGY) == await Log(pool).node_times(
        strategy_id=STRATEGY
    )


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_archive_makes_no_difference_to_any_explanation(pool: Pool, folder: Path) -> None:
    found = await _compared(pool, folder, old_runs(a_minute=120), _QUESTIONS)
    assert [one.attributes for one in found[0].causes] == [{"strategy_version": 4}]
    assert found[1].causes and found[1].changed


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_same_blocks_are_drawn(
    pool: Pool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "MOST_RUNS", 3000)
    [found] = await _compared(pool, folder, old_runs(a_minute=80), _QUESTIONS[:1])
    assert "drawn" in found.method, found.method


async def test_a_hash_is_that_of_the_server(pool: Pool) -> None:
    dice = random.Random(1)
    values = [0, 1, -1, 2**63 - 1, -(2**63), *(dice.randrange(-(2**63), 2**63) for _ in range(50))]
    sql = "select hashint8extended(value, 0) from unnest($1::bigint[]) with ordinality as v (value)"
    assert [hashed(one) for one in values] == [one[0] for one in await pool.fetch(sql, values)]


async def test_what_can_not_be_read_is_named(dsn: str, pool: Pool, folder: Path) -> None:
    await with_partitions(pool, 20, 21)
    await Log(pool).insert_rows(old_runs(a_minute=2))
    await archived(pool, folder)
    (folder / path(21)).unlink()
    with pytest.raises(ArchiveError, match="part-0001"):
        await _explained(Log(pool, archive=folder), {})
    role = f"tenant_{random.Random(str(folder)).getrandbits(60)}"
    await pool.execute(
        f"create role {role};"
        f"grant usage on schema execlog to {role};"
        f"grant select on all tables in schema execlog to {role};"
        f"grant execute on all functions in schema execlog to {role};"
        f"alter table {TABLE} enable row level security;"
        f"create policy own on {TABLE} for select to {role} using (true)"
    )
    try:
        async with asyncpg.create_pool(
            dsn, min_size=1, max_size=1, server_settings={"role": role}
        ) as theirs:
            with pytest.raises(QueryRejected, match="row level security"):
                await _explained(Log(theirs, archive=folder), {})
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")
