"""How sure a replay's shares and points are: intervals against the truth, on numbers alone."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from execlog.replaying.draw import OTHERS, planned
from execlog.replaying.estimate import Group, delta_of, share_of
from execlog.replaying.source import Stratum


class Case(NamedTuple):
    """A population of executions, and how much of it is kept and drawn."""

    name: str
    strata: Sequence[tuple[str, int, float]]  # name, executions, the share of them that changes
    rate: float  # of the ok runs that the log keeps
    sample: int | None
    noise: int = 0  # of ten in the first stratum


CASES = [
    Case(
        "drawn", [("a", 3000, 0.06), ("b", 1500, 0.02), ("c", 450, 0.3), ("bad", 60, 0.5)], 1, 800
    ),
    Case("drawn, few change", [("a", 6000, 0.02), ("b", 2000, 0), ("bad", 90, 0)], 1, 1500),
    Case("sampled log", [("a", 6000, 0.05), ("b", 3000, 0.02), ("bad", 300, 0.2)], 0.1, None),
    Case("both", [("a", 6000, 0.08), ("b", 3000, 0.03), ("bad", 150, 0.2)], 0.25, 900),
    Case("noise", [("a", 6000, 0.5), ("b", 6000, 0.01), ("bad", 60, 0.5)], 1, 1500, 8),
    Case("noise, both", [("a", 9000, 0.3), ("b", 6000, 0.03), ("bad", 90, 0.5)], 0.5, 1500, 6),
]
FAILURES_ALONE = Case("failures alone", [("a", 6000, 0), ("bad", 300, 0.3)], 0.1, None)
POINTS = {"a": 5.0, "b": 20.0, "c": 50.0, "bad": 0.0}


class Executed(NamedTuple):
    """One execution: its stratum, whether the candidate changes it, its points, and by how much."""

    stratum: str
    is_hit: bool
    points: float
    delta: float
    is_noise: bool


class Covered(NamedTuple):
    share: int = 0
    delta: int = 0
    relative: int = 0


def population(dice: random.Random, case: Case) -> list[Executed]:
    found = []
    for stratum, size, part in case.strata:
        for number in range(size):
            is_hit = number < round(size * part)
            points = POINTS[stratum] * dice.choice((1, 1, 2))
            delta = -dice.choice((1.0, 2.0, 5.0)) if is_hit else 0.0
            is_noise = stratum == "a" and number % 10 < case.noise
            found.append(Executed(stratum, is_hit, points, delta, is_noise))
    return found


def covered(case: Case, trials: int) -> Covered:
    """How often the intervals of a log, and of a draw, cover what is true of all executions."""
    dice = random.Random(28)
    executed = population(dice, case)
    clear = [one for one in executed if not one.is_noise]
    share = sum(one.is_hit for one in clear) / len(clear)
    delta = sum(one.delta for one in clear) / len(clear)
    ratio = sum(one.delta for one in clear) / sum(one.points for one in clear)
    counts = Covered()
    for _ in range(trials):
        kept = [one for one in executed if one.stratum == "bad" or dice.random() < case.rate]
        groups = counted(dice, case, kept)
        found, change = share_of(groups), delta_of(groups)
        assert found is not None and change is not None and change.relative is not None
        counts = Covered(
            counts.share + (found.low <= share <= found.high),
            counts.delta + (change.low <= delta <= change.high),
            counts.relative + (change.relative[1] <= ratio <= change.relative[2]),
        )
    return counts


def counted(dice: random.Random, case: Case, kept: Sequence[Executed]) -> list[Group]:
    rates = {one.stratum: 1.0 if one.stratum == "bad" else case.rate for one in kept}
    sizes = Counter(one.stratum for one in kept)
    plan = None
    if case.sample is not None:
        strata = [
            Stratum(None, name, "error" if name == "bad" else "ok", rates[name], size, len(kept))
            for name, size in sizes.items()
        ]
        plan = planned(strata, case.sample)
        assert plan is not None
    groups: dict[tuple[str, float], Group] = {}
    for one in kept:
        if plan is None or dice.random() < plan.part(one.stratum):
            rate = rates[one.stratum]
            key = (OTHERS if plan is None else one.stratum, rate)
            rows = 0 if plan is None else sizes[one.stratum]
            group = groups.setdefault(key, Group(rows=rows))
            if one.is_noise:
                group.noise += 1
            else:
                group.add(1 / rate, one.is_hit, one.points, one.delta)
    return list(groups.values())


@pytest.mark.long
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_intervals_cover_the_truth_in_19_of_20(case: Case) -> None:
    for name, count in covered(case, 1000)._asdict().items():
        assert 930 <= count <= 970, name


@pytest.mark.long
def test_if_nothing_that_was_sampled_changed_something_may_have() -> None:
    """Wilson's upper end is then wider than it would have to be on average."""
    found = covered(FAILURES_ALONE, 1000)
    assert min(found) >= 930


def test_what_is_known_whole_has_no_interval() -> None:
    group = Group()
    for number in range(10):
        group.add(1.0, number < 3, 2.0, -1.0 if number < 3 else 0.0)
    assert share_of([group]) == (0.3, 0.3, 0.3)
    assert delta_of([group]) == (2.0, -0.3, -0.3, -0.3, (-0.15, -0.15, -0.15))
    assert share_of([]) is None and delta_of([Group(rows=5)]) is None


def test_none_of_few_is_not_none_of_all() -> None:
    group = Group(rows=10_000)
    for _ in range(100):
        group.add(1.0, False, 1.0, 0.0)
    share = share_of([group])
    assert share is not None and share.low == 0 and 0.03 < share.high < 0.04


def test_a_group_weighs_as_much_as_is_no_noise_in_it() -> None:
    noisy, clear = Group(rows=10_000, noise=900), Group(rows=10_000)
    for number in range(100):
        noisy.add(1.0, number < 50, 1.0, 1.0 if number < 50 else 0.0)
    for _ in range(1000):
        clear.add(1.0, False, 1.0, 0.0)
    share, delta = share_of([noisy, clear]), delta_of([noisy, clear])
    assert share is not None and delta is not None
    assert share.share == delta.delta == pytest.approx(500 / 11_000)
    assert share.low < 0.04 and share.high > 0.055


def test_failures_and_rare_cases_are_drawn_whole() -> None:
    sizes = {"bad": 300, "rare": 40, "gold": 50_000, "silver": 900_000}
    strata = [
        Stratum(None, name, "error" if name == "bad" else "ok", 1.0, size, sum(sizes.values()) + 9)
        for name, size in sizes.items()
    ]
    strata.append(Stratum("masked", None, None, None, 9, sum(sizes.values()) + 9))
    plan = planned(strata, 20_000)
    assert plan is not None
    assert plan.part("bad") == plan.part("rare") == 1
    assert plan.part("gold") == plan.part("silver") < 0.03
    assert 19_500 < plan.expected() < 20_500
    assert plan.sampling.model_dump() == {
        "asked": 20_000,
        "runs": 950_340,
        "whole": 340,
        "failures": 300,
        "failures_are_whole": True,
    }
    assert planned(strata, 1_000_000) is None and planned([], 5) is None


def test_too_many_failures_are_drawn_too() -> None:
    strata = [
        Stratum(None, "bad", "error", 1.0, 90_000, 100_000),
        Stratum(None, "good", "ok", 1.0, 10_000, 100_000),
    ]
    plan = planned(strata, 1000)
    assert plan is not None and not plan.sampling.failures_are_whole
    assert 950 < plan.expected() < 1050 and plan.part("good") == 0.05


def test_the_largest_points_end_no_replay() -> None:
    group = Group(rows=100)
    for _ in range(3):
        group.add(2.0, True, 1e300, -1e299)
    assert delta_of([group]) is not None
