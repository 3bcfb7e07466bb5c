"""Which runs a replay reads, and which it can't: reasons, windows, filters, rights."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    QueryRejected,
    StoreUnavailable,
    StrategyExecutionLogRepository,
)
from execlog.db.statements import Query
from execlog.errors import READ_ONLY
from execlog.repository.questions import Rights
from execlog.web import Scope
from execlog.web.reading import Reader
from tests.databases import TABLE
from tests.db.test_roles import login, prefix, roles
from tests.maintaining import DAY, day
from tests.replaying import logged, repeat
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool

__all__ = ["prefix", "roles"]


again = functools.partial(repeat)  # which runs in this process


@pytest.mark.session
async def test_what_can_not_be_replayed_is_counted_by_its_reason(
    pool: Pool, dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    mask = {"input/card": "***", "notes": None}
    async with ExecutionRecorder(dsn, mask=mask, input_bytes=100) as recorder:
        recorder.record(**fields(input={"card": "4111", "amount": 3}))
        recorder.record(**fields(input={"card": "4111", "amount": 3}, notes="mine"))
        recorder.record(**fields(input={"amount": 3}))
        recorder.record(**fields(input={"amount": [3], "tuple": (1, 2)}))
        recorder.record(**fields(input={"text": "x" * 100}))
        recorder.record(**fields(input={"text": "x" * 100}, trace=[{"a": 1}] * 300))
        recorder.record(**fields(input=None))
        recorder.record(**fields(input={"a": 1}, notes="input masked, they said"))
    async with ExecutionRecorder(dsn, mask=["input"]) as recorder:
        recorder.record(**fields(input={"card": "4111"}))
    await repository.insert_rows(
        [
            day(40, strategy_id=STRATEGY, input={"a": 1}),
            day(40, strategy_id=STRATEGY, input={"a": 1}, notes="trace cut; input left out: no"),
            row(input={"a": 1}, external_user_id="gone"),
            row(input={"a": 1}, notes="erased"),
        ]
    )
    for _ in range(2):  # days have a partition first
        await execlog.maintain(pool, interval="day", retain_inputs=30 * DAY)
    async for _ in repository.erase(external_user_id="gone"):
        pass
    found = await execlog.replay(repository, again, strategy_id=STRATEGY)
    assert found.not_replayable == {
        "erased": 1,
        "expired": 2,
        "masked": 3,
        "no_input": 1,
        "too_large": 2,
    }
    assert found.replayed == found.same == 4
    assert found.total == found.runs == await pool.fetchval(f"select count(*) from {TABLE}")


async def test_windows_hold_their_ends_and_runs_without_a_time_are_in_none(
    repository: StrategyExecutionLogRepository,
) -> None:
    rows = [logged(number) for number in range(130)]
    undated = [logged(number, created_at=None) for number in range(70)]
    await repository.insert_rows([*rows, *undated, logged(5, strategy_id="other")])
    found = await execlog.replay(repository, again, strategy_id=STRATEGY)
    assert found.replayed == found.same == 200
    begin, end = T0 + timedelta(seconds=10), T0 + timedelta(seconds=19)
    windows: list[tuple[dict[str, Any], int]] = [
        ({"since": begin, "until": end}, 10),
        ({"since": begin}, 120),
        ({"until": end}, 20),
    ]
    for window, count in windows:
        found = await execlog.replay(repository, again, strategy_id=STRATEGY, **window)
        assert (found.replayed, found.since, found.until) == (
            count,
            window.get("since"),
            window.get("until"),
        )


@pytest.mark.parametrize(
    "filters",
    [
        {"case_name": "gold"},
        {"no_case": True},
        {"external_user_id": ["u1", "u2"], "max_points": 1},
        {"status": "failed"},
        {"status": ["ok", "error"], "attributes": {"plan": "gold"}},
        {"realm_id": []},
        {"min_duration_ms": 2},
    ],
)
async def test_filters_are_those_of_all_methods(
    shared_repository: StrategyExecutionLogRepository, filters: dict[str, Any]
) -> None:
    if not await shared_repository.list_executions(limit=1):
        rows = [
            logged(
                number,
                status="ok" if number % 3 else "error",
                attributes={"plan": "gold" if number % 2 else "free"},
                duration_ms=float(number % 4),
            )
            for number in range(100)
        ]
        await shared_repository.insert_rows(rows)
    wanted = await shared_repository.list_executions(strategy_id=STRATEGY, limit=200, **filters)
    found = await execlog.replay(shared_repository, again, strategy_id=STRATEGY, **filters)
    assert found.replayed == found.same == len(wanted)


@pytest.mark.parametrize(
    "wrong",
    [
        {"evaluate": 3},
        {"strategy_id": ""},
        {"since": 3},
        {"sample": 0},
        {"processes": 0},
        {"processes": 1_000_000},
        {"time_limit": 0},
        {"tolerance": -1},
        {"tolerance": float("nan")},
        {"baseline": "rules"},
        {"state": 3},
        {"log": object()},
        {"min_nodes": -1},
    ],
)
async def test_a_wrong_argument_is_named_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    async with asyncpg.create_pool("postgresql://nowhere.invalid/none", min_size=0) as closed:
        log = StrategyExecutionLogRepository(closed)
        given = {"log": log, "evaluate": again, "strategy_id": STRATEGY, **wrong}
        with pytest.raises(InvalidArgument) as caught:
            await execlog.replay(given.pop("log"), given.pop("evaluate"), **given)
        assert caught.value.argument == next(iter(wrong))
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            await execlog.replay(log, again, strategy_id=STRATEGY, colour=3)  # type: ignore[call-arg]


@pytest.mark.session
async def test_a_tenant_replays_its_own_rows(roles: dict[str, Pool], dsn: str, prefix: str) -> None:
    admin = roles["admin"]
    log = StrategyExecutionLogRepository(admin)
    await log.insert_rows(
        [logged(number, realm_id="acme" if number % 3 else "bolt") for number in range(30)]
    )
    for inputs in (True, False):
        role = f"{prefix} {inputs}"
        sql = execlog.dump_realm_reader(realm_id="acme", role=role, prefix=prefix, inputs=inputs)
        await admin.execute(sql)
        own = await login(admin, dsn, role)
        async with asyncpg.create_pool(own, min_size=0, max_size=1) as pool:
            theirs = StrategyExecutionLogRepository(pool)
            if inputs:
                found = await execlog.replay(theirs, again, strategy_id=STRATEGY)
                assert found.total == found.same == 20
                continue
            with pytest.raises(QueryRejected, match="may not read inputs") as caught:
                await execlog.replay(theirs, again, strategy_id=STRATEGY)
            assert caught.value.sqlstate == "42501"
    found = await execlog.replay(log, again, strategy_id=STRATEGY, realm_id="acme")
    assert found.total == 20


async def test_a_page_replays_what_its_scope_sees(pool: Pool) -> None:
    rows = [logged(number, realm_id="acme" if number % 3 else "bolt") for number in range(30)]
    await StrategyExecutionLogRepository(pool).insert_rows(rows)
    scope = Scope(realms=["acme"], inputs=True)
    reader = Reader(pool, 10.0, "execlog")
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await execlog.replay(log, again, strategy_id=STRATEGY, realm_id=scope.realm(None))
    assert found.total == found.same == 20
    async with reader.snapshot() as log:
        with pytest.raises(InvalidArgument, match="log: may not read inputs"):
            await execlog.replay(log, again, strategy_id=STRATEGY)


async def test_what_reads_can_not_write(repository: StrategyExecutionLogRepository) -> None:
    query = Query("replay", f"delete from {TABLE}", ())
    with pytest.raises(StoreUnavailable) as caught:
        await repository._store.fetch_read_only(query)
    assert caught.value.sqlstate == READ_ONLY


async def test_a_viewer_without_inputs_is_refused(
    repository: StrategyExecutionLogRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repository, "_rights", Rights(inputs=False))
    with pytest.raises(InvalidArgument, match="log: may not read inputs"):
        await execlog.replay(repository, again, strategy_id=STRATEGY)
