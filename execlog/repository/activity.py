"""How often strategies ran over time, for sparklines: the model, and its buckets."""

from __future__ import annotations

import bisect
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple, TypeVar

import asyncpg

from execlog.db.slices import sliced
from execlog.models import Model
from execlog.repository.timeseries import before, bounded
from execlog.repository.verdicts import Interval, intervals
from execlog.statistics.level import Level, level
from execlog.statistics.multiplicity import stand
from execlog.statistics.verdicts import (
    LEVEL,
    Difference,
    Sums,
    difference,
    is_enough,
)

__all__ = [
    "ActivityBuckets",
    "LevelChange",
    "StrategyActivity",
    "activities",
    "activity_buckets",
    "counted",
]

Block = TypeVar("Block")

_MICROSECOND = timedelta(microseconds=1)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
_EPOCH = datetime.min.replace(tzinfo=UTC)
# Each divides the day, so that edges are whole minutes from a minute on and whole hours from an
# hour on, as those of rollups are. Wider buckets are whole days.
_WIDTHS = (
    *(n * timedelta(seconds=1) for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
)


class LevelChange(Model):
    """The last change of a level, within a window and the one before it.

    Every split of the two windows is tried, and what fails in a single block of time is no level.

    Attributes:
        changed_at: The begin of the bucket that the new level begins with, of a minute at least.
        error_rate_then: The error rate before, back to the change before that.
        error_rate_since: The error rate since.
        p_value: The probability that chance makes such a change at any time of these windows.
        significant: Whether chance does not explain it, false alarms held at 5 % over all
            strategies of an answer (Benjamini-Hochberg).
    """

    changed_at: datetime
    error_rate_then: float
    error_rate_since: float
    p_value: float
    significant: bool


class StrategyActivity(Model):
    """How often a strategy ran in each bucket of a window, oldest first, and how often it failed.

    Counts are of stored executions; failures are those whose status is not ok. `error_rate_before`
    is that of a card: the share of error, timeout and limit, each row weighed 1/sample_rate.

    Attributes:
        starts: When the buckets begin; the same for all strategies of an answer.
        runs: The executions of each bucket.
        failures: How many of them failed.
        weights: How many executions those of each bucket stand for: the sum of 1/sample_rate.
        error_rates: The error rate of each bucket, 0 if nothing ran.
        runs_before: The executions of the window of the same length that ends just before.
        error_rate_before: The error rate of that window, 0 if nothing ran.
        error_rate_change: How sure the change of the error rate is; those of all strategies of an
            answer are judged together. Blocks of time are buckets, of a minute at least.
        level_change: When the error rate last changed, from what to what; None: there are too few
            runs to tell. Unlike `error_rate_change` it needs no runs in the window before.
    """

    strategy_id: str
    starts: list[datetime]
    runs: list[int]
    failures: list[int]
    weights: list[float]
    error_rates: list[float]
    runs_before: int
    error_rate_before: float
    error_rate_change: Interval
    level_change: LevelChange | None


class Counts(NamedTuple):
    """The buckets of a strategy that hold anything, oldest first, as columns of equal length.

    Attributes:
        numbers: Their numbers; those of the window before are below 0.
        runs: The stored runs of each.
        failures: How many of these failed.
        failed: The weight of those that an error rate counts.
        weights: The weight of all.
    """

    numbers: Sequence[int]
    runs: Sequence[int]
    failures: Sequence[int]
    failed: Sequence[float]
    weights: Sequence[float]


@dataclass(frozen=True)
class ActivityBuckets:
    """A window cut at the multiples of `width`; its first and last buckets may be shorter."""

    since: datetime
    until: datetime
    width: timedelta

    def starts(self) -> list[datetime]:
        """When each bucket begins. Never raises."""
        rest = (self.until - self.since - self._first()) // self.width
        inner = [self.since + self._first() + n * self.width for n in range(rest + 1)]
        return [self.since, *inner]

    def arguments(self) -> dict[str, object]:
        """The parameters of sql/activity.sql beside realms and strategies. Never raises."""
        earlier = before(self.since, self.until)
        return {
            "before": earlier,
            "since": self.since,
            "until": self.until,
            "first_us": self._first() // _MICROSECOND,
            "width_us": self.width // _MICROSECOND,
            "buckets": len(self.starts()),
            "buckets_before": -((earlier - self.since - self._first()) // self.width),
        }

    def filled(
        self, record: asyncpg.Record, sums: Counts, change: Interval, last: LevelChange | None
    ) -> StrategyActivity:
        """The model of a row of sql/activity.sql. Never raises for such a row."""
        starts = self.starts()
        runs, failures = [0] * len(starts), [0] * len(starts)
        weights, rates = [0.0] * len(starts), [0.0] * len(starts)
        for number, count, failed, wrong, weight in zip(*sums, strict=True):
            if number >= 0:
                runs[number], failures[number], weights[number] = count, failed, weight
                rates[number] = wrong / weight if weight else 0.0
        return StrategyActivity(
            strategy_id=record["strategy_id"],
            starts=starts,
            runs=runs,
            failures=failures,
            weights=weights,
            error_rates=rates,
            runs_before=record["runs_before"],
            error_rate_before=record["error_rate_before"],
            error_rate_change=change,
            level_change=last,
        )

    def change(self, sums: Counts) -> Difference | None:
        """The change of the error rate; None: no verdict. Never raises."""
        begin = bisect.bisect_left(sums.numbers, 0)
        sides = slice(begin), slice(begin, None)
        shift, joined = self._shift(), self._joined()
        then, now = (
            Sums(
                *_blocks([((n + shift) // joined, is_now) for n in sums.numbers[side]], sums, side)
            )
            for is_now, side in enumerate(sides)
        )
        runs = [sum(sums.runs[side]) for side in sides]
        # Rows with errors are failures, and each weighs 1 at least.
        errors = sum(map(min, sums.failures, sums.failed))
        rarer = min(int(errors), sum(runs) - int(errors))
        if not is_enough((runs[0], runs[1]), (len(then.places), len(now.places)), rarer):
            return None
        return difference(then, now)

    def level(self, sums: Counts) -> tuple[datetime, Level] | None:
        """The last change of the level, and when; None: too few runs. Never raises."""
        shift, joined = self._shift(), self._joined()
        # The bucket that the window begins in is cut in two, of which one is 0.
        numbers = [(n + shift - (n >= 0)) // joined for n in sums.numbers]
        places, weights, failed = _blocks(numbers, sums, slice(None))
        failures = sum(sums.failures)
        unit = max(math.fsum(failed) / failures, 1.0) if failures else 1.0
        found = level(weights, failed, unit)
        if found is None:
            return None
        at = _EPOCH + places[found.at] * joined * self.width
        return max(at, before(self.since, self.until)), found

    def _joined(self) -> int:
        """How many buckets are a block of time, of a minute at least."""
        return max(_MINUTE // self.width, 1)

    def _shift(self) -> int:
        """The place of bucket 0 among all multiples of the width."""
        return (self.since + self._first() - _EPOCH) // self.width

    def _first(self) -> timedelta:
        """From the window's start to the next multiple of the width."""
        return self.width - (self.since - _EPOCH) % self.width


def activity_buckets(since: datetime | None, until: datetime | None, most: int) -> ActivityBuckets:
    """The buckets of a window.

    Args:
        since: Its start, in UTC; None: a day before its end.
        until: Its end, in UTC; None: now.
        most: How many there may be, and one more if both ends of the window cut a bucket.

    Raises:
        InvalidArgument: The window starts or ends at an end of the calendar, which is infinite to
            Postgres.
    """
    begin, end = bounded(since, until)
    needed = (end - begin) / most
    days = -(-(end - begin) // (most * _DAY)) * _DAY
    return ActivityBuckets(begin, end, next((one for one in _WIDTHS if one >= needed), days))


async def activities(
    records: Sequence[asyncpg.Record], buckets: ActivityBuckets
) -> list[StrategyActivity]:
    """The models of the rows of sql/activity.sql. Never raises for such rows.

    Args:
        records: The rows.
        buckets: The window.
    """
    sums = await sliced(map(counted, records))
    changes = intervals(await sliced(map(buckets.change, sums)))
    levels = _judged(await sliced(map(buckets.level, sums)))
    return await sliced(map(buckets.filled, records, sums, changes, levels))


def counted(record: asyncpg.Record) -> Counts:
    """The sums of each bucket that holds anything; those of the window before are below 0.

    Never raises for a row of sql/activity.sql.
    """
    return Counts(*zip(*json.loads(record["buckets"]), strict=True))


def _blocks(
    places: Sequence[Block], sums: Counts, side: slice
) -> tuple[Sequence[Block], Sequence[float], Sequence[float]]:
    """The weights of all runs and of failures by block; buckets of one place are one block."""
    weights, failed = sums.weights[side], sums.failed[side]
    found: dict[Block, int] = {}
    for place in places:
        found.setdefault(place, len(found))
    if len(found) == len(places):
        return places, weights, failed
    joined = [0.0] * len(found), [0.0] * len(found)
    for place, weight, wrong in zip(places, weights, failed, strict=True):
        joined[0][found[place]] += weight
        joined[1][found[place]] += wrong
    return list(found), *joined


def _judged(found: Sequence[tuple[datetime, Level] | None]) -> list[LevelChange | None]:
    """The changes of levels, judged together."""
    kept = iter(stand([one[1].p_value for one in found if one is not None], LEVEL))
    return [
        None
        if one is None
        else LevelChange(
            changed_at=one[0],
            error_rate_then=one[1].then,
            error_rate_since=one[1].since,
            p_value=one[1].p_value,
            significant=next(kept),
        )
        for one in found
    ]
