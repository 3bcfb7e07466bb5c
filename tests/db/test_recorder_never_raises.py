"""`record` never raises: what can be repaired is, the rest is refused and counted."""

from __future__ import annotations

import time
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from unittest.mock import MagicMock, Mock
from uuid import UUID

import numpy as np
import pytest

from execlog import ExecutionRecorder, StrategyExecutionLogRepository
from tests.databases import TABLE
from tests.recording import AWAY, Hostile, assert_sum, balanced, unstarted
from tests.rows import fields, row
from tests.types import Pool

REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("strategy_id", {"strategy_id": ""}),
    ("strategy_id", {"strategy_id": None}),
    ("strategy_id", {"strategy_id": 7.5}),
    ("external_user_id", {"external_user_id": True}),
    ("external_user_id", {"external_user_id": np.bool_(True)}),
    ("external_task_id", {"external_task_id": 1 << 20_000}),
    ("strategy_id", {"strategy_id": "x" * 513}),
    ("error_code", {"error_code": "é" * 257}),
    ("status", {"status": None}),
    ("points", {"points": float("nan")}),
    ("points", {"points": "12"}),
    ("points", {"points": 10**400}),
    ("points", {"points": True}),
    ("points", {"points": np.bool_(True)}),
    ("points", {"points": np.float32("nan")}),
    ("points", {"points": np.complex64(1)}),
    ("points", {"points": np.array([1.0, 2.0])}),
    ("points", {"points": np.ma.masked}),
    ("points", {"points": MagicMock()}),
    ("duration_ms", {"duration_ms": np.timedelta64(5, "ns")}),
    ("duration_ms", {"duration_ms": Decimal("Infinity")}),
    ("nodes_executed", {"nodes_executed": np.float64(4.5)}),
    ("nodes_executed", {"nodes_executed": float("nan")}),
    ("strategy_version", {"strategy_version": np.int64(2**31)}),
    ("duration_ms", {"duration_ms": float("inf")}),
    ("duration_ms", {"duration_ms": -0.1}),
    ("duration_ms", {"duration_ms": None}),
    ("strategy_version", {"strategy_version": 2**31}),
    ("strategy_version", {"strategy_version": 1.5}),
    ("strategy_version", {"strategy_version": True}),
    ("nodes_executed", {"nodes_executed": -1}),
    ("created_at", {"created_at": datetime(2026, 1, 1)}),
    ("created_at", {"created_at": "yesterday"}),
    ("sample_rate", {"sample_rate": 0.0}),
    ("sampled", {"sampled": "no"}),
    ("id", {"id": "7"}),
    ("notes", {"notes": 7}),
    ("notes", {"notes": 7, "trace": [1] * 201}),
    ("unknown_field", {"durationms": 1.0}),
    ("unknown_field", {"self_": 1.0}),
    ("case_name", {"case_name": Hostile()}),
    ("status", {"status": Hostile()}),
]


@pytest.mark.parametrize(("reason", "changes"), REFUSED)
def test_what_can_not_be_stored_is_refused_and_counted(
    reason: str, changes: dict[str, Any]
) -> None:
    recorder = unstarted(AWAY)
    assert recorder.record(**(fields() | changes)) is None
    assert recorder.stats().rejected == {reason: 1}
    assert recorder.record(**fields()) is not None
    assert (recorder.stats().offered, recorder.stats().pending_rows) == (2, 1)
    recorder._buffer.clear("test")


def test_calls_that_are_wrong_do_not_raise() -> None:
    recorder = unstarted(AWAY)
    assert recorder.record() is None  # type: ignore[call-arg]
    assert recorder.record("loyalty", **fields()) is None  # type: ignore[call-arg]
    assert recorder.record(**fields(), **{"not a name": 1}) is None  # type: ignore[arg-type]
    assert recorder.stats().rejected == {"strategy_id": 1, "unknown_field": 2}


nan = float("nan")

deep: list[Any] = []
for _ in range(250):
    deep = [deep]

circle: list[Any] = [1]
circle.append(circle)

REPAIRED: list[tuple[dict[str, Any], dict[str, Any], set[str]]] = [
    ({"notes": "a\0b"}, {"notes": "a\ufffdb"}, {"text_repaired"}),
    ({"case_name": "\ud800x"}, {"case_name": "\ufffdx"}, {"text_repaired"}),
    ({"notes": "\ud83d\ude00"}, {"notes": "😀"}, {"text_repaired"}),
    ({"points": 12}, {"points": 12.0}, set()),
    ({"duration_ms": 3}, {"duration_ms": 3.0}, set()),
    ({"trace": [nan, {"a": -float("inf")}]}, {"trace": [None, {"a": None}]}, {"trace_repaired"}),
    ({"trace": ["\0", {"\0": 1}]}, {"trace": ["\ufffd", {"\ufffd": 1}]}, {"trace_repaired"}),
    ({"trace": ["\udc00"]}, {"trace": ["\ufffd"]}, {"trace_repaired"}),
    ({"trace": ["\\u0000"]}, {"trace": ["\\u0000"]}, set()),
    ({"trace": (1, 2)}, {"trace": [1, 2]}, {"trace_repaired"}),
    ({"nodes_executed": np.int64(4)}, {"nodes_executed": 4}, set()),
    ({"nodes_executed": 4.0}, {"nodes_executed": 4}, set()),
    ({"strategy_version": np.float32(7)}, {"strategy_version": 7}, set()),
    ({"duration_ms": np.float32(0.5)}, {"duration_ms": 0.5}, set()),
    ({"points": Decimal("1.5")}, {"points": 1.5}, set()),
    ({"points": Fraction(1, 4)}, {"points": 0.25}, set()),
    ({"points": np.array([2.5])}, {"points": 2.5}, set()),
    (
        {"points": np.array(2), "sample_rate": np.half(0.5)},
        {"points": 2, "sample_rate": 0.5},
        set(),
    ),
    ({"sampled": np.bool_(True)}, {"sampled": True}, set()),
    ({"strategy_id": 7, "realm_id": np.int64(8)}, {"strategy_id": "7", "realm_id": "8"}, set()),
    ({"external_user_id": UUID(int=7)}, {"external_user_id": str(UUID(int=7))}, set()),
    (
        {"external_game_id": 10**30, "external_task_id": -1, "parent_strategy_id": 0},
        {"external_game_id": f"{10**30}", "external_task_id": "-1", "parent_strategy_id": "0"},
        set(),
    ),
    ({"error_code": 404, "case_name": np.uint8(2)}, {"error_code": "404", "case_name": "2"}, set()),
    (
        {"trace": [np.float32(1.5), {"a": [np.int64(3), np.bool_(False), {np.int8(7): 1}]}]},
        {"trace": [1.5, {"a": [3, False, {"7": 1}]}]},
        set(),
    ),
    (
        {"trace": [np.float32("nan"), np.array([1, nan])]},
        {"trace": [None, [1.0, None]]},
        {"trace_repaired"},
    ),
    ({"trace": [np.eye(2), np.arange(3)]}, {"trace": [[[1.0, 0], [0, 1.0]], [0, 1, 2]]}, set()),
    ({"trace": np.array([True, False])}, {"trace": [True, False]}, set()),
    (
        {"trace": np.zeros(201, np.int8)},
        {"trace": [0] * 200, "notes": "trace truncated: 201 -> 200 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": [{"a": np.zeros(10**4), "b": np.zeros(3)}]},
        {"trace": [{"a": "<ndarray>", "b": [0.0] * 3}]},
        {"trace_repaired"},
    ),
    ({"trace": [object()]}, {"trace": ["<object>"]}, {"trace_repaired"}),
    ({"trace": [{"a": Mock()}, int]}, {"trace": [{"a": "<Mock>"}, "<type>"]}, {"trace_repaired"}),
    ({"trace": [Hostile(), 1]}, {"trace": ["<Hostile>", 1]}, {"trace_repaired"}),
    (
        {"trace": ["\0", np.float32(1.5), Decimal("1.5"), {np.int8(1): {True}}]},
        {"trace": ["\ufffd", 1.5, "1.5", {"1": [True]}]},
        {"trace_repaired"},
    ),
    (
        {"trace": [object()] + [0] * 300},
        {"trace": ["<object>"] + [0] * 199, "notes": "trace truncated: 301 -> 200 entries"},
        {"trace_cut", "trace_repaired"},
    ),
    ({"trace": [{1: 2}]}, {"trace": [{"1": 2}]}, set()),
    ({"trace": [b"\xff"]}, {"trace": ["<bytes>"]}, {"trace_repaired"}),
    ({"trace": circle}, {"trace": [1, [1, "..."]]}, {"trace_repaired"}),
    (
        {"trace": {"node": 1}},
        {"trace": None, "notes": "trace left out: it is no list of JSON values"},
        {"trace_left_out"},
    ),
    (
        {"trace": list(range(201)), "notes": "n"},
        {"trace": list(range(200)), "notes": "n; trace truncated: 201 -> 200 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": ["x" * 400, "y" * 400, "z" * 400]},
        {"trace": ["x" * 400, "y" * 400], "notes": "trace truncated: 3 -> 2 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": ["x" * 2000]},
        {"trace": [], "notes": "trace truncated: 1 -> 0 entries"},
        {"trace_cut"},
    ),
    (
        {"trace": [nan, "\0"] + [0] * 300},
        {"trace": [None, "\ufffd"] + [0] * 198, "notes": "trace truncated: 302 -> 200 entries"},
        {"trace_cut", "trace_repaired"},
    ),
]


@pytest.mark.parametrize(("given", "expected", "altered"), REPAIRED)
async def test_what_can_be_repaired_is(
    dsn: str,
    repository: StrategyExecutionLogRepository,
    given: dict[str, Any],
    expected: dict[str, Any],
    altered: set[str],
) -> None:
    async with ExecutionRecorder(dsn, trace_bytes=1000) as recorder:
        id_ = recorder.record(**fields(**given))
        assert id_ is not None
        assert await recorder.flush()
    stored = await repository.get(id=id_)
    assert stored is not None
    assert stored == row(id=id_, created_at=stored.created_at, **expected)
    assert recorder.stats().altered == dict.fromkeys(altered, 1)
    await assert_sum(dsn, recorder.stats())


@pytest.mark.parametrize("mask", [(), ["notes"]])
@pytest.mark.parametrize(
    "unusual", [{}, {"nodes_executed": np.int64(4)}, {"notes": "a\0"}, {"case_name": 7}]
)
async def test_a_generator_in_a_trace_is_run_once(
    dsn: str, repository: StrategyExecutionLogRepository, mask: Any, unusual: dict[str, Any]
) -> None:
    async with ExecutionRecorder(dsn, mask=mask) as recorder:
        trace = [{"steps": (n for n in range(3))}]
        id_ = recorder.record(**fields(trace=trace, **unusual))
        assert id_ is not None
    stored = await repository.get(id=id_)
    assert stored is not None
    assert stored.trace == [{"steps": [0, 1, 2]}]
    assert "trace_repaired" not in recorder.stats().altered


async def test_a_trace_too_deep_to_be_read_again(
    dsn: str, repository: StrategyExecutionLogRepository
) -> None:
    async with ExecutionRecorder(dsn) as recorder:
        id_ = recorder.record(**fields(trace=deep))
        assert await recorder.flush()
    stored = await repository.get(id=str(id_))
    assert stored is not None
    assert str(stored.trace).startswith("[[[[")
    assert "..." in str(stored.trace)


def test_deep_in_the_stack_it_counts_and_does_not_raise() -> None:
    recorder = unstarted(AWAY)
    recorder.record(**fields())  # what is made once is made now

    def descend() -> int:
        try:
            deeper = descend()
        except RecursionError:
            deeper = 0
        if 0 <= deeper < 60:  # the last sixty levels, one after the other
            recorder.record(**fields())
        return deeper + 1

    calls = min(descend(), 60)
    stats = recorder.stats()
    assert balanced(stats)
    assert calls <= stats.offered - 1 <= calls + 1
    recorder._buffer.clear("test")


def test_graphs_without_end_take_no_time_without_end() -> None:
    nodes: list[dict[str, Any]] = [{"n": n} for n in range(40)]
    for n, node in enumerate(nodes):
        node["next"] = [nodes[(n * k + k) % 40] for k in (3, 7, 11)]
    recorder = unstarted(AWAY)
    begin = time.monotonic()
    assert recorder.record(**fields(trace=nodes)) is not None
    # Many entries beside a text that wants care: only the head is looked at.
    assert recorder.record(**fields(trace=[{"x": "y" * 1000}] * 100_000, notes="a\0")) is not None
    assert time.monotonic() - begin < 10
    assert recorder.stats().altered["trace_cut"] == 1
    recorder._buffer.clear("test")


class Falsy(str):
    """Holds what COPY takes for its own, and says that it is nothing."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


class Unequal(str):
    """Answers a comparison with what is no bool."""

    __slots__ = ()

    def __eq__(self, other: object) -> Any:
        return Hostile()

    __hash__ = str.__hash__


class Panicking:
    """A trace entry that changes the dict that holds it while that is written."""

    def __init__(self) -> None:
        self.entry: dict[str, Any] = {"a": self.steps(), "b": 1, "c": 2}

    def steps(self) -> Any:
        for n in range(100):
            self.entry[f"k{n}"] = n
            yield n


async def test_texts_and_traces_that_lie(dsn: str, pool: Pool) -> None:
    evil = Falsy("x\n" + "\t".join(["spoofed"] * 20))
    async with ExecutionRecorder(dsn) as recorder:
        for name in ("notes", "realm_id", "external_user_id", "parent_strategy_id"):
            assert recorder.record(**fields(**{name: evil})) is not None
        recorder.record(**fields(status=Unequal("ok")))
        recorder.record(**fields(trace=[Panicking().entry]))
        assert balanced(recorder.stats())
        assert await recorder.flush()
    assert balanced(recorder.stats())
    assert recorder.stats().offered == 6
    assert await pool.fetchval(f"select count(*) from {TABLE} where strategy_id <> 'loyalty'") == 0
    await assert_sum(dsn, recorder.stats())
