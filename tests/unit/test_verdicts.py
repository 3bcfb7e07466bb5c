"""Intervals of differences by whole blocks of time, and verdicts on them."""

from __future__ import annotations

import random

import pytest

from execlog.statistics.verdicts import (
    Difference,
    Sums,
    difference,
    is_enough,
    of_percentiles,
    verdicts,
)


def sums(
    dice: random.Random, rate: float, *, first: int = 0, shared: list[float] | None = None
) -> Sums:
    """Thirty blocks of about a hundred runs, each with an error rate of its own."""
    places = [(n * 60, 60) for n in range(first, first + 30)]
    weights = [float(dice.randrange(80, 120)) for _ in places]
    moods = shared or [dice.gauss(0, 0.02) for _ in places]
    outcomes = [w * max(rate + mood, 0) for w, mood in zip(weights, moods, strict=True)]
    return Sums(places, weights, outcomes)


def test_the_interval_covers_the_difference_and_false_alarms_are_few() -> None:
    dice = random.Random(5)
    found = [difference(sums(dice, 0.1), sums(dice, 0.13, first=30)) for _ in range(100)]
    covered = [one for one in found if one is not None and one.low <= 0.03 <= one.high]
    assert len(found) * 0.93 <= len(covered)
    alike = [difference(sums(dice, 0.1), sums(dice, 0.1, first=30)) for _ in range(100)]
    assert sum(one is not None and one.p_value < 0.05 for one in alike) <= 0.07 * len(alike)


def test_what_befell_both_at_once_is_no_difference() -> None:
    """Blocks of the same time are compared within themselves."""
    dice = random.Random(6)
    moods = [dice.gauss(0, 0.05) for _ in range(30)]
    beside = difference(sums(dice, 0.2, shared=moods), sums(dice, 0.22, shared=moods))
    apart = difference(sums(dice, 0.2, shared=moods), sums(dice, 0.22, shared=moods, first=30))
    assert beside is not None
    assert apart is not None
    assert beside.p_value < 0.05 < apart.p_value
    assert beside.high - beside.low < (apart.high - apart.low) / 4


def test_what_can_not_be_told() -> None:
    none = Sums([], [], [])
    huge = Sums([(n, 1) for n in range(8)], [1.0] * 8, [1e308, -1e308] * 4)
    assert difference(none, none) is None
    assert difference(Sums(huge.places, huge.weights, [1e308] * 8), huge) is None
    assert not is_enough((49, 1000), (20, 20))
    assert not is_enough((1000, 1000), (5, 20))
    assert not is_enough((1000, 1000), (20, 20), counted=9)
    assert is_enough((50, 50), (6, 6), counted=10)


def test_a_percentile_moves_by_more_than_its_interval() -> None:
    """Of 0 to 99 ms and of 10 to 109 ms; a percentile too near to the end has no interval."""
    dice = random.Random(7)
    places = [(n, 1) for n in range(30)]
    shares = Sums(places, [100.0] * 30, [float(dice.randrange(7, 14)) for _ in places])
    at = (lambda share: 100 * share, lambda share: 10 + 100 * share)
    found = of_percentiles((shares, shares), (90.0, 100.0), at, 0.9, within=0.0)
    assert found is not None
    assert 0 < found.low < 10 < found.high
    assert found.p_value < 0.05
    same = of_percentiles((shares, shares), (90.0, 90.0), (at[0], at[0]), 0.9, within=0.01)
    assert same is not None
    assert same.low < 0 < same.high
    assert same.p_value == 1
    few = Sums(places, [1.0] * 30, [0.0] * 28 + [1.0] * 2)
    assert of_percentiles((few, few), (95.0, 95.0), at, 0.97, within=0.01) is None


@pytest.mark.parametrize(
    ("p_values", "wanted"),
    [
        ([], []),
        ([0.04, None], [True, None]),
        ([0.04, 0.5, None], [False, False, None]),
        ([0.02, 0.04, 0.9], [False, False, False]),
        ([0.01, 0.03, 0.9], [True, True, False]),
    ],
)
def test_differences_that_are_shown_together_are_judged_together(
    p_values: list[float | None], wanted: list[bool | None]
) -> None:
    found = [None if one is None else Difference(-1.0, 1.0, one) for one in p_values]
    assert verdicts(found) == wanted
