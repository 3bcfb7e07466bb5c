"""Masks: what they take out, what they refuse, and that they fail closed."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import InvalidArgument
from execlog.recorder.masking import Mask, Rules

SECRET = "4111-1111"


class Key(str, Enum):  # noqa: UP042 - StrEnum would be another case
    """A key that is written as its value and found by its name."""

    CARD = "card"


class Number(int):
    """A number that may be written as anything."""


def broken(value: object) -> str:
    raise RuntimeError(SECRET)


EXAMPLES: list[tuple[Rules, dict[str, Any], dict[str, Any]]] = [
    (["notes"], {"notes": SECRET, "status": "ok"}, {"notes": None, "status": "ok"}),
    (["/notes"], {"notes": SECRET}, {"notes": None}),
    (["notes"], {"status": "ok"}, {"status": "ok"}),
    ({"notes": "***"}, {"notes": SECRET}, {"notes": "***"}),
    ({"notes": "***"}, {"notes": None}, {"notes": None}),
    ({"notes": len}, {"notes": SECRET}, {"notes": None}),  # a text column holds no number
    ({"notes": str.lower}, {"notes": "ABC"}, {"notes": "abc"}),
    ({"notes": broken}, {"notes": SECRET}, {"notes": None}),
    ({"points": 0.0}, {"points": 7.5}, {"points": 0.0}),
    (["points"], {"points": 7.5}, {"points": None}),
    (["trace"], {"trace": [SECRET]}, {"trace": None}),
    ({"trace": lambda trace: trace[:1]}, {"trace": [1, SECRET]}, {"trace": [1]}),
    ({"trace": broken}, {"trace": [SECRET]}, {"trace": None}),
    (["trace/*/card"], {"trace": [{"card": SECRET, "n": 1}, 2]}, {"trace": [{"n": 1}, 2]}),
    ({"trace/*/card": "***"}, {"trace": [{"card": SECRET}, {}]}, {"trace": [{"card": "***"}, {}]}),
    ({"trace/*/card": "***"}, {"trace": [{"card": None}]}, {"trace": [{"card": None}]}),
    ({"trace/*/card": len}, {"trace": [{"card": SECRET}]}, {"trace": [{"card": 9}]}),
    ({"trace/*/card": broken}, {"trace": [{"card": SECRET}]}, {"trace": [{}]}),
    ({"trace/*/card": list}, {"trace": [{"card": SECRET}]}, {"trace": [{}]}),
    (["trace/0"], {"trace": [SECRET, 1]}, {"trace": [None, 1]}),
    (["trace/1/0"], {"trace": [1, [SECRET, 2]]}, {"trace": [1, [None, 2]]}),
    (["trace/*/*/card"], {"trace": [{"a": {"card": SECRET}}]}, {"trace": [{"a": {}}]}),
    (["trace/*/a~1b"], {"trace": [{"a/b": SECRET, "a": 1}]}, {"trace": [{"a": 1}]}),
    (["trace/*/a~0b"], {"trace": [{"a~b": SECRET, "a": 1}]}, {"trace": [{"a": 1}]}),
    (["trace/*/1"], {"trace": [{1: SECRET, 2: 2}]}, {"trace": [None]}),
    (["trace/*/true"], {"trace": [{True: SECRET}]}, {"trace": [None]}),
    (["trace/*/card"], {"trace": [{b"card": SECRET}]}, {"trace": [None]}),
    (["trace/*/card"], {"trace": [{("card",): SECRET}]}, {"trace": [None]}),
    (["trace/*/a\ufffd"], {"trace": [{"a\0": SECRET}]}, {"trace": [None]}),
    (["trace/*/a/b"], {"trace": [{"a": Number(7)}]}, {"trace": [{"a": None}]}),
    (["trace/*/None"], {"trace": [{None: SECRET}]}, {"trace": [None]}),
    (["trace/*/😀"], {"trace": [{"\ud83d\ude00": SECRET}]}, {"trace": [None]}),
    (["trace/*/card"], {"trace": [{Key.CARD: SECRET}]}, {"trace": [None]}),
    # A name and `*` both lead there: both apply.
    (["trace/0/a", "trace/*/b"], {"trace": [{"a": 1, "b": 2, "c": 3}]}, {"trace": [{"c": 3}]}),
    # A shorter path wins over a longer one, in either order.
    (["trace/*/a/b", "trace/*/a"], {"trace": [{"a": {"b": 1, "c": 2}}]}, {"trace": [{}]}),
    (["trace/*/a", "trace/*/a/b"], {"trace": [{"a": {"b": 1, "c": 2}}]}, {"trace": [{}]}),
    # Where the path can't be followed, what may hold the secret is taken out whole.
    (["trace/*/a/b"], {"trace": [{"a": json.dumps({"b": SECRET})}]}, {"trace": [{"a": None}]}),
    (["trace/*/a/b"], {"trace": [{"a": [{"b": SECRET}]}]}, {"trace": [{"a": None}]}),
    (["trace/*/a/b"], {"trace": [{"a": b"b"}, {"a": object()}]}, {"trace": [{"a": None}] * 2}),
    (["trace/*/a/b"], {"trace": [{"a": 1}, {"a": True}]}, {"trace": [{"a": 1}, {"a": True}]}),
    (["trace/*/a"], {"trace": SECRET}, {"trace": None}),
    (["trace/*/a"], {"trace": {"a": SECRET}}, {"trace": None}),
    (["notes", "trace/*/a"], {"notes": 7, "trace": None}, {"notes": None, "trace": None}),
]


@pytest.mark.parametrize(("rules", "fields", "expected"), EXAMPLES)
def test_examples(rules: Rules, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    try:
        before = copy.deepcopy(fields)
    except TypeError:  # what can't be copied can't be compared
        before = fields
    assert Mask(rules)(fields) == expected
    if "object" not in repr(fields):
        assert fields == before


class Odd(dict[str, Any]):
    """Answers otherwise than it holds."""

    def __iter__(self) -> Iterator[str]:
        raise RuntimeError(SECRET)

    def keys(self) -> Any:
        raise RuntimeError(SECRET)


def test_odd_containers_fail_closed() -> None:
    deep: Any = [SECRET]
    for _ in range(100_000):
        deep = [deep]
    for trace in ([Odd(card=SECRET)], [deep], [{"card": Odd(card=SECRET)}]):
        masked = Mask(["trace/*/*/*", "trace/*/card"])({"trace": trace})
        assert SECRET not in repr(masked)[:1_000_000]


REFUSED: list[tuple[Any, str]] = [
    ("notes", "must be paths or a mapping"),
    (b"notes", "must be paths or a mapping"),
    (7, "must be paths or a mapping"),
    ([7], "a path must be a string"),
    ([""], "a path is empty"),
    (["trace//a"], "has an empty step"),
    (["trace/"], "has an empty step"),
    (["nothing"], "nothing can't be masked: no column has this name"),
    (["strategy_id"], "strategy_id can't be masked: every execution has this column"),
    (["status"], "status can't be masked"),
    (["created_at"], "created_at can't be masked"),
    (["notes/a"], "only trace, input and attributes have something below"),
    (["trace/*/~2"], "has a ~ that is neither"),
    ({"notes": object()}, "can't be masked: a object can't replace anything"),
    ({"notes": 7}, "notes can't hold its replacement"),
    ({"notes": "a\0"}, "notes can't hold its replacement"),
    ({"notes": "\ud800"}, "notes can't hold its replacement"),
    ({"points": "x"}, "points can't hold its replacement"),
    ({"points": float("nan")}, "points can't hold its replacement"),
    ({"case_name": "x" * 513}, "case_name can't hold its replacement"),
    ({"trace": "x"}, "trace can't hold its replacement"),
    ({"trace/*/a": float("inf")}, "trace/*/a can't hold its replacement"),
    ({"trace/*/a": "\ud800"}, "trace/*/a can't hold its replacement"),
    ({"trace/*/a": 1, "/trace/*/a": 2}, "has more than one replacement"),
]


@pytest.mark.parametrize(("rules", "says"), REFUSED, ids=range(len(REFUSED)))
def test_rules_that_can_not_be_meant(rules: Any, says: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        Mask(rules)
    assert caught.value.argument == "mask"
    assert says in str(caught.value)


_leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
_odd = _leaves | st.binary(max_size=3) | st.tuples(st.text(max_size=3))
_keys = st.sampled_from(["a", "b", "a/b", "~", "*", "0", "1"])
_traces = st.lists(
    st.recursive(
        _odd,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3),
        max_leaves=12,
    ),
    max_size=4,
)


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every part of a trace."""
    if above:
        yield above
    if isinstance(value, dict | list):
        inside = value.items() if isinstance(value, dict) else enumerate(value)
        for step, part in inside:
            yield from places(part, (*above, step))


def put(trace: Any, place: tuple[Any, ...], new: Any) -> Any:
    """A copy with something else in this place."""
    if not place:
        return new
    changed = trace.copy()
    changed[place[0]] = put(trace[place[0]], place[1:], new)
    return changed


@given(_traces, st.data())
def test_a_masked_secret_never_shows_and_its_siblings_stay(trace: list[Any], data: Any) -> None:
    found = [place for place in places(trace) if "*" not in place]
    if not found:
        return
    place = data.draw(st.sampled_from(found))
    trace = put(trace, place, data.draw(st.sampled_from([SECRET, [SECRET], {"x": SECRET}])))
    stars = data.draw(st.lists(st.booleans(), min_size=len(place), max_size=len(place)))
    steps = [
        "*" if star else str(step).replace("~", "~0").replace("/", "~1")
        for star, step in zip(stars, place, strict=True)
    ]
    # Another path beside it must not take this one's place.
    other = "/".join(["trace", *("*" for _ in place), "zzz"])
    before = copy.deepcopy(trace)
    masked = Mask(["/".join(["trace", *steps]), other])({"trace": trace})["trace"]
    assert SECRET not in repr(masked)
    assert trace == before


@given(_traces, st.data())
def test_what_no_rule_leads_to_stays(trace: list[Any], data: Any) -> None:
    """One rule by names only: all else is as it was."""
    found = [place for place in places(trace) if "*" not in place]
    if not found:
        return
    place = data.draw(st.sampled_from(found))
    path = "/".join(str(step).replace("~", "~0").replace("/", "~1") for step in place)
    masked = Mask({f"trace/{path}": "***"})({"trace": trace})["trace"]
    value: Any = trace
    for step in place:
        value = value[step]
    assert masked == (trace if value is None else put(trace, place, "***"))
