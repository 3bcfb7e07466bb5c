"""A replay of a log that is all rows, half archive, and all archive: the same runs in one order."""

from __future__ import annotations

import asyncio
import random
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest

import execlog
from execlog import (
    ArchiveError,
    Outcome,
    QueryRejected,
    Replay,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
    restore_archive,
)
from tests.archiving import archived, files_of, midnight, path, with_partitions
from tests.command import run
from tests.databases import TABLE
from tests.maintaining import DAY
from tests.rows import STRATEGY, row
from tests.types import Pool

Log = StrategyExecutionLogRepository
_DAYS = (20, 21, 22)
_NOTES = (
    None,
    "erased",
    "input left out: 12 bytes",
    "trace cut; input masked",
    "input expired; more",
    "input left out: many bytes",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def some(count: int, seed: int) -> list[StrategyExecutionLog]:
    """Runs of one strategy and of another, of three old days and of today, some without a time."""
    draw = random.Random(seed)
    return [_one(draw, number) for number in range(count)]


def _one(draw: random.Random, number: int) -> StrategyExecutionLog:
    days = draw.choice((0, *_DAYS, *_DAYS))
    seconds = draw.choice((0, 86399.999999, draw.random() * 86399))
    at: datetime | None = midnight(days) + timedelta(seconds=seconds if days else 0)
    if days == 0 and draw.random() < 0.3:
        at = None
    status = draw.choice(("ok", "ok", "ok", "ok", "error", "odd"))
    return row(
        id=UUID(int=draw.getrandbits(128)),
        created_at=at,
        strategy_id=draw.choice((STRATEGY, STRATEGY, "other")),
        strategy_version=draw.choice((1, 2)),
        realm_id=draw.choice((None, "", "r")),
        external_user_id=draw.choice((None, "u", 'ü"\\')),
        status=status,
        error_code=None if status == "ok" else draw.choice((None, "E1")),
        points=draw.choice((None, 0.1, -3.0, 1e300)),
        case_name=draw.choice((None, "", "c", "c", "c", 'ü/"\\\x01\x1f\x7f\n\u2028', "12:ok")),
        duration_ms=draw.choice((0.0, 0.1, 250.5)),
        sample_rate=draw.choice((1.0, 0.5)) if status == "ok" else 1.0,
        trace=[{"v": number}],
        trace_id=draw.choice((None, UUID(int=7))),
        input=draw.choice((None, {"k": ["ü", None, 1e100, {"n": number}]}, {"n": 1}, "text", 0)),
        attributes=draw.choice((None, {"k": 1}, {"k": "1", "b": True})),
        notes=draw.choice(_NOTES),
    )


_QUESTIONS: list[dict[str, Any]] = [
    {},
    {"sample": 40},
    {"since": midnight(21), "status": "ok"},
    {
        "since": midnight(22) + timedelta(seconds=1),
        "until": midnight(20) + timedelta(seconds=1),
        "sample": 20,
    },
    {"attributes": {"k": 1}, "realm_id": ["", "r"]},
    {"external_user_id": 'ü"\\', "sample": 10},
    {"status": "failed"},
    {"until": midnight(20), "strategy_version": 2},
]


async def _replayed(
    log: Log, asked: dict[str, Any]
) -> tuple[dict[str, Any], list[StrategyExecutionLog], list[tuple[int, int]]]:
    """The answer without times of calls, what the candidate was given, and what was told of it."""
    given, told = list[StrategyExecutionLog](), list[tuple[int, int]]()

    def evaluate(execution: StrategyExecutionLog) -> Outcome:
        given.append(execution)
        return Outcome("ok", float(len(repr(execution.input))), execution.case_name)

    found = await execlog.replay(
        log,
        evaluate,
        strategy_id=STRATEGY,
        progress=lambda runs, total: told.append((runs, total)),
        **asked,
    )
    assert not any("archive" in note for note in found.notes)
    return found.model_dump(exclude={"candidate", "candidate_times"}), given, told


async def _compared(pool: Pool, folder: Path, count: int, seed: int, asked: Any) -> None:
    await with_partitions(pool, *_DAYS)
    log = Log(pool)
    await log.insert_rows(some(count, seed))
    expected = [await _replayed(log, one) for one in asked]
    assert all(given for _, given, _ in expected)
    both = Log(pool, archive=folder)
    # Half: one day, and of another the ok rows.
    await archived(pool, folder, retain=21 * DAY, retain_failures=40 * DAY)
    assert files_of(folder)
    for one, answer in zip(asked, expected, strict=True):
        _same(await _replayed(both, one), answer, one)
    await archived(pool, folder)
    for one, answer in zip(asked, expected, strict=True):
        _same(await _replayed(both, one), answer, one)


def _same(found: Any, expected: Any, asked: dict[str, Any]) -> None:
    assert found[1] == expected[1], asked
    assert [repr(one) for one in found[1]] == [repr(one) for one in expected[1]]
    assert found[0] == expected[0], asked
    assert found[2][0][1] == expected[2][0][1]


async def test_the_archive_makes_no_difference_to_a_replay(pool: Pool, folder: Path) -> None:
    await _compared(pool, folder, 200, 1, _QUESTIONS[:2])


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_archive_makes_no_difference_to_any_replay(pool: Pool, folder: Path) -> None:
    await _compared(pool, folder, 2000, 2, _QUESTIONS)


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_runs_that_move_during_a_replay_are_replayed_once(pool: Pool, folder: Path) -> None:
    """Rows go into files, come back and go again, while what was read ahead is not used up."""
    await with_partitions(pool, *_DAYS)
    rows = some(700, 3)
    log = Log(pool)
    await log.insert_rows(rows)
    await archived(pool, folder, retain=21 * DAY)
    given = list[StrategyExecutionLog]()

    async def evaluate(execution: StrategyExecutionLog) -> Outcome:
        given.append(execution)
        if len(given) == 40:
            await archived(pool, folder)
        if len(given) in (90, 200):
            _ = [one async for one in restore_archive(pool, archive=folder)]
        if len(given) == 150:
            await archived(pool, folder, retain_failures=40 * DAY)
        return Outcome("ok")

    found = await execlog.replay(Log(pool, archive=folder), evaluate, strategy_id=STRATEGY)
    wanted = [one.id for one in rows if one.strategy_id == STRATEGY]
    assert found.total == len(wanted)
    ids = [one.id for one in given]
    assert len(set(ids)) == len(ids) == found.replayed


async def _old(pool: Pool, folder: Path) -> StrategyExecutionLog:
    await with_partitions(pool, 20)
    old = row(created_at=midnight(20), input={"a": 1}, status="ok", points=1.0)
    await Log(pool).insert_rows([old, row(input={"a": 2})])
    await archived(pool, folder)
    return old


async def _of_all(log: Log, **asked: Any) -> Replay:
    return await execlog.replay(log, lambda execution: Outcome("ok"), strategy_id=STRATEGY, **asked)


async def test_a_replay_without_the_folder_says_that_runs_are_in_files(
    dsn: str, pool: Pool, folder: Path
) -> None:
    await _old(pool, folder)
    found = await _of_all(Log(pool))
    said = f"runs until {midnight(20):%Y-%m-%d} 00:00:00 UTC are in the archive"
    assert (found.replayed, found.notes[-1].partition(", and")[0]) == (1, said)
    assert not any(
        "archive" in note for note in (await _of_all(Log(pool), since=midnight(1))).notes
    )
    (folder / path(20)).unlink()
    with pytest.raises(ArchiveError, match="part-0001"):
        await _of_all(Log(pool, archive=folder))
    assert (await _of_all(Log(pool, archive=folder), since=midnight(1))).replayed == 1


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_the_command_reads_the_folder_or_says_so(dsn: str, pool: Pool, folder: Path) -> None:
    await _old(pool, folder)
    words = ["replay", STRATEGY, "--with", "tests.replaying:repeat", "--json", "--processes", "1"]
    theirs = await asyncio.to_thread(run, *words, "--dsn", dsn)
    ours = await asyncio.to_thread(run, *words, "--dsn", dsn, "--archive", str(folder))
    assert '"replayed": 2' in ours.stdout and "archive" not in ours.stdout, ours
    assert '"replayed": 1' in theirs.stdout and "in the archive" in theirs.stdout, theirs
    assert f"are in the archive in {folder} on " in theirs.stderr
    assert "--archive" not in ours.stderr


async def test_a_tenant_role_replays_no_files(dsn: str, pool: Pool, folder: Path) -> None:
    old = await _old(pool, folder)
    role = f"tenant_{old.id.hex[20:]}"
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
            with pytest.raises(QueryRejected, match=r"replay: .* row level security"):
                await _of_all(Log(theirs, archive=folder))
            assert (await _of_all(Log(theirs, archive=folder), since=midnight(1))).replayed == 1
    finally:
        await pool.execute(f"drop owned by {role}; drop role {role}")
