"""Every column has a value of its own, which goes in and comes out under its own name, each way."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from execlog import ExecutionRecorder, StrategyExecutionLog, StrategyExecutionLogRepository
from tests.command import run
from tests.types import Pool

WHOLE: dict[str, Any] = {
    "id": UUID("01234567-89ab-7def-8123-456789abcdef"),
    "created_at": datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC),
    "strategy_id": "a strategy",
    "strategy_version": 11,
    "strategy_type": "a type",
    "realm_id": "a realm",
    "external_game_id": "a game",
    "external_task_id": "a task",
    "external_user_id": "a user",
    "status": "timeout",
    "error_code": "a code",
    "points": 12.5,
    "case_name": "a case",
    "duration_ms": 13.25,
    "nodes_executed": 14,
    "trace": [{"node": "a node"}],
    "sampled": True,
    "sample_rate": 0.125,
    "parent_strategy_id": "a parent",
    "notes": "a note",
    "trace_id": UUID("4bf92f3577b34da6a3ce929d0e0e4736"),
    "error_message": "a reason",
    "stored_at": None,
    "input": {"amount": 15},
    "attributes": {"channel": "web", "retry": 2, "beta": False, "share": 0.75},
}
JSON = ("trace", "input", "attributes")
WRITTEN = {name: value for name, value in WHOLE.items() if name != "stored_at"}
EXECUTION = StrategyExecutionLog(**WHOLE)
WayIn = Callable[[Pool, str, Path], Awaitable[object]]


def test_no_column_is_left_out_and_no_two_are_the_same() -> None:
    assert list(WHOLE) == list(StrategyExecutionLog.model_fields)
    assert len({repr(value) for value in WHOLE.values()}) == len(WHOLE)


async def record(pool: Pool, **fields: Any) -> None:
    recorder = ExecutionRecorder(pool)
    await recorder.start()
    recorder.record(**fields)
    assert await recorder.flush(timeout=20)
    await recorder.aclose()


class Text(str):
    """No plain text: the recorder looks twice."""

    __slots__ = ()


async def by_slow_path(pool: Pool, dsn: str, folder: Path) -> None:
    texts = {name: Text(value) for name, value in WHOLE.items() if isinstance(value, str)}
    await record(pool, **{**WRITTEN, **texts, "nodes_executed": 14.0})


async def by_import(pool: Pool, dsn: str, folder: Path) -> None:
    path = folder / "executions.jsonl"
    path.write_text(json.dumps(EXECUTION.model_dump(by_alias=True, mode="json")) + "\n")
    assert run("import", "--dsn", dsn, str(path)).returncode == 0


WAYS_IN: dict[str, WayIn] = {
    "record": lambda pool, dsn, folder: record(pool, **WRITTEN),
    "record, slow path": by_slow_path,
    "insert_row": lambda pool, dsn, folder: StrategyExecutionLogRepository(pool).insert_row(
        EXECUTION
    ),
    "insert_rows": lambda pool, dsn, folder: StrategyExecutionLogRepository(pool).insert_rows(
        [EXECUTION]
    ),
    "insert_rows, mapping": lambda pool, dsn, folder: StrategyExecutionLogRepository(
        pool
    ).insert_rows([WHOLE]),
    "insert_missing": lambda pool, dsn, folder: StrategyExecutionLogRepository(pool).insert_missing(
        [EXECUTION]
    ),
    "import": by_import,
}


@pytest.mark.parametrize("way", WAYS_IN)
async def test_each_way_in(way: str, pool: Pool, dsn: str, tmp_path: Path) -> None:
    await WAYS_IN[way](pool, dsn, tmp_path)
    before = datetime.now(UTC) - timedelta(minutes=1)
    names = ", ".join(f"{name}::text" if name in JSON else name for name in WHOLE)
    [found] = await pool.fetch(f"select {names} from execlog.strategy_execution_log")
    stored = {**found, **{name: json.loads(found[name]) for name in JSON}}
    assert before < stored["stored_at"] <= datetime.now(UTC) + timedelta(minutes=1)
    assert stored == {**WHOLE, "stored_at": stored["stored_at"]}


async def test_each_way_out(pool: Pool, dsn: str) -> None:
    log = StrategyExecutionLogRepository(pool)
    await log.insert_row(EXECUTION)
    one = await log.get(id=EXECUTION.id)
    assert one is not None
    found = {
        "get": [one],
        "list_newest": await log.list_newest(),
        "list_by_prefix": await log.list_by_prefix(prefix=str(EXECUTION.id)[:13]),
        "list_for_strategy": await log.list_for_strategy(strategy_id="a strategy"),
        "list_executions": await log.list_executions(strategy_id="a strategy"),
        "list_failures": await log.list_failures(),
        "stream": [one async for one in log.stream()],
    }
    for way, rows in found.items():
        assert [row.model_dump(exclude={"stored_at"}) for row in rows] == [WRITTEN], way
        assert [row.stored_at for row in rows] == [one.stored_at], way
    assert one.stored_at is not None
    assert one == EXECUTION
    assert hash(one) == hash(EXECUTION)
    bare = await log.list_failures(payloads=False)
    bare += await log.list_executions(strategy_id="a strategy", payloads=False)
    for row in bare:
        assert row.model_dump() == {**one.model_dump(), "trace": None, "input": None}
    exported = json.loads(run("export", "--dsn", dsn).stdout)
    assert exported == one.model_dump(by_alias=True, mode="json")
    assert exported["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736"


async def test_what_no_parser_reads_is_shown_as_text(pool: Pool, dsn: str) -> None:
    """Another client stored it: an integer of more digits than Python reads."""
    await StrategyExecutionLogRepository(pool).insert_row(EXECUTION)
    await pool.execute(
        "update execlog.strategy_execution_log set attributes = $1::text::jsonb",
        f'{{"n": {"9" * 5000}}}',
    )
    done = run("show", "--dsn", dsn, str(EXECUTION.id))
    assert (done.returncode, done.stderr) == (0, "")
    done = run("export", "--dsn", dsn)
    assert done.stderr == "execlog: 1 executions exported\n"
    assert json.loads(done.stdout)["attributes"] == {"attributes": f'{{"n": {"9" * 5000}}}'}
