"""What is said of a wrong call: enough to mend it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import (
    ExecutionRecorder,
    InvalidArgument,
    StoreUnavailable,
    StrategyExecutionLog,
    StrategyExecutionLogRepository,
)
from execlog.db import validation
from execlog.db.rows import checked_values
from execlog.errors import driver_errors
from execlog.recorder.connection import link_to
from execlog.web import create_app
from tests.recording import until
from tests.rows import fields
from tests.types import Pool
from tests.web.test_api import client

NOWHERE = "postgresql://127.0.0.1:1/"


def named(name: str) -> Any:
    """An object whose class only has this name."""
    return type(name, (), {"__module__": "scoring.models"})()


CHECKS: dict[str, Callable[[Any], object]] = {
    "row: must be a StrategyExecutionLog, not scoring.models.StrategyExecutionLog": (
        lambda value: checked_values(value, "row")
    ),
    "pool: must be an asyncpg.Pool, not scoring.models.Pool": StrategyExecutionLogRepository,
    "target: must be a DSN or a Pool, not scoring.models.Pool": link_to,
    "since: must be a datetime, not scoring.models.datetime": (
        lambda value: validation.time("since", value)
    ),
    "interval: must be a timedelta, not scoring.models.timedelta": (
        lambda value: validation.length("interval", value)
    ),
    "interval: must be a timedelta, not Length": lambda value: validation.length("interval", value),
}


@pytest.mark.parametrize("said", CHECKS)
def test_a_type_that_only_has_the_name(said: str) -> None:
    with pytest.raises(InvalidArgument, match=f"^{re.escape(said)}$"):
        CHECKS[said](named(re.split("[ .]", said)[-1]))


def test_no_message_is_of_the_validator() -> None:
    """It speaks of input, items, values and validation."""
    wrong: list[Any] = [
        "", "x", "\0", "\ud800", "é" * 300, 1.5, -1, 2**31, 10**400, None, True, [], {}, b"x",
        float("nan"), float("inf"), timedelta(), object(),
    ]  # fmt: skip
    for name in StrategyExecutionLog.model_fields:
        for value in wrong:
            try:
                StrategyExecutionLog(**fields() | {name: value})
            except InvalidArgument as error:
                assert not re.search("(?i)input|item|value|validation|object", error.problem)
                assert re.match("is |has |holds |must |should |lies ", error.problem)


def test_an_empty_strategy() -> None:
    with pytest.raises(InvalidArgument, match=r"^strategy_id: is empty$"):
        StrategyExecutionLog(**fields(strategy_id=""))


def test_an_argument_that_has_no_name_leaves_no_colon() -> None:
    assert str(InvalidArgument("", "is not a JSON object")) == "is not a JSON object"


@pytest.mark.parametrize(
    ("words", "named", "said"),
    [
        (("loyalty",), {}, "unexpected: is positional, and record takes keyword arguments only"),
        ((), {"what is this": 1}, "an argument is not a field of an execution"),
        ((), {"colour": 1}, "colour: is not a field of an execution"),
    ],
)
def test_an_argument_that_record_does_not_know(
    caplog: pytest.LogCaptureFixture, words: tuple[Any, ...], named: dict[str, Any], said: str
) -> None:
    recorder = ExecutionRecorder(NOWHERE)
    assert recorder.record(*words, **fields(), **named) is None
    assert recorder.stats().rejected == {"unknown_field": 1}
    recorder._reporter.report()
    [line] = caplog.messages
    assert line == f"refused executions: 1 unknown_field ({said})"


def never_opened() -> Pool:
    return asyncpg.create_pool(NOWHERE)


OPEN_IT = "was never opened: open it first, with `await pool` or `async with pool`"


async def streamed(log: StrategyExecutionLogRepository) -> None:
    async for _ in log.stream():
        pass


CALLS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "count_by_status": lambda pool: log_of(pool).count_by_status(strategy_id="s"),
    "metrics": lambda pool: log_of(pool).metrics(strategy_id="s"),
    "insert_rows": lambda pool: log_of(pool).insert_rows([StrategyExecutionLog(**fields())]),
    "stream": lambda pool: streamed(log_of(pool)),
    "health": lambda pool: log_of(pool).health(),
    "migrate": execlog.migrate,
    "check_migrations": execlog.check_migrations,
    "maintain": execlog.maintain,
    "distribute": execlog.distribute,
}


@pytest.mark.parametrize("call", CALLS)
async def test_a_pool_that_was_never_opened(call: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await CALLS[call](never_opened())
    assert caught.value.argument in ("pool", "target")
    assert caught.value.problem == OPEN_IT


def log_of(pool: Pool) -> StrategyExecutionLogRepository:
    return StrategyExecutionLogRepository(pool)


async def test_a_recorder_whose_pool_was_never_opened() -> None:
    """It may be opened yet: the recorder goes on, and says what it waits for."""
    async with asyncio.timeout(30):
        recorder = ExecutionRecorder(never_opened())
        await recorder.start()
        recorder.record(**fields())
        await until(lambda: recorder.stats().last_error, 20)
        assert recorder.stats().last_error == f"record: the pool {OPEN_IT}"
        assert recorder.stats().pending_rows == 1
        await recorder.aclose(timeout=0.1)


async def test_the_pages_of_a_pool_that_was_never_opened() -> None:
    async with client(create_app(never_opened())) as pages:
        found = await pages.get("/api/strategies")
    assert found.status_code == 503
    assert OPEN_IT in found.json()["detail"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("pool is closed", "the pool is closed"),
        ("pool is closing", "the pool is being closed"),
        ("pool is being initialized, but not yet ready: likely", "the pool is being opened"),
        ("cannot perform operation", "the connection can't be used"),
    ],
)
def test_what_a_driver_says_of_a_pool(words: str, said: str) -> None:
    with pytest.raises(StoreUnavailable, match=f"^read: {said}$"), driver_errors("read"):
        raise asyncpg.InterfaceError(words)
