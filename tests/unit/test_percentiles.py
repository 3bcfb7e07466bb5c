"""The interpolation of percentile_cont in Python, against the standard library's own."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog.repository.percentiles import percentile_cont


def test_nothing() -> None:
    assert percentile_cont([], [0.5, 0.99]) == (0.0, 0.0)


def test_in_the_order_asked() -> None:
    assert percentile_cont([4.0, 1.0, 3.0, 2.0], [1, 0, 0.5, 0.25]) == (4.0, 1.0, 2.5, 1.75)


@given(st.lists(st.floats(0, 1e9), min_size=2, max_size=200))
def test_against_the_inclusive_quantiles_of_statistics(values: list[float]) -> None:
    fractions = [n / 100 for n in range(1, 100)]
    expected = statistics.quantiles(values, n=100, method="inclusive")
    assert percentile_cont(values, fractions) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(
    st.lists(st.tuples(st.floats(0, 1e300), st.integers(1, 9)), min_size=1, max_size=30),
    st.lists(st.floats(0, 1), max_size=4),
)
def test_whole_weights_are_values_that_are_there_so_often(
    pairs: list[tuple[float, int]], fractions: list[float]
) -> None:
    values, weights = [value for value, _ in pairs], [weight for _, weight in pairs]
    repeated = [value for value, weight in pairs for _ in range(weight)]
    assert percentile_cont(values, fractions, weights) == percentile_cont(repeated, fractions)


def test_a_weight_holds_places_up_to_one_less() -> None:
    """1 holds 0 to 1.5, 2 holds 2.5 to 4: the places are those of 0, 1.5, 2, 2.5 and 4 of 4."""
    fractions = [0, 0.375, 0.5, 0.625, 1]
    assert percentile_cont([2.0, 1.0], fractions, [2.5, 2.5]) == (1.0, 1.0, 1.5, 2.0, 2.0)


def test_a_few_heavy_values_among_many() -> None:
    values, weights = [5000.0] * 100 + [10.0] * 100, [1.0] * 100 + [1000.0] * 100
    assert percentile_cont(values, [0.5, 0.99, 1], weights) == (10.0, 10.0, 5000.0)
