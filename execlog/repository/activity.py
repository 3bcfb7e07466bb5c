"""How often strategies ran over time, for sparklines: the model, and its buckets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg

from execlog.models import Model
from execlog.repository.timeseries import before, bounded

__all__ = ["ActivityBuckets", "StrategyActivity", "activity_buckets"]

_MICROSECOND = timedelta(microseconds=1)
_MINUTE, _HOUR, _DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# Each divides the day, so that edges are whole minutes from a minute on and whole hours from an
# hour on, as those of rollups are. Wider buckets are whole days.
_WIDTHS = (
    *(n * timedelta(seconds=1) for n in (1, 2, 5, 10, 15, 30)),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
)


class StrategyActivity(Model):
    """How often a strategy ran in each bucket of a window, oldest first, and how often it failed.

    Counts are of stored executions; failures are those whose status is not ok. `error_rate_before`
    is that of a card: the share of error, timeout and limit, each row weighed 1/sample_rate.

    Attributes:
        starts: When the buckets begin; the same for all strategies of an answer.
        runs: The executions of each bucket.
        failures: How many of them failed.
        runs_before: The executions of the window of the same length that ends just before.
        error_rate_before: The error rate of that window, 0 if nothing ran.
    """

    strategy_id: str
    starts: list[datetime]
    runs: list[int]
    failures: list[int]
    runs_before: int
    error_rate_before: float


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
        return {
            "before": before(self.since, self.until),
            "since": self.since,
            "until": self.until,
            "first_us": self._first() // _MICROSECOND,
            "width_us": self.width // _MICROSECOND,
            "buckets": len(self.starts()),
        }

    def filled(self, record: asyncpg.Record) -> StrategyActivity:
        """The model of a row of sql/activity.sql. Never raises for such a row."""
        starts = self.starts()
        runs, failures = [0] * len(starts), [0] * len(starts)
        for number, ran, failed in json.loads(record["buckets"] or "[]"):
            runs[number], failures[number] = ran, failed
        return StrategyActivity(
            strategy_id=record["strategy_id"],
            starts=starts,
            runs=runs,
            failures=failures,
            runs_before=record["runs_before"],
            error_rate_before=record["error_rate_before"],
        )

    def _first(self) -> timedelta:
        """From the window's start to the next multiple of the width."""
        return self.width - (self.since - datetime.min.replace(tzinfo=UTC)) % self.width


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
