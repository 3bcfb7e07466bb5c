"""Histograms as one number: what is in them, and how far off their percentiles are."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.repository.histogram import RELATIVE_ERROR, lower_bound, percentiles, unpacked
from execlog.repository.percentiles import percentile_cont


def bar(value: float) -> int:
    """As `execlog.rollup_bar` has it."""
    if value < 0.001:
        return 0
    return 1 + math.floor(math.log(value * 1000) / math.log(1.02)) if value < 1e12 else 1745


@given(
    st.dictionaries(
        st.integers(0, 1745), st.integers(1, 10**10 - 1) | st.sampled_from([10, 10**9]), max_size=9
    )
)
def test_a_number_holds_its_bars(bars: dict[int, int]) -> None:
    places = range(max(bars, default=0), -1, -1)
    number = "".join(f"{bars.get(place, 0):010}" for place in places).lstrip("0") or "0"
    assert unpacked(number) == bars
    assert list(unpacked(number)) == sorted(bars)


def test_nothing_is_no_bar() -> None:
    assert unpacked(None) == unpacked("0") == {}
    assert percentiles({}, (0.5, 1), 0, 0) == (0.0, 0.0)


@given(
    st.lists(st.floats(0.001, 1e12, exclude_max=True) | st.just(0.0), min_size=1, max_size=50),
    st.lists(st.floats(0, 1), max_size=4),
)
def test_percentiles_are_within_their_bound(values: list[float], fractions: list[float]) -> None:
    bars = dict(sorted(Counter(map(bar, values)).items()))
    found = percentiles(bars, fractions, min(values), max(values))
    for one, exact in zip(found, percentile_cont(values, fractions), strict=True):
        assert one == pytest.approx(exact, rel=RELATIVE_ERROR)


@given(st.floats(0.001, 1e12, exclude_max=True))
def test_a_bar_begins_below_what_it_holds(value: float) -> None:
    assert lower_bound(bar(value)) <= value * (1 + 1e-12)
    assert value < lower_bound(bar(value) + 1) * (1 + 1e-12)


@pytest.mark.parametrize("value", [0.0, 12.5, 1e12, 1e300])
def test_what_is_always_the_same_is_exact(value: float) -> None:
    assert percentiles({bar(value): 7}, (0, 0.5, 1), value, value) == (value,) * 3
