"""Histograms as one number: what is in them, and how far off their percentiles are."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.repository.histogram import lower_bound, percentiles, unpacked
from execlog.repository.percentiles import percentile_cont


def bar(value: float) -> int:
    """As `execlog.rollup_bar` has it."""
    if value < 0.001:
        return 0
    return 1 + math.floor(math.log(value * 1000) / math.log(1.02)) if value < 1e12 else 1745


def written(bars: Mapping[int, float]) -> str:
    """As the server writes them: 24 digits a bar, in hundred millionths."""
    places = range(max(bars, default=0), -1, -1)
    digits = (f"{round(bars.get(place, 0) * 10**8):024}" for place in places)
    return "".join(digits).lstrip("0") or "0"


@given(
    st.dictionaries(
        st.integers(0, 1745),
        st.integers(1, 10**7) | st.sampled_from([1e-8, 0.1, 1.25, 10, 10**15]),
        max_size=9,
    )
)
def test_a_number_holds_its_bars(bars: dict[int, float]) -> None:
    assert unpacked(written(bars)) == bars
    assert list(unpacked(written(bars))) == sorted(bars)


def test_nothing_is_no_bar() -> None:
    assert unpacked(None) == unpacked("0") == {}
    assert percentiles({}, (0.5, 1), 0, 0) == ((0.0, 0.0), 0.0)


_values = st.floats(0, 1e13) | st.floats(0.0009, 0.0011) | st.sampled_from([0.0, 1e12, 2e12])
_weighed = st.lists(
    st.tuples(_values, st.integers(1, 5) | st.floats(1, 1e9)), min_size=1, max_size=50
)


def bars_of(pairs: list[tuple[float, float]]) -> dict[int, float]:
    bars: dict[int, float] = {}
    for value, weight in sorted(pairs):
        bars[bar(value)] = bars.get(bar(value), 0) + weight
    return bars


@given(_weighed, st.lists(st.floats(0, 1), max_size=4))
def test_percentiles_are_within_their_bound(
    pairs: list[tuple[float, float]], fractions: list[float]
) -> None:
    """If there is one."""
    values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    bars, ends = bars_of(pairs), (min(values), max(values))
    found, error = percentiles(bars, fractions, *ends)
    exact = percentile_cont(values, fractions, weights)
    if error is not None:
        assert found == pytest.approx(exact, rel=error + 1e-9, abs=0)
    elif all(0.001 <= value < 1e12 for value in values):
        pytest.fail("all have a bound")


@given(
    st.dictionaries(st.integers(0, 1745), st.integers(1, 9), min_size=1, max_size=9),
    st.lists(st.floats(0, 1), min_size=1, max_size=4),
)
def test_bars_are_as_many_numbers(counts: dict[int, int], fractions: list[float]) -> None:
    bars = dict(sorted(counts.items()))
    middles = [percentiles({one: 1}, (0.5,), 0, math.inf)[0][0] for one in bars]
    numbers = [value for value, n in zip(middles, bars.values(), strict=True) for _ in range(n)]
    found, _ = percentiles(bars, fractions, 0, math.inf)
    assert found == pytest.approx(percentile_cont(numbers, fractions))


@pytest.mark.parametrize(
    ("values", "fractions", "error"),
    [
        ([0.0, 0.0], (0.5,), 0.01),  # all are the same
        ([0.0, 0.0005], (0.5,), None),
        ([0.0, 0.0, 5.0, 5.0, 5.0], (0.9,), 0.01),  # it is none of the small ones
        ([0.0, 0.0, 5.0, 5.0, 5.0], (0.4,), None),  # it is between one of them and another
        ([0.0009995, 0.001, 0.001], (0, 1), 0.01),  # it can't be far from the least
        ([1e12, 1.001e12], (1,), 0.01),
        ([1e12, 3e12], (1,), None),
    ],
)
def test_what_has_a_bound(
    values: list[float], fractions: tuple[float, ...], error: float | None
) -> None:
    bars = dict(sorted(Counter(map(bar, values)).items()))
    ends = min(values), max(values)
    assert percentiles(unpacked(written(bars)), fractions, *ends)[1] == error


@given(st.floats(0.001, 1e12, exclude_max=True))
def test_a_bar_begins_below_what_it_holds(value: float) -> None:
    assert lower_bound(bar(value)) <= value * (1 + 1e-12)
    assert value < lower_bound(bar(value) + 1) * (1 + 1e-12)


@pytest.mark.parametrize("value", [0.0, 12.5, 1e12, 1e300])
def test_what_is_always_the_same_is_exact(value: float) -> None:
    found, _ = percentiles({bar(value): 7}, (0, 0.5, 1), value, value)
    assert found == (value,) * 3
