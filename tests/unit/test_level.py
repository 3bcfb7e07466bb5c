"""Since when a rate is another: what is found, and how often chance is taken for a change."""

from __future__ import annotations

import random

import pytest

from execlog.statistics.level import level
from tests.bench.levels import CASES, Case, Trial, alarms, series


def test_a_rise_is_found_and_dated() -> None:
    weights = [60.0] * 96
    outcomes = [1.0] * 84 + [6.0] * 12
    found = level(weights, outcomes)
    assert found is not None
    assert found.at == 84
    assert found.then == pytest.approx(1 / 60)
    assert found.since == pytest.approx(0.1)
    assert found.p_value < 1e-6


def test_a_fall_is_found_too() -> None:
    found = level([60.0] * 96, [6.0] * 60 + [1.0] * 36)
    assert found is not None
    assert (found.at, found.since < found.then, found.p_value < 1e-6) == (60, True, True)


def test_what_stands_now_is_told_and_not_the_first_of_two_changes() -> None:
    """It broke and was mended: now it is as it was, and that is no trouble."""
    found = level([60.0] * 96, [0.0, 1.0] * 20 + [9.0] * 40 + [0.0, 1.0] * 8)
    assert found is not None
    assert found.at == 80
    assert found.since == pytest.approx(0.5 / 60)
    assert found.then == pytest.approx(9 / 60)


def test_one_bad_block_is_no_level() -> None:
    for place in (40, 90, 95):
        outcomes = [0.0, 1.0] * 48
        outcomes[place] = 40.0
        found = level([60.0] * 96, outcomes)
        assert found is not None
        assert found.p_value > 0.05, place


@pytest.mark.parametrize(
    ("weights", "outcomes"),
    [
        ([], []),
        ([0.0] * 50, [0.0] * 50),
        ([60.0] * 9, [0.0] * 5 + [30.0] * 4),  # too few blocks
        ([1.0] * 40, [0.0] * 36 + [1.0] * 4),  # too few runs
        ([2.0] * 10 + [60.0] * 50, [0.0] * 10 + [40.0] * 50),  # too few before
    ],
)
def test_too_few_to_tell(weights: list[float], outcomes: list[float]) -> None:
    assert level(weights, outcomes) is None


def test_without_a_failure_nothing_changed_and_if_all_fail_neither() -> None:
    for outcomes in ([0.0] * 50, [20.0] * 50):
        found = level([20.0] * 50, outcomes)
        assert found is not None
        assert found.p_value == 1.0


def test_a_failure_that_stands_for_many_counts_as_one() -> None:
    """Of rows that weigh 20 each, two more failures are two, and not forty."""
    weights, outcomes = [200.0] * 40, [0.0] * 36 + [20.0, 20.0, 20.0, 20.0]
    alone, weighed = level(weights, outcomes), level(weights, outcomes, unit=20.0)
    assert alone is not None and weighed is not None
    assert alone.p_value < 0.001
    assert weighed.p_value > 0.05


def test_a_burst_now_and_then_is_no_level() -> None:
    """Three bursts of five within the last hour, of twelve in a day: they may come together."""
    outcomes = [0.0] * 96
    for place in (5, 17, 30, 42, 60, 71, 85, 90, 93):
        outcomes[place] = 5.0
    found = level([10.0] * 96, outcomes)
    assert found is not None
    assert found.p_value > 0.05


def test_gaps_are_no_blocks() -> None:
    weights = [60.0, 0.0] * 48
    outcomes = [1.0, 0.0] * 40 + [9.0, 0.0] * 8
    found = level(weights, outcomes)
    assert found is not None
    assert found.at == 80


def test_false_alarms_and_power() -> None:
    """A few trials of the table that `python -m tests.bench.levels` prints."""
    dice = random.Random(4)
    steady, broken = CASES[0], Case("broken", 240, 10.0, 0.01, broke=(60, 0.06))
    assert alarms(dice, steady, Trial(strategies=10, pages=30)) <= 0.1
    found = 0
    for _ in range(30):
        one = level(*series(dice, broken, 5))
        found += one is not None and one.p_value <= 0.01
    assert found >= 26


@pytest.mark.long
@pytest.mark.parametrize("case", [case for case in CASES if case.broke is None])
@pytest.mark.parametrize("strategies", [1, 50])
def test_false_alarms_of_a_page_are_held(case: Case, strategies: int) -> None:
    dice = random.Random(strategies)
    pages = 1000 // strategies + 60
    # 5 %, and three standard errors.
    most = 0.05 + 3 * (0.05 * 0.95 / pages) ** 0.5
    assert alarms(dice, case, Trial(strategies, pages)) <= most
