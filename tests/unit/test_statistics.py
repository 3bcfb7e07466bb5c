"""The statistics of runs that fail together, against tables, known cases and their definitions."""

from __future__ import annotations

import math
import random

import pytest

from execlog.statistics.blocks import change, ratio
from execlog.statistics.cells import Cells, Frame, joined
from execlog.statistics.change_point import step
from execlog.statistics.distributions import (
    incomplete_beta,
    normal_cdf,
    normal_quantile,
    t_cdf,
    t_quantile,
    t_two_sided,
)
from execlog.statistics.effects import effect
from execlog.statistics.multiplicity import stand

# What scipy 1.17 answers.
T_CDF = [
    (-3.2, 1, 0.09641124797922958),
    (0.7, 2, 0.7218034876835673),
    (1.96, 22, 0.9686083411166052),
    (4.5, 46, 0.9999769812013066),
    (-12.0, 46, 4.535426044431018e-16),
    (2.0, 118, 0.9761015263287186),
    (60.0, 5, 0.9999999878318112),
]
T_QUANTILE = [
    (0.975, 1, 12.706204736174694),
    (0.975, 22, 2.0738730679040254),
    (0.025, 46, -2.012895598919429),
    (0.9999, 118, 3.8392304693166337),
    (0.4, 3, -0.2766706623326898),
]
BETA = [
    (0.5, 0.5, 0.3, 0.36901011956554536),
    (23, 0.5, 0.9, 0.028548170695890503),
    (50, 3, 0.99, 0.9846473742663409),
    (1, 500, 0.001, 0.39362105513881496),
]
FRAME = Frame(40, 20)


@pytest.mark.parametrize(("value", "degrees", "expected"), T_CDF)
def test_t(value: float, degrees: float, expected: float) -> None:
    assert t_cdf(value, degrees) == pytest.approx(expected, rel=1e-9)
    assert t_two_sided(value, degrees) == pytest.approx(2 * t_cdf(-abs(value), degrees), rel=1e-9)


@pytest.mark.parametrize(("probability", "degrees", "expected"), T_QUANTILE)
def test_quantiles_of_t(probability: float, degrees: float, expected: float) -> None:
    assert t_quantile(probability, degrees) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("a", "b", "x", "expected"), BETA)
def test_incomplete_beta(a: float, b: float, x: float, expected: float) -> None:
    assert incomplete_beta(a, b, x) == pytest.approx(expected, rel=1e-9)


def test_normal() -> None:
    assert normal_cdf(1.959963984540054) == pytest.approx(0.975, rel=1e-12)
    assert normal_quantile(0.975) == pytest.approx(1.959963984540054, rel=1e-12)
    assert normal_cdf(-40) >= 0


@pytest.mark.parametrize("probability", [0, 1, -1, math.nan])
def test_no_probability(probability: float) -> None:
    with pytest.raises(ValueError, match="within"):
        normal_quantile(probability)
    with pytest.raises(ValueError, match="within"):
        t_quantile(probability, 5)


def test_benjamini_and_hochberg() -> None:
    # The example of their paper: four of fifteen stand.
    p_values = [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459),
        *(0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
    assert stand(p_values, 0.05) == [True] * 4 + [False] * 11
    assert stand(p_values[::-1], 0.05) == [False] * 11 + [True] * 4
    assert stand(p_values[:4], 0.05, tests=1000) == [False] * 4
    assert stand([], 0.05) == []


def test_a_ratio_and_its_error_are_those_of_the_blocks() -> None:
    outcomes, weights = [1.0, 3.0, 2.0, 4.0], [10.0, 10.0, 10.0, 10.0]
    found = ratio(outcomes, weights, range(4))
    assert found.value == 0.25
    # Equal blocks: the error of a mean of four, its variance with two degrees less.
    shares = [0.1, 0.3, 0.2, 0.4]
    squares = sum((one - 0.25) ** 2 for one in shares)
    assert found.error(4) == pytest.approx(math.sqrt(squares / 16 * 4 / 2))


def test_runs_that_fail_together_are_no_evidence() -> None:
    """200 failures of one block look like much by rows; by blocks they are one."""
    weights = [100.0] * 40
    outcomes = [4.0] * 40
    outcomes[30] = 100.0
    assert change(outcomes, weights, 20, 0.05).p_value > 0.3
    steady = [4.0 + n % 3 for n in range(20)] + [9.0 + n % 3 for n in range(20)]
    assert change(steady, weights, 20, 0.05).p_value < 1e-6


def test_what_neighbours_share_makes_an_interval_wider() -> None:
    dice = random.Random(3)
    weights = [100.0] * 48
    alone = [10 + dice.gauss(0, 2) for _ in range(48)]
    shared = [10 + 2 * (n // 4 % 2) + dice.gauss(0, 0.5) for n in range(48)]
    wide, plain = (
        change(one, weights, 24, 0.05).high
        - ratio(one, weights, range(24, 48)).minus(ratio(one, weights, range(24))).tested(0.05).high
        for one in (shared, alone)
    )
    assert wide > plain


def cells(before: list[float], after: list[float], runs: float = 50.0) -> Cells:
    outcomes = [*before, *after]
    counts = (round(sum(before)), round(sum(after)))
    return Cells((1000, 1000), counts, [runs] * len(outcomes), outcomes)


def scattered(mean: float, seed: int) -> list[float]:
    dice = random.Random(seed)
    return [max(mean + dice.gauss(0, 1), 0.0) for _ in range(20)]


def test_a_drift_of_all_is_no_effect() -> None:
    part = cells(scattered(4, 1), scattered(8, 2))
    rest = cells(scattered(4, 3), scattered(8, 4))
    found = effect(part, rest, FRAME, is_rate=True)
    assert found is not None and found.p_value > 0.05
    more = effect(cells(scattered(4, 1), scattered(14, 2)), rest, FRAME, is_rate=True)
    assert more is not None and more.p_value < 1e-6
    assert more.beyond.value == pytest.approx(6 / 50, abs=0.02)


def test_a_drift_by_the_same_factor_is_no_effect() -> None:
    """From 4 to 8 and from 1 to 2: on the scale of differences alone it would be one."""
    part = cells(scattered(10, 1), scattered(20, 2))
    rest = cells(scattered(4, 3), scattered(8, 4))
    found = effect(part, rest, FRAME, is_rate=True)
    assert found is not None and found.p_value > 0.05
    assert found.beyond.p_value(40) < 1e-6


def test_what_stayed_as_it_was_is_no_cause() -> None:
    same, worse = cells(scattered(4, 1), scattered(4, 2)), cells(scattered(4, 3), scattered(12, 4))
    one, other = (
        effect(part, rest, FRAME, is_rate=True) for part, rest in ((same, worse), (worse, same))
    )
    assert one is not None and one.p_value == 1
    assert other is not None and other.p_value < 1e-6


def test_others_that_never_fail_tell_the_most() -> None:
    broken = cells([0.0] * 20, scattered(12, 1))
    healthy = cells([0.0] * 20, [0.0] * 20)
    found = effect(broken, healthy, FRAME, is_rate=True)
    assert found is not None and found.p_value < 1e-6
    few = Cells((20, 20), (0, 0), [1.0] * 40, [0.0] * 40)
    assert effect(broken, few, FRAME, is_rate=True) is None


def test_what_is_left_of_equal_means_is_no_change() -> None:
    """Sums of 0.1 are off by a rounding, in some blocks up and in others down."""
    weights = [float(n) for n in range(30, 70)]
    outcomes = [sum([0.1] * n) for n in range(30, 70)]
    found = change(outcomes, weights, 20, 0.05)
    assert (found.value, found.p_value) == (0, 1)


def test_cells_are_joined_and_taken_apart() -> None:
    one, other = cells(scattered(4, 1), scattered(4, 2)), cells(scattered(4, 3), scattered(12, 4))
    both = joined([one, other], FRAME)
    assert both.runs == (2000, 2000)
    assert both.without(other).weights == one.weights
    assert both.without(other).outcomes == pytest.approx(one.outcomes)
    assert joined([], FRAME).runs == (0, 0)


def test_since_when() -> None:
    weights = [100.0] * 60
    outcomes = [4.0 + n % 3 for n in range(40)] + [20.0 + n % 3 for n in range(20)]
    assert step(weights, outcomes, 0.05, is_rate=True) == (40, 40, 40)
    assert step(weights, [one * 7 for one in outcomes], 0.05, is_rate=False) == (40, 40, 40)
    # Minutes without runs are no step.
    weights[10] = outcomes[10] = 0.0
    assert step(weights, outcomes, 0.05, is_rate=True) == (40, 40, 40)


def test_since_when_without_any_scatter() -> None:
    assert step([10.0] * 60, [100.0] * 40 + [200.0] * 20, 0.05, is_rate=False) == (40, 40, 40)
    assert step([10.0] * 60, [100.0] * 60, 0.05, is_rate=False) is None


def test_since_when_of_a_slow_rise_is_wide() -> None:
    found = step([100.0] * 60, [4 + n / 4 for n in range(60)], 0.05, is_rate=True)
    assert found is not None and found.low < found.at < found.high


@pytest.mark.parametrize(
    ("weights", "outcomes"),
    [([], []), ([10.0] * 4, [1.0] * 4), ([10.0] * 60, [0.0] * 60), ([10.0] * 60, [10.0] * 60)],
)
def test_nothing_steps(weights: list[float], outcomes: list[float]) -> None:
    assert step(weights, outcomes, 0.05, is_rate=True) is None
