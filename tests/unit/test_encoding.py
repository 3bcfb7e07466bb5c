"""One line for each execution, the same by every way: quick, careful, and the repository's."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from execlog import InvalidArgument, StrategyExecutionLog
from execlog.db.copy_format import checked_line, fields_of
from execlog.db.rows import checked_values, copy_lines
from execlog.recorder.encoder import Encoder
from tests.oracle import EXAMPLES
from tests.rows import any_row, fields

ENCODER = Encoder(trace_limit=200, trace_bytes=2**20)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.binary(max_size=3)
    | st.datetimes()
    | st.uuids()
    | st.builds(object),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner)
        | st.dictionaries(st.text(st.characters(), max_size=3) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(deadline=None)
@given(any_row(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)))
def test_all_ways_write_the_same(row: StrategyExecutionLog) -> None:
    careful = fields_of(checked_line(checked_values(row, "row")).decode())
    [copied] = copy_lines([row])
    assert fields_of(copied.decode()) == careful
    given = {name: value for name, value in row.model_dump().items() if value is not None}
    id_, line, altered = ENCODER.encode(time.time_ns(), given)
    recorded = fields_of(line.decode())
    assert id_ == row.id
    assert altered == ()
    for name, value in careful.items():
        if name in ("trace", "input") and value is not None:
            continue  # the one writes floats as JSON text otherwise than the other
        if name != "created_at" or row.created_at is not None:
            assert recorded[name] == value, name


@example({"trace": ""})
@example({"trace_id": ""})
@example({"stored_at": ""})
@settings(deadline=None, max_examples=10 * EXAMPLES)
@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(StrategyExecutionLog.model_fields, anything))
)
def test_whatever_comes_is_a_line_or_is_refused_by_name(changes: dict[str, Any]) -> None:
    given = {k: v for k, v in (fields() | changes).items() if v is not None}
    try:
        _, line, _ = ENCODER.encode(time.time_ns(), given)
    except InvalidArgument as error:
        assert error.argument in StrategyExecutionLog.model_fields
        return
    text = line.decode()
    assert text.count("\n") == 1 and text.endswith("\n")
    assert "\0" not in text
    found = fields_of(text)
    for name, value in changes.items():
        if isinstance(value, str) and name not in ("id", "created_at", "stored_at"):
            plain = value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
            # A trace is a list, an id of one has 32 digits: other texts are left out.
            is_left_out = name in ("trace", "trace_id")
            expected = None if is_left_out else plain.replace("\0", "\ufffd")
            assert found[name] == expected


class Odd:
    """Answers to everything that a number or an array answers to, in one odd way each."""

    def __init__(self, way: Callable[[Odd], Any]) -> None:
        self._way = way

    def __index__(self) -> int:
        return cast(int, self._way(self))

    def __float__(self) -> float:
        return cast(float, self._way(self))

    def item(self) -> Any:
        return self._way(self)

    def tolist(self) -> Any:
        return self._way(self)

    def __len__(self) -> int:
        return 1


class OddArray(Odd):
    """The same with all that an array has."""

    @property
    def dtype(self) -> Any:
        return self._way(self)

    @property
    def shape(self) -> Any:
        return self._way(self)


def raising(error: BaseException) -> Callable[[Odd], Any]:
    def way(_: Odd) -> Any:
        raise error

    return way


def forever(odd: Odd) -> Any:
    return forever(odd)


WAYS: dict[str, Callable[[Odd], Any]] = {
    "raises": raising(ZeroDivisionError("s3cret")),
    "is cancelled": raising(asyncio.CancelledError()),
    "ends the process": raising(SystemExit("s3cret")),
    "recurses": forever,
    "itself": lambda odd: odd,
    "another of its kind": lambda odd: type(odd)(odd._way),
    "itself in a list": lambda odd: [odd],
    "others in a list": lambda odd: [type(odd)(odd._way), type(odd)(odd._way)],
    "a text": lambda _: "7",
    "a huge number": lambda _: 1 << 1_000_000,
    "nothing": lambda _: None,
    "a type": lambda _: int,
    "a tuple": lambda _: (1,),
    "a mock": lambda _: MagicMock(),
    "a mock that says it is an int": lambda _: MagicMock(spec=int),
}
NUMBERS = ("strategy_version", "nodes_executed", "duration_ms", "points", "sample_rate")
OTHERS = ("sampled", "strategy_id", "external_user_id")


@pytest.mark.parametrize("kind", [Odd, OddArray])
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_only_looks_like_a_number(way: Callable[[Odd], Any], kind: type[Odd]) -> None:
    odd = kind(way)
    for name in (*NUMBERS, *OTHERS):
        with pytest.raises(InvalidArgument) as refused:
            ENCODER.encode(time.time_ns(), fields(**{name: odd}))
        assert refused.value.argument == name
    for trace in ([{"a": odd}], [{odd: "a"}], ["\0", [[odd]]]):
        _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=trace))
        assert altered == ("trace_repaired",)
        assert f"<{kind.__name__}>" in str(fields_of(line.decode())["trace"])
    assert ENCODER.encode(time.time_ns(), fields(trace=odd))[2] == ("trace_left_out",)


class WithIndex:
    def __index__(self) -> int:
        return 3


class WithFloat:
    def __float__(self) -> float:
        return 3.0


class WithItem:
    def item(self) -> Any:
        return 3


class WithWholeFloat(WithFloat):
    def __index__(self) -> int:
        raise TypeError


class Tensor(OddArray):
    """What torch calls a scalar: it has all of them, and not all of them answer."""

    dtype = "its own"
    shape = ()

    def __init__(self) -> None:
        super().__init__(raising(TypeError()))

    def tolist(self) -> Any:
        return 3


@pytest.mark.parametrize("kind", [WithIndex, WithFloat, WithItem, WithWholeFloat, Tensor])
def test_whatever_says_that_it_is_a_number(kind: Callable[[], Any]) -> None:
    given = {**dict.fromkeys(NUMBERS[:-1], kind()), "trace": [kind(), {kind(): [kind()]}]}
    for spoiled in ({}, {"notes": "a\0"}):
        _, line, _ = ENCODER.encode(time.time_ns(), fields(**given, **spoiled))
        found = fields_of(line.decode())
        assert [float(found[name] or "nan") for name in NUMBERS[:-1]] == [3.0] * 4
        assert found["nodes_executed"] == found["strategy_version"] == "3"
        assert str(found["trace"]).replace(".0", "") == '[3,{"3":[3]}]'


@pytest.mark.parametrize("shape", [(10**12,), (3, 10**12)], ids=str)
def test_an_array_is_not_unfolded_beyond_what_may_be_kept(shape: tuple[int, ...]) -> None:
    trace = [np.broadcast_to(0, shape), np.zeros(2, int)]
    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=trace))
    assert fields_of(line.decode())["trace"] == '["<ndarray>",[0,0]]'
    assert altered == ("trace_repaired",)
    many = [np.zeros(2**17, np.int8) for _ in range(10)]
    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=many))
    text = str(fields_of(line.decode())["trace"])
    assert text.count("0") <= 2**19 and len(text) <= 2**20
    assert set(altered) == {"trace_repaired", "trace_cut"}


def test_the_head_of_an_array_of_a_terabyte() -> None:
    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=np.broadcast_to(0, 10**12)))
    found = fields_of(line.decode())
    assert found["trace"] == str([0] * 200).replace(" ", "")
    assert found["notes"] == f"trace truncated: {10**12} -> 200 entries"
    assert altered == ("trace_cut",)


def test_what_another_value_of_the_trace_needs_changes_no_other() -> None:
    """The careful way writes each value as the quick one does."""
    values = [
        Decimal("1.50"),
        datetime(2026, 1, 2, tzinfo=UTC),
        {"set"},
        {(1, 2): 3, None: 1, True: 2, 1.5: 4, Decimal("0.5"): 5},
        np.float32(1.5),
        np.arange(3),
        [b"bytes", [np.bool_(True)]],
        [1e300, float("nan"), 10**30],
        object(),
        Path("a/b"),
    ]
    _, line, _ = ENCODER.encode(time.time_ns(), fields(trace=values))
    _, other, _ = ENCODER.encode(time.time_ns(), fields(trace=[*values, "\0"]))
    quick, careful = (json.loads(str(fields_of(one.decode())["trace"])) for one in (line, other))
    assert careful == [*quick, "\ufffd"]


def test_a_number_without_end_costs_itself_alone() -> None:
    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=[10**5000, {"a": 1}, "\0"]))
    assert fields_of(line.decode())["trace"] == '["<int>",{"a":1},"\ufffd"]'
    assert altered == ("trace_repaired",)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -np.inf, np.float32("nan")])
def test_a_number_that_json_lacks_is_counted(number: Any) -> None:
    plain = {"NaN": 'he said "NaN"', "Infinity": "\\"}
    trace = [{**plain, "n": number}, "NaN", "-Infinity", (n for n in [1])]
    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=trace))
    expected = [{**plain, "n": None}, "NaN", "-Infinity", [1]]
    assert json.loads(str(fields_of(line.decode())["trace"])) == expected
    assert altered == ("trace_repaired",)
    assert ENCODER.encode(time.time_ns(), fields(trace=["NaN", "Infinity"]))[2] == ()


def test_a_generator_is_not_run_again_to_be_cut_or_replaced() -> None:
    short = Encoder(trace_limit=200, trace_bytes=20)
    trace = [(n for n in range(3)), "x" * 50]
    _, line, altered = short.encode(time.time_ns(), fields(trace=trace))
    assert fields_of(line.decode())["trace"] == "[[0,1,2]]"
    assert altered == ("trace_cut",)

    def broken() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=[broken(), 2]))
    assert fields_of(line.decode())["trace"] == "[[],2]"
    assert altered == ("trace_repaired",)


class Broken(BaseException):
    """No Exception, as what a library in Rust raises where it panics."""


def test_what_raises_wherever_it_is_touched_costs_itself_alone() -> None:
    class Touchy:
        def __getattribute__(self, name: str) -> Any:
            raise Broken

    class TouchyMap(dict[str, int]):
        def items(self) -> Any:
            raise Broken

    for trace in ([Touchy(), 1, "\0"], [{"a": Touchy()}, 1, "\0"], [TouchyMap(), 1, "\0"]):
        _, line, altered = ENCODER.encode(time.time_ns(), fields(trace=trace))
        text = str(fields_of(line.decode())["trace"])
        assert "<Touchy" in text and text.endswith(',1,"\ufffd"]')
        assert altered == ("trace_repaired",)
