"""A user is forgotten: in every row of theirs, in no other, and no count changes."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.repository import writes as module
from tests.command import run
from tests.db.test_spool_in_the_log import keep
from tests.recording import assert_sum, record
from tests.rows import STRATEGY, T0, row
from tests.types import Pool

USER = "u'1"
TIMES: list[datetime | None] = [
    None,
    datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC),
    *(T0 + timedelta(seconds=n // 7) for n in range(97)),  # seven of one time
]


@pytest.fixture
async def rows(repository: StrategyExecutionLogRepository) -> list[StrategyExecutionLog]:
    stored = [
        row(
            created_at=time,
            external_user_id=[USER, "another", None][n % 3],
            external_task_id="task",
            trace=[{"node": n, "user": USER}],
            notes="a note",
            trace_id=n + 1,
            error_message=f"{USER} failed",
            input={"user": USER},
            attributes={"user": USER},
            status="error" if n % 5 == 0 else "ok",
            points=float(n),
        )
        for time in TIMES
        for n in range(3)
    ]
    await repository.insert_rows(stored)
    return stored


@pytest.fixture(params=[1, 2, 7, 20_000])
def at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(module, "_ERASED_AT_ONCE", request.param)
    return int(request.param)


async def test_a_user_is_forgotten(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog], at_once: int
) -> None:
    card = await repository.metrics(strategy_id=STRATEGY)
    counted = [part async for part in repository.erase(external_user_id=USER, only_count=True)]
    assert {one.id: one async for one in repository.stream()} == {one.id: one for one in rows}
    erased = [part async for part in repository.erase(external_user_id=USER)]
    assert erased == counted
    assert (erased[-1].executions, erased[-1].reached) == (len(TIMES), None)
    assert all(part.reached is not None for part in erased[:-1])
    erased_columns = "external_user_id trace trace_id error_message input attributes".split()
    blank: dict[str, Any] = {**dict.fromkeys(erased_columns), "notes": "erased"}
    expected = [
        one.model_copy(update=blank) if one.external_user_id == USER else one for one in rows
    ]
    found = {one.id: one async for one in repository.stream()}
    assert found == {one.id: one for one in expected}
    assert await repository.metrics(strategy_id=STRATEGY) == card
    again = [part async for part in repository.erase(external_user_id=USER)]
    assert again[-1].executions == 0


async def test_it_is_stopped_and_begun_again(
    repository: StrategyExecutionLogRepository,
    rows: list[StrategyExecutionLog],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_ERASED_AT_ONCE", 50)
    async with contextlib.aclosing(repository.erase(external_user_id=USER)) as parts:
        first = await anext(parts)
    assert 0 < first.executions < len(TIMES)
    rest = [part async for part in repository.erase(external_user_id=USER)]
    assert first.executions + rest[-1].executions == len(TIMES)


async def test_runs_are_recorded_meanwhile(
    dsn: str, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_ERASED_AT_ONCE", 100)
    async with ExecutionRecorder(dsn, linger=0.01, batch_rows=100) as recorder:
        for n in range(3000):
            record(recorder, n, external_user_id=USER if n % 2 else "other")
            if n % 100 == 0:
                await asyncio.sleep(0.005)
            if n == 1500:
                await recorder.flush()
                repository = StrategyExecutionLogRepository(pool)
                parts = repository.erase(external_user_id=USER)
                erasing = asyncio.ensure_future(last(parts))
        stats = await recorder.aclose()
    assert (await erasing).executions >= 750
    await assert_sum(dsn, stats)
    left = await last(StrategyExecutionLogRepository(pool).erase(external_user_id=USER))
    assert left.executions + (await erasing).executions == 1500


async def last(parts: Any) -> Any:
    found = [part async for part in parts]
    return found[-1]


@pytest.mark.parametrize(
    ("argument", "given"),
    [
        ("external_user_id", {"external_user_id": ""}),
        ("external_user_id", {"external_user_id": None}),
        ("external_user_id", {"external_user_id": "\0"}),
        ("only_count", {"external_user_id": USER, "only_count": 1}),
    ],
)
async def test_bad_input(
    repository: StrategyExecutionLogRepository, argument: str, given: dict[str, Any]
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await anext(repository.erase(**given))
    assert caught.value.argument == argument


async def test_from_a_terminal(
    dsn: str, repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> None:
    planned = run("erase", "--user", USER, "--plan", EXECLOG_DSN=dsn)
    assert (planned.returncode, planned.stdout) == (0, f"{len(TIMES)}\n")
    assert "nothing was changed" in planned.stderr
    for count in (len(TIMES), 0):
        done = run("erase", "--user", USER, EXECLOG_DSN=dsn)
        assert (done.returncode, done.stdout) == (0, f"{count}\n")
        assert done.stderr == f"execlog: {count} executions erased\n"
    assert run("erase", EXECLOG_DSN=dsn).returncode == 2
    assert run("erase", "--user", "", EXECLOG_DSN=dsn).returncode == 2


@pytest.mark.usefixtures("within_an_hour")
async def test_recorders_that_spool_are_counted(
    dsn: str, pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    """By their last accounts, open or closed; those that have drained their files are none."""
    account = "execlog.recorder_account"
    ids = [uuid4() for _ in range(4)]
    await keep(pool, ids[0], 5, spooled=5)
    await pool.execute(f"update {account} set hour = hour - interval '2 hours'")
    await keep(pool, ids[1], 5, spooled=5)
    await keep(pool, ids[2], 5, spooled=5, closed=True)
    await keep(pool, ids[3], 5)
    assert await repository.spooling_recorders() == 3
    assert (await last(repository.erase(external_user_id=USER))).spooling_recorders == 3
    done = run("erase", "--user", USER, EXECLOG_DSN=dsn)
    assert (done.returncode, done.stdout) == (0, "0\n")
    assert "execlog: 3 recorders had executions in files when seen last" in done.stderr
    await keep(pool, ids[0], 0, spooled=0, offered=10, written=10)
    await keep(pool, ids[1], 0, spooled=0, offered=10, written=10, closed=True)
    done = run("erase", "--user", USER, "--plan", EXECLOG_DSN=dsn)
    assert "execlog: 1 recorder had executions in files when seen last" in done.stderr
    await keep(pool, ids[2], 0, spooled=0, offered=10, written=10, closed=True)
    assert (await last(repository.erase(external_user_id=USER))).spooling_recorders == 0
