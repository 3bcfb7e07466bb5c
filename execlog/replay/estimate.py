"""How sure a share and a mean are that were found among sampled runs.

A run is in the log with the probability `sample_rate`, and of these some may be drawn for a replay,
by strata. So there are two steps, and a group of runs that share a stratum and a rate is treated
alike in both: with f1 the rate, f2 the part that was drawn and f their product, the group's mean
has the variance s² (1 - f) / n, and its size, which is only known by the rows that were kept,
(1 - f1) / rows of itself (Särndal, Swensson, Wretman, Model Assisted Survey Sampling, 1992, 9.3). A
group of which all are known adds none: the interval of a log that keeps everything is its number.

A share has Wilson's interval with the effective number of runs, which holds for rare ones too. In
each group it counts as if one more run had been drawn with the share of all: a group in which none
of ten changed is not one in which none can.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from execlog.repository.intervals import wilson
from execlog.statistics.distributions import t_quantile

__all__ = ["Delta", "Group", "Share", "delta_of", "share_of"]


@dataclass(slots=True)
class Group:
    """The runs of one stratum and one sample rate, as far as they were replayed.

    Attributes:
        rows: Runs of the group in the log; 0: as many as were replayed.
        runs: Runs that were replayed, noise left out.
        weight: The executions that they stand for.
        hit: The executions that those stand for which changed or fail newly.
        points: The points in the log of all of them, weighed.
        delta: The points in the replay less these, weighed.
        points_2: The squares of the weighed points.
        delta_2: Those of the weighed differences.
        both: The products of the two.
    """

    rows: int = 0
    runs: int = 0
    weight: float = 0.0
    hit: float = 0.0
    points: float = 0.0
    delta: float = 0.0
    points_2: float = 0.0
    delta_2: float = 0.0
    both: float = 0.0

    def add(self, weight: float, is_hit: bool, points: float, delta: float) -> None:
        """Counts one run. Never raises."""
        self.runs += 1
        self.weight += weight
        if is_hit:
            self.hit += weight
        if points or delta:
            points, delta = points * weight, delta * weight
            self.points += points
            self.delta += delta
            self.points_2 += points * points
            self.delta_2 += delta * delta
            self.both += points * delta

    def dump(self) -> list[float]:
        """The numbers, in order. Never raises."""
        return [getattr(self, one.name) for one in fields(self)]


class Share(NamedTuple):
    """A share of all executions, and its interval."""

    share: float
    low: float
    high: float


class Delta(NamedTuple):
    """Points a run before, their difference, and both intervals; relative: None without points."""

    before: float
    delta: float
    low: float
    high: float
    relative: tuple[float, float, float] | None


class _Sized(NamedTuple):
    """A group with its size and how much of it is known."""

    group: Group
    size: float  # executions
    kept: float  # f1
    known: float  # f
    rows: int


def share_of(groups: Iterable[Group]) -> Share | None:
    """The share of the executions that changed or fail newly; None without any. Never raises."""
    sized = _sized(groups)
    total = sum(one.size for one in sized)
    if not total:
        return None
    share = sum(one.size * one.group.hit / one.group.weight for one in sized) / total
    unsure = [one for one in sized if one.known < 1]
    size = sum(one.size for one in unsure)
    if not size:
        return Share(share, share, share)
    within = sum(one.size * one.group.hit / one.group.weight for one in unsure) / size
    low, high = wilson(min(within, 1.0), _effective(unsure, size, within, share))
    rest = share * total - within * size  # of the groups that are known
    return Share(share, max((rest + low * size) / total, 0.0), min((rest + high * size) / total, 1))


def delta_of(groups: Iterable[Group]) -> Delta | None:
    """The change of points a run; None without any. Never raises."""
    sized = _sized(groups)
    total = sum(one.size for one in sized)
    if not total:
        return None
    before = sum(one.size * one.group.points / one.group.weight for one in sized)
    change = sum(one.size * one.group.delta / one.group.weight for one in sized)
    factor = _quantile(sized)
    mean = change / total
    half = factor * math.sqrt(_variance(sized, 1.0, 0.0, mean)) / total
    relative = None
    if before > 0:
        ratio = change / before
        spread = factor * math.sqrt(_variance(sized, 1.0, -ratio, 0.0)) / before
        relative = (ratio, ratio - spread, ratio + spread)
    return Delta(before / total, mean, mean - half, mean + half, relative)


def _sized(groups: Iterable[Group]) -> list[_Sized]:
    found = []
    for group in groups:
        if group.runs:
            rows = max(group.rows, group.runs)
            kept = min(group.runs / group.weight, 1.0)
            # A sum of weights of 1 is exact; that of others may be off by rounding.
            known = kept * group.runs / rows
            found.append(_Sized(group, rows * group.weight / group.runs, kept, known, rows))
    return found


def _effective(unsure: Sequence[_Sized], size: float, within: float, share: float) -> float:
    """How many independent runs the share is as sure as."""
    even = varied = 0.0
    for one in unsure:
        part = one.size / size
        own = one.group.hit / one.group.weight
        spread = (1 - one.known) / one.group.runs
        even += part * part * spread
        smooth = (own * one.group.runs + within) / (one.group.runs + 1)
        of_size = (own - share) ** 2 * (1 - one.kept) / one.rows
        varied += part * part * (smooth * (1 - smooth) * spread + of_size)
    if 0 < within < 1 and varied:
        return within * (1 - within) / varied
    return 1 / even


def _variance(sized: Iterable[_Sized], of_delta: float, of_points: float, level: float) -> float:
    """The variance of the sum, over all executions, of a mix of both less a level."""
    total = 0.0
    for one in sized:
        if one.known >= 1:
            continue
        group, runs = one.group, one.group.runs
        each = group.weight / runs  # the executions that a run stands for
        first = (of_delta * group.delta + of_points * group.points) / each
        second = (
            of_delta**2 * group.delta_2
            + of_points**2 * group.points_2
            + 2 * of_delta * of_points * group.both
        ) / each**2
        mean = first / runs
        spread = max(second - runs * mean * mean, 0.0) / max(runs - 1, 1)
        own = spread * (1 - one.known) / runs
        of_size = (mean - level) ** 2 * (1 - one.kept) / one.rows
        total += one.size**2 * (own + of_size)
    return total


def _quantile(sized: Iterable[_Sized]) -> float:
    degrees = sum(one.group.runs - 1 for one in sized if one.known < 1)
    return t_quantile(0.975, max(degrees, 1))
