"""Bad input is refused before anything is sent, by an error that names the argument."""

from __future__ import annotations

import math
import secrets
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta, timezone
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from execlog import InvalidArgument, StrategyExecutionLog, StrategyExecutionLogRepository
from tests.rows import STRATEGY, T0, fields, row
from tests.types import Pool


def nested(depth: int) -> list[Any]:
    """A list in a list in a list."""
    return [nested(depth - 1)] if depth else []


ZONELESS = datetime(2026, 11, 20, 12)
BAD_FIELDS: list[tuple[str, Any]] = [
    ("strategy_id", ""),
    ("strategy_id", None),
    ("strategy_id", 7),
    ("notes", "a\0b"),
    ("case_name", "\ud800"),
    ("status", None),
    ("points", math.nan),
    ("points", math.inf),
    ("points", "12"),
    ("points", 1e301),
    ("duration_ms", math.nan),
    ("duration_ms", -math.inf),
    ("duration_ms", -0.1),
    ("duration_ms", None),
    ("strategy_version", 2**31),
    ("strategy_version", True),
    ("strategy_version", 1.5),
    ("nodes_executed", -(2**31) - 1),
    ("nodes_executed", -1),
    ("created_at", ZONELESS),
    ("created_at", "yesterday"),
    ("created_at", datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))),
    ("sample_rate", 0.0),
    ("sample_rate", 1.01),
    ("sampled", 1),
    ("id", "not-a-uuid"),
    ("trace", {"node": 1}),
    ("trace", [math.nan]),
    ("trace", [{"deep": [-math.inf]}]),
    ("trace", ["\0"]),
    ("trace", [{"\0": 1}]),
    ("trace", ["\udc00"]),
    ("trace", [{1, 2}]),
    ("trace", [b"secret"]),
    ("trace", nested(250)),
    ("trace", (1, 2)),
    ("trace", iter([1])),
    ("error_code", "x" * 513),
    ("case_name", "é" * 257),
    ("status", "😀" * 129),
    ("realm_id", "x" * 10**6),
    ("unknown_field", 1),
]
TEXTS = (
    "strategy_id",
    "strategy_type",
    "realm_id",
    "external_game_id",
    "external_task_id",
    "external_user_id",
    "status",
    "error_code",
    "case_name",
    "parent_strategy_id",
    "notes",
)
Insert = Callable[[StrategyExecutionLogRepository, dict[str, Any]], Awaitable[object]]
INSERTS: dict[str, tuple[str, Insert]] = {
    "insert_row of a mapping": ("row", lambda repo, bad: repo.insert_row(fields(**bad))),
    "insert_row of a model": ("row", lambda repo, bad: repo.insert_row(model(bad))),
    "insert_rows of mappings": (
        "rows[1]",
        lambda repo, bad: repo.insert_rows([fields(), fields(**bad), fields()]),
    ),
    "insert_missing": (
        "rows[1]",
        lambda repo, bad: repo.insert_missing([row(), model(bad)]),
    ),
    "insert_rows of models": (
        "rows[601]",
        lambda repo, bad: repo.insert_rows([*[row()] * 601, model(bad), row()]),
    ),
}


def model(bad: dict[str, Any]) -> StrategyExecutionLog:
    """A model that was changed behind its validator's back."""
    return row().model_copy(update=bad)


@pytest.mark.parametrize("name", INSERTS)
@pytest.mark.parametrize(("field", "value"), BAD_FIELDS)
async def test_a_bad_row_is_named_and_nothing_is_sent(
    unreachable: StrategyExecutionLogRepository, name: str, field: str, value: Any
) -> None:
    where, insert = INSERTS[name]
    with pytest.raises(InvalidArgument) as caught:
        await insert(unreachable, {field: value})
    assert caught.value.argument == f"{where}.{field}"
    assert isinstance(caught.value, ValueError)
    assert "nan" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("field", "value"), [bad for bad in BAD_FIELDS if bad[0] != "trace"])
def test_a_model_can_not_be_made_of_it(field: str, value: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        row(**{field: value})
    assert caught.value.argument == field


@pytest.mark.parametrize("bad", [None, 7, "row", object(), [row()]])
async def test_a_row_that_is_none(unreachable: StrategyExecutionLogRepository, bad: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"^row: must be a StrategyExecutionLog"):
        await unreachable.insert_row(bad)
    with pytest.raises(InvalidArgument, match=r"^rows\[1\]: must be a StrategyExecutionLog"):
        await unreachable.insert_rows([row(), bad])


@pytest.mark.parametrize("bad", [None, 7, "rows", b"bytes", fields()])
async def test_rows_that_are_none(unreachable: StrategyExecutionLogRepository, bad: Any) -> None:
    for store in (unreachable.insert_rows, unreachable.insert_missing):
        with pytest.raises(InvalidArgument, match=r"^rows: "):
            await store(bad)


SCOPED = (
    "count_by_status",
    "count_by_error_code",
    "count_by_case_name",
    "count_by_points",
    "duration_and_nodes_summary",
    "sample_durations",
    "sample_points",
    "duration_percentiles",
    "metrics",
    "timeseries",
    "list_executions",
    "report",
    "explain",
)
LIMITED = (
    "list_for_strategy",
    "count_by_error_code",
    "count_by_case_name",
    "sample_durations",
    "sample_points",
    "list_newest",
    "list_by_prefix",
    "list_failures",
    "rank_strategies",
    "list_executions",
)
# Those that answer for some realms, and for some strategies.
OF_REALMS = (
    "metrics",
    "compare",
    "timeseries",
    "sample_durations",
    "rank_strategies",
    "rank_together",
    "list_failures",
    "list_stored",
    "list_executions",
    "activity",
    "report",
    "breakdown",
    "node_times",
)
OF_STRATEGIES = (
    "rank_strategies",
    "rank_together",
    "list_failures",
    "list_stored",
    "list_executions",
    "activity",
    "breakdown",
    "node_times",
)
ALIKE = "0192f0c1"
# What the others call for.
REQUIRED: dict[str, dict[str, Any]] = {
    "compare": {"a": STRATEGY, "b": STRATEGY},
    "list_newest": {},
    "list_by_prefix": {"prefix": ALIKE},
    "list_failures": {},
    "list_stored": {"after": None},
    "rank_strategies": {},
    "rank_together": {},
    "activity": {},
    "breakdown": {"by": "status"},
    "node_times": {},
}


def alike() -> UUID:
    """An id that begins like the others."""
    return UUID(ALIKE + uuid4().hex[len(ALIKE) :])


def required(method: str) -> dict[str, Any]:
    return REQUIRED.get(method, {"strategy_id": STRATEGY})


@pytest.mark.parametrize("method", [*SCOPED, "list_for_strategy"])
@pytest.mark.parametrize("bad", ["", None, 7, b"loyalty", "a\0", "\ud800"])
async def test_strategy_id(
    unreachable: StrategyExecutionLogRepository, method: str, bad: Any
) -> None:
    if method == "list_executions" and bad is None:
        return  # it may be asked about all
    with pytest.raises(InvalidArgument) as caught:
        await getattr(unreachable, method)(strategy_id=bad)
    assert caught.value.argument == "strategy_id"


@pytest.mark.parametrize(
    "method", [*SCOPED, "compare", "list_failures", "rank_strategies", "rank_together", "activity"]
)
@pytest.mark.parametrize(
    ("argument", "window"),
    [
        ("since", {"since": ZONELESS}),
        ("until", {"until": ZONELESS}),
        ("since", {"since": T0 + timedelta(microseconds=1), "until": T0}),
        ("since", {"since": "2026-11-20"}),
        ("until", {"until": date(2026, 11, 20)}),
        ("until", {"until": 1_700_000_000}),
        ("since", {"since": datetime.min.replace(tzinfo=timezone(timedelta(hours=14)))}),
    ],
)
async def test_window(
    unreachable: StrategyExecutionLogRepository, method: str, argument: str, window: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await getattr(unreachable, method)(**required(method), **window)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("argument", "method"),
    [
        *(("realm_id", method) for method in OF_REALMS),
        *(("strategy_id", method) for method in OF_STRATEGIES),
    ],
)
@pytest.mark.parametrize(
    "bad", [7, b"acme", "a\0", "\ud800", ["acme", 7], [None], {"acme": 1}, iter(["acme"])]
)
async def test_texts(
    unreachable: StrategyExecutionLogRepository, argument: str, method: str, bad: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await getattr(unreachable, method)(**{**required(method), argument: bad})
    assert caught.value.argument == argument


@pytest.mark.parametrize("method", [*LIMITED, "list_stored"])
@pytest.mark.parametrize("bad", ["5", True, 5.0, None, b"bytes"])
async def test_limit_that_is_no_integer(
    unreachable: StrategyExecutionLogRepository, method: str, bad: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await getattr(unreachable, method)(**required(method), limit=bad)
    assert caught.value.argument == "limit"


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("fractions", {"fractions": [0.5, 1.01]}),
        ("fractions", {"fractions": [-0.01]}),
        ("fractions", {"fractions": [math.nan]}),
        ("fractions", {"fractions": ["0.5"]}),
        ("fractions", {"fractions": [True]}),
        ("fractions", {"fractions": "0.5"}),
        ("fractions", {"fractions": 0.5}),
        ("fractions", {"fractions": []}),
        ("timeout", {"timeout": 0}),
        ("timeout", {"timeout": -1.0}),
        ("timeout", {"timeout": math.inf}),
        ("timeout", {"timeout": 10**400}),
        ("timeout", {"timeout": True}),
        ("timeout", {"timeout": "1"}),
    ],
)
async def test_percentile_arguments(
    unreachable: StrategyExecutionLogRepository, argument: str, arguments: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.duration_percentiles(strategy_id=STRATEGY, **arguments)
    assert caught.value.argument == argument


@pytest.mark.parametrize("method", ["metrics", "compare", "report"])
@pytest.mark.parametrize("bad", [0, -1.0, math.inf, math.nan, 10**400, True, "1", None])
async def test_a_budget_that_is_none(
    unreachable: StrategyExecutionLogRepository, method: str, bad: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await getattr(unreachable, method)(**required(method), timeout=bad)
    assert caught.value.argument == "timeout"


DAY = timedelta(days=1)
FIRST = datetime.min.replace(tzinfo=UTC)
LAST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("bucket", {"bucket": "1h"}),
        ("bucket", {"bucket": True}),
        ("bucket", {"bucket": 0}),
        ("bucket", {"bucket": 1e-9}),
        ("bucket", {"bucket": math.nan}),
        ("bucket", {"bucket": math.inf}),
        ("bucket", {"bucket": 10**400}),
        ("bucket", {"bucket": timedelta()}),
        ("bucket", {"bucket": -DAY}),
        ("bucket", {"since": T0, "until": T0 + DAY, "bucket": timedelta(seconds=86)}),
        ("bucket", {"since": T0, "until": T0 + 1001 * DAY}),
        ("bucket", {"since": T0, "until": T0 + DAY, "bucket": timedelta(microseconds=1)}),
        ("since", {"since": datetime.now(UTC) + DAY}),
        ("since", {"since": FIRST, "until": LAST - DAY, "bucket": 10_000 * DAY}),
        ("until", {"since": T0, "until": LAST, "bucket": 10_000 * DAY}),
        ("until", {"until": FIRST + DAY / 2}),
        ("until", {"until": FIRST + DAY}),
    ],
)
async def test_buckets(
    unreachable: StrategyExecutionLogRepository, argument: str, arguments: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.timeseries(strategy_id=STRATEGY, **arguments)
    assert caught.value.argument == argument
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.report(strategy_id=STRATEGY, **arguments)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("buckets", {"buckets": 0}),
        ("buckets", {"buckets": 201}),
        ("buckets", {"buckets": True}),
        ("buckets", {"buckets": 5.0}),
        ("since", {"since": datetime.now(UTC) + DAY}),
        ("since", {"since": FIRST, "until": T0}),
        ("until", {"since": T0, "until": LAST}),
        ("until", {"until": FIRST + DAY}),
    ],
)
async def test_buckets_of_activity(
    unreachable: StrategyExecutionLogRepository, argument: str, arguments: Any
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.activity(**arguments)
    assert caught.value.argument == argument


@pytest.mark.parametrize(
    "bound",
    [
        "min_duration_ms",
        "max_duration_ms",
        "above_duration_ms",
        "min_points",
        "max_points",
        "below_points",
    ],
)
@pytest.mark.parametrize("bad", ["1", True, math.nan, math.inf, 10**400, T0])
async def test_bounds(unreachable: StrategyExecutionLogRepository, bound: str, bad: Any) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await unreachable.list_executions(strategy_id=STRATEGY, **{bound: bad})
    assert caught.value.argument == bound


async def test_other_arguments(unreachable: StrategyExecutionLogRepository) -> None:
    calls: list[tuple[str, Awaitable[object]]] = [
        ("status", unreachable.list_for_strategy(strategy_id=STRATEGY, status=7)),  # type: ignore[arg-type]
        ("status", unreachable.list_for_strategy(strategy_id=STRATEGY, status="\0")),
        ("before", unreachable.list_for_strategy(strategy_id=STRATEGY, before=T0)),  # type: ignore[arg-type]
        ("status", unreachable.list_newest(status="\0")),
        ("before", unreachable.list_newest(before="row")),  # type: ignore[arg-type]
        ("id", unreachable.get(id="7")),
        ("id", unreachable.get(id=7)),  # type: ignore[arg-type]
        ("strategy_id", unreachable.get(id=row().id, strategy_id="")),
        ("prefix", unreachable.list_by_prefix(prefix="0192f0c")),
        ("prefix", unreachable.list_by_prefix(prefix="0192f0c1-zz")),
        ("prefix", unreachable.list_by_prefix(prefix="0" * 33)),
        ("prefix", unreachable.list_by_prefix(prefix=row().id)),  # type: ignore[arg-type]
        ("strategy_id", unreachable.list_by_prefix(prefix="0192f0c1", strategy_id="")),
        ("payloads", unreachable.list_by_prefix(prefix="0192f0c1", payloads=1)),  # type: ignore[arg-type]
        ("a", unreachable.compare(a="", b=STRATEGY)),
        ("b", unreachable.compare(a=STRATEGY, b=7)),  # type: ignore[arg-type]
        ("before", unreachable.list_failures(before="row")),  # type: ignore[arg-type]
        ("before", unreachable.list_executions(strategy_id=STRATEGY, before=7)),  # type: ignore[arg-type]
        ("status", unreachable.list_executions(strategy_id=STRATEGY, status="\0")),
        ("error_code", unreachable.list_executions(strategy_id=STRATEGY, error_code=7)),  # type: ignore[arg-type]
        ("case_name", unreachable.list_executions(strategy_id=STRATEGY, case_name=b"")),  # type: ignore[arg-type]
        ("by", unreachable.rank_strategies(by="p50")),  # type: ignore[arg-type]
        ("by", unreachable.rank_strategies(by="p99 desc; --")),  # type: ignore[arg-type]
        ("by", unreachable.rank_strategies(by=None)),  # type: ignore[arg-type]
    ]
    for argument, call in calls:
        with pytest.raises(InvalidArgument) as caught:
            await call
        assert caught.value.argument == argument


async def test_what_a_repository_is_made_of(pool: Pool) -> None:
    with pytest.raises(InvalidArgument, match=r"^pool: "):
        StrategyExecutionLogRepository("postgresql://")  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"^timeout: "):
        StrategyExecutionLogRepository(pool, timeout=0)


async def test_nothing_of_a_refused_batch_is_stored(
    repository: StrategyExecutionLogRepository,
) -> None:
    good = [row() for _ in range(1500)]
    with pytest.raises(InvalidArgument, match=r"^rows\[1500\]\.points"):
        await repository.insert_rows([*good, model({"points": math.nan})])
    assert await repository.count_by_status(strategy_id=STRATEGY) == {}


async def test_sql_in_every_text_is_only_text(repository: StrategyExecutionLogRepository) -> None:
    evil = "'; drop schema execlog cascade; --\\'\"$1%s{}"
    texts = dict.fromkeys(TEXTS, evil)
    stored = row(**texts, trace=[evil, {evil: evil}])
    await repository.insert_row(stored)
    again = stored.model_copy(update={"id": row().id})
    assert await repository.insert_rows([again]) == 1
    listed = await repository.list_for_strategy(strategy_id=evil, status=evil)
    assert {found.id: found for found in listed} == {stored.id: stored, again.id: again}
    assert await repository.count_by_status(strategy_id=evil) == {evil: 2}
    assert await repository.get(id=stored.id, strategy_id=evil) == stored
    [code] = await repository.count_by_error_code(strategy_id=evil)
    [case] = await repository.count_by_case_name(strategy_id=evil)
    assert (code.code, case.case_name) == (evil, evil)


async def test_a_large_trace(repository: StrategyExecutionLogRepository) -> None:
    large = row(trace=[{"node": f"n{i}", "text": "x" * 1000} for i in range(1000)])
    other = row(trace=large.trace)
    await repository.insert_row(large)
    assert await repository.insert_rows([other]) == 1
    assert await repository.get(id=large.id) == large
    assert await repository.get(id=other.id) == other


@pytest.mark.parametrize("method", LIMITED)
@pytest.mark.parametrize(("limit", "found"), [(0, 1), (-1, 1), (-(10**30), 1), (2, 2), (10**9, 3)])
async def test_limits_are_clamped(
    repository: StrategyExecutionLogRepository, method: str, limit: int, found: int
) -> None:
    await repository.insert_rows(
        row(
            id=alike(),
            strategy_id=strategy,
            status="error",
            error_code=name,
            case_name=name,
            points=1.0,
        )
        for strategy in ("a", "b", STRATEGY)
        for name in ("a", "b", "c")
        if strategy == STRATEGY or (name == "a" and method == "rank_strategies")
    )
    assert len(await getattr(repository, method)(**required(method), limit=limit)) == found


@pytest.mark.parametrize(
    ("method", "largest"),
    [
        ("list_for_strategy", 200),
        ("count_by_error_code", 50),
        ("count_by_case_name", 50),
        ("sample_durations", 5000),
        ("sample_points", 5000),
        ("list_newest", 200),
        ("list_by_prefix", 200),
        ("list_failures", 200),
        ("rank_strategies", 50),
    ],
)
async def test_the_largest_limit(
    repository: StrategyExecutionLogRepository, method: str, largest: int
) -> None:
    await repository.insert_rows(
        row(
            id=alike(),
            strategy_id=str(i) if method == "rank_strategies" else STRATEGY,
            status="error",
            error_code=str(i),
            case_name=str(i),
            points=1.0,
        )
        for i in range(largest + 1)
    )
    assert len(await getattr(repository, method)(**required(method), limit=10**9)) == largest


@pytest.fixture
async def unreachable() -> StrategyExecutionLogRepository:
    """A repository whose pool was never opened: whatever it refuses, it refused before sending."""
    return StrategyExecutionLogRepository(asyncpg.create_pool("postgresql://", min_size=0))


class Named(str, Enum):  # noqa: UP042 - StrEnum would hide the difference
    """What some code bases use for their strategies; str() of it is not its value."""

    LOYALTY = STRATEGY


async def test_kinds_of_text_and_time(repository: StrategyExecutionLogRepository) -> None:
    odd = T0.astimezone(timezone(timedelta(hours=23, minutes=59, microseconds=7)))
    await repository.insert_row(fields(strategy_id=Named.LOYALTY, created_at=odd))
    assert await repository.insert_rows([row(strategy_id=Named.LOYALTY, created_at=odd)]) == 1
    listed = await repository.list_for_strategy(strategy_id=Named.LOYALTY)
    assert [found.created_at for found in listed] == [T0, T0]
    assert await repository.count_by_status(strategy_id=STRATEGY, since=odd, until=odd) == {"ok": 2}


async def test_the_longest_keys_fit_into_every_index(
    repository: StrategyExecutionLogRepository,
) -> None:
    keys = {name: secrets.token_hex(256) for name in ("strategy_id", "realm_id", "status")}
    longest = row(**keys, error_code=secrets.token_hex(256), case_name=secrets.token_hex(256))
    assert await repository.insert_rows([longest]) == 1
    assert await repository.get(id=longest.id) == longest


async def test_the_deepest_trace_can_be_read_again(
    repository: StrategyExecutionLogRepository,
) -> None:
    deep = row(trace=nested(180))
    assert await repository.insert_rows([deep]) == 1
    assert await repository.get(id=deep.id) == deep


async def test_a_trace_of_another_client_that_no_parser_reads(
    pool: Pool, repository: StrategyExecutionLogRepository
) -> None:
    one = row()
    await repository.insert_row(one)
    text = "[" * 300 + "]" * 300
    await pool.execute("update execlog.strategy_execution_log set trace = $1::text::jsonb", text)
    found = await repository.get(id=one.id)
    assert found is not None
    assert found.trace == [text]


async def test_before_is_checked_too(unreachable: StrategyExecutionLogRepository) -> None:
    for change in ({"created_at": ZONELESS}, {"id": 7}):
        with pytest.raises(InvalidArgument, match=r"^before: "):
            await unreachable.list_for_strategy(
                strategy_id=STRATEGY, before=row().model_copy(update=change)
            )


async def test_what_was_read_can_be_stored_again(
    repository: StrategyExecutionLogRepository,
) -> None:
    class Tagged(str):
        __slots__ = ()

        def __str__(self) -> str:
            return "something else"

    await repository.insert_rows([row(notes=Tagged("tab\there"), case_name=Tagged("gold"))])
    [read] = await repository.list_for_strategy(strategy_id=STRATEGY)
    assert (read.notes, read.case_name) == ("tab\there", "gold")
    assert StrategyExecutionLog.model_validate_json(read.model_dump_json()) == read
    assert read.model_copy() == read == StrategyExecutionLog(**read.model_dump())
    again = read.model_copy(update={"created_at": T0})
    assert await repository.insert_rows([again]) == 1
    await repository.insert_row(read.model_copy(update={"created_at": None}))
    assert await repository.count_by_status(strategy_id=STRATEGY) == {"ok": 3}
