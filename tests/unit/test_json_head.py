"""The beginning of a JSON text, laid out without being parsed."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.display.json_head import head

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_it_is_the_same_json(value: object) -> None:
    text, more = head(json.dumps(value, ensure_ascii=False), 10**6)
    assert (json.loads(text), more) == (value, 0)


@pytest.mark.parametrize(
    ("text", "laid_out"),
    [
        ("{}", "{}"),
        ("[ ]", "[ ]"),
        ('"a"', '"a"'),
        ("1.50", "1.50"),
        ("[1, 2]", "[1, 2]"),
        ('{"a": 1}', '{\n  "a": 1\n}'),
        (
            '{"a": {"b": [1, {}]}, "c": "]"}',
            '{\n  "a": {\n    "b": [\n      1,\n      {}\n    ]\n  },\n  "c": "]"\n}',
        ),
    ],
)
def test_how_it_is_laid_out(text: str, laid_out: str) -> None:
    assert head(text, 100) == (laid_out, 0)


def test_a_text_of_any_size_and_depth() -> None:
    """Only what is shown is read."""
    texts = [
        '{"a": "' + "x" * 10**7 + '"}',
        "[" * 10**6 + "]" * 10**6,
        '{"a": ' * 10**6 + "1" + "}" * 10**6,
        "[" + '"\\"", ' * 10**6 + "1]",
        "1" * 10**7,
    ]
    begin = time.perf_counter()
    for text in texts:
        laid_out, more = head(text, 20_000)
        assert more == len(text) - 20_000
        assert len(laid_out) < 2 * 10**6
    assert time.perf_counter() - begin < 10
