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
