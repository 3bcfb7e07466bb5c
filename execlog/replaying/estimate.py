"""How sure a share and a mean are that were found among sampled runs.

A run is in the log with the probability `sample_rate`, and of these some may be drawn for a replay,
by strata. So there are two steps, and a group of runs that share a stratum and a rate is treated
alike in both: with f1 the rate, f2 the part that was drawn and f their product, the group's mean
has the variance s² (1 - f) / n, and its size, which is only known by the rows that were kept,
(1 - f1) / rows of itself (Särndal, Swensson, Wretman, Model Assisted Survey Sampling, 1992, 9.3). A
group of which all are known adds none: the interval of a log that keeps everything is its number.

Noise is left out, so what is sought is of a part of each group, whose size is not known either if
only some of its runs were drawn: it is the share of those that are no noise.

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

_Z = 1.959963984540054  # of the normal distribution, 95 % lie within
_MOST_SKEWNESS = 1.0


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
        delta_3: The cubes of the weighed differences.
        noise: Runs that were replayed and left out.
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
    delta_3: float = 0.0
    noise: int = 0

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
            self.delta_3 += delta * delta * delta

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
    """A group with its size and how much of it is known, noise left out."""

    group: Group
    size: float  # executions
    known: float  # f
    size_varies: float  # the variance of the size, as a share of its square


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
    within = min(sum(one.size * one.group.hit / one.group.weight for one in unsure) / size, 1.0)
    low, high = wilson(within, _effective(unsure, size, within))
    # Both ends, as far as the sizes of the groups are unsure too (Zou, Donner, MOVER, 2008).
    of_sizes = _Z * math.sqrt(sum(_of_size(one, share) for one in unsure)) / total
    below = math.hypot((within - low) * size / total, of_sizes)
    above = math.hypot((high - within) * size / total, of_sizes)
    return Share(share, max(share - below, 0.0), min(share + above, 1.0))


def delta_of(groups: Iterable[Group]) -> Delta | None:
    """The change of points a run; None without any. Never raises."""
    sized = _sized(groups)
    total = sum(one.size for one in sized)
    if not total:
        return None
    before = sum(one.size * one.group.points / one.group.weight for one in sized)
    change = sum(one.size * one.group.delta / one.group.weight for one in sized)
    mean = change / total
    low, high = _ends(sized, 0.0, mean)
    relative = None
    if before > 0:
        ratio = change / before
        least, most = _ends(sized, ratio, 0.0)
        relative = (ratio, ratio + least / before, ratio + most / before)
    return Delta(before / total, mean, mean + low / total, mean + high / total, relative)


def _sized(groups: Iterable[Group]) -> list[_Sized]:
    found = []
    for group in groups:
        if group.runs:
            drawn = group.runs + group.noise
            all_rows = max(group.rows, drawn)
            part, clear = drawn / all_rows, group.runs / drawn
            rows = all_rows * clear
            # A sum of weights of 1 is exact; that of others may be off by rounding.
            kept = min(group.runs / group.weight, 1.0)
            varies = (1 - kept) / rows + (1 - part) * (1 - clear) / group.runs
            size = rows * group.weight / group.runs
            found.append(_Sized(group, size, kept * part, varies))
    return found


def _of_size(one: _Sized, level: float) -> float:
    """The variance of a group's hits, less a level, by its size."""
    own = one.group.hit / one.group.weight
    return float((one.size * (own - level)) ** 2 * one.size_varies)


def _effective(unsure: Sequence[_Sized], size: float, within: float) -> float:
    """How many independent runs the share is as sure as."""
    even = varied = 0.0
    for one in unsure:
        part = one.size / size
        own = one.group.hit / one.group.weight
        spread = part * part * (1 - one.known) / one.group.runs
        smooth = (own * one.group.runs + within) / (one.group.runs + 1)
        even += spread
        varied += smooth * (1 - smooth) * spread
    return within * (1 - within) / varied if 0 < within < 1 and varied else 1 / even


def _ends(sized: Sequence[_Sized], ratio: float, level: float) -> tuple[float, float]:
    """How far the ends lie from the sum, over all executions, of delta - ratio * points.

    Few changes among many runs are skewed: the quantiles are those of a studentized mean with its
    skewness (Hall, On the removal of skewness by transformation, 1992).
    """
    variance = third = 0.0
    degrees = 0
    for one in sized:
        if one.known >= 1:
            continue
        group, runs = one.group, one.group.runs
        each = group.weight / runs  # the executions that a run stands for
        mean = (group.delta - ratio * group.points) / each / runs
        squares = group.delta_2 + ratio * ratio * group.points_2 - 2 * ratio * group.both
        spread = max(squares / each**2 - runs * mean * mean, 0.0) / max(runs - 1, 1)
        own = spread * (1 - one.known) / runs
        of_size = (mean - level) * (mean - level) * one.size_varies
        variance += one.size**2 * (own + of_size)
        middle, square = group.delta / each / runs, group.delta_2 / each**2 / runs
        cube = group.delta_3 / each**3 / runs - 3 * middle * square + 2 * middle * middle * middle
        third += one.size**3 * cube * (1 - one.known) * (1 - 2 * one.known) / runs**2
        degrees += runs - 1
    if not variance:
        return 0.0, 0.0
    sd = math.sqrt(variance)
    quantile = t_quantile(0.975, max(degrees, 1))
    skewness = min(max(third / (sd * sd * sd), -_MOST_SKEWNESS), _MOST_SKEWNESS)
    shift = skewness * (2 * quantile**2 + 1) / 6
    return sd * (shift - quantile), sd * (shift + quantile)
