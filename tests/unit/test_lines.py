"""What an import makes of a line, whichever program has written it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from execlog import InvalidArgument, StrategyExecutionLog
from execlog.cli.lines import Reader
from tests.rows import fields, row

AT = datetime(2026, 11, 26, 10, 0, 0, 123_000, UTC)


def read(reader: Reader | None = None, **changes: Any) -> StrategyExecutionLog:
    """The execution of a line that says this."""
    return (reader or Reader()).execution(2, json.dumps(fields(**changes)).encode())


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2026-11-26 10:00:00.123+00", AT),
        ("2026-11-26 11:00:00.123+01", AT),
        ("2026-11-26 04:30:00.123-05:30", AT),
        ("2026-11-26T10:00:00.123+00", AT),
        ("2026-11-26 10:00:00+00", AT.replace(microsecond=0)),
        ("2026-11-26 10:00:00.1+00", AT.replace(microsecond=100_000)),
        ("2026-11-26 10:00:00.123456+00", AT.replace(microsecond=123_456)),
        ("0033-04-03 15:00:00+00", datetime(33, 4, 3, 15, tzinfo=UTC)),
        (
            "1890-01-01 00:53:28+00:53:28",
            datetime(1890, 1, 1, 0, 53, 28, tzinfo=timezone(timedelta(seconds=3208))),
        ),
        ("infinity", datetime.max.replace(tzinfo=UTC)),
        ("-infinity", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_time_as_postgres_writes_it(text: str, time: datetime) -> None:
    assert read(created_at=text).created_at == time
    assert read(createdAt=text).created_at == time


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("0044-03-15 10:00:00+00 BC", "lies outside the years 1 to 9999 in UTC"),
        ("12026-11-26 10:00:00+00", "lies outside the years 1 to 9999 in UTC"),
        ("9999-12-31 23:59:59-01", "lies outside the years 1 to 9999 in UTC"),
        ("2026-13-26 10:00:00+00", "is not a time"),
        ("2026-11-26 10:00:00", "has no time zone"),
        ("Infinity", "is not a time"),
    ],
)
def test_no_time(text: str, problem: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^created_at: {problem}$"):
        read(created_at=text)


@pytest.mark.parametrize(
    ("written", "trace"),
    [
        (None, None),
        ("null", None),
        (" null ", None),
        ([None], [None]),
        ([], []),
        ("[]", []),
        ('[{"node": 1}, null]', [{"node": 1}, None]),
    ],
)
def test_a_trace_and_none(written: object, trace: object) -> None:
    assert read(trace=written).trace == trace


@pytest.mark.parametrize("written", ["", "a", "{}", "1", {}, 7])
def test_no_trace(written: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^trace: should be a valid list$"):
        read(trace=written)


def test_whole_numbers() -> None:
    found = read(strategy_version=3.0, nodes_executed=1e2)
    assert (found.strategy_version, found.nodes_executed) == (3, 100)
    assert type(found.strategy_version) is int
    for number in (1.5, 1e300, -1.0):
        with pytest.raises(InvalidArgument, match=r"^nodes_executed: "):
            read(nodes_executed=number)


def test_sampled_executions_that_say_no_rate() -> None:
    lines: list[dict[str, Any]] = [
        {"sampled": True},
        {"sampled": True, "sample_rate": None},
        {"sampled": True, "sampleRate": 0.5},
        {"sampled": False},
        {"sampled": False, "sample_rate": None},
        {"status": "error"},
    ]
    silent, told = Reader(), Reader(sample_rate=0.05)
    assert [read(silent, **line).sample_rate for line in lines] == [1, 1, 0.5, 1, 1, 1]
    assert [read(told, **line).sample_rate for line in lines] == [0.05, 0.05, 0.5, 1, 1, 1]
    assert (silent.unrated, told.unrated) == (2, 0)
    with pytest.raises(InvalidArgument, match=r"^duration_ms: "):
        read(silent, sampled=True, duration_ms=-1)
    assert silent.unrated == 2


def test_fields_that_no_execution_has() -> None:
    reader = Reader(ignore_unknown=True)
    assert read(reader, points=1.5, apiKey="s3cret", extra=[1]).points == 1.5
    assert read(reader, points=2.5).points == 2.5
    assert reader.cut == 1
    with pytest.raises(InvalidArgument, match=r"^extra: is not a field of an execution$"):
        read(extra=1)
    # What says one thing twice is no matter of taste.
    with pytest.raises(InvalidArgument, match=r"^strategy_id: is there in both spellings$"):
        read(reader, strategyId="other")


def test_an_own_export_is_read_as_it_was() -> None:
    one = row(trace=[{"a": 1.0}], points=2.0, sampled=True, sample_rate=0.25)
    assert Reader().execution(1, one.model_dump_json(by_alias=True).encode()) == one
