"""Buckets of time: their model, and the buckets of a window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from execlog.db import validation
from execlog.db.rows import Row
from execlog.errors import InvalidArgument
from execlog.models import Model
from execlog.repository import histogram
from execlog.repository.metrics import FRACTIONS

__all__ = ["Buckets", "TimeseriesBucket", "before", "bounded", "bucket_of", "cut"]

_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)
_WIDTHS = tuple(
    timedelta(seconds=seconds)
    for seconds in (1, 5, 10, 30, 60, 300, 900, 1800, 3600, 6 * 3600, 24 * 3600)
)
_BUCKETS = 120
_PERCENTILES = ("duration_p50_ms", "duration_p95_ms", "duration_p99_ms")
_MOST_BUCKETS = 1000


class TimeseriesBucket(Model):
    """The stored executions of one bucket; durations in milliseconds, zeros if it is empty.

    A bucket includes its `start` and excludes its end; the last one ends with the window, and
    includes that end. `error_rate` is that of a card: the share of error, timeout and limit. In it,
    in the average and in the percentiles each row weighs 1/sample_rate. If `method` is "exact", the
    percentiles are of every row; if it is "sketch" (many rows), each is at most `relative_error` of
    itself off; if that is None, one may be further off, as in a card.
    """

    start: datetime
    total: int
    ok: int
    error: int
    timeout: int
    limit: int
    other: int
    error_rate: float
    duration_avg_ms: float
    duration_p50_ms: float
    duration_p95_ms: float
    duration_p99_ms: float
    duration_max_ms: float
    points_sum: float
    method: Literal["exact", "sketch"] = "exact"
    relative_error: float | None = 0.0


@dataclass(frozen=True)
class Buckets:
    """A window cut into buckets: the first starts with the window, all are `width` wide."""

    since: datetime
    until: datetime
    width: timedelta
    count: int

    def arguments(self) -> dict[str, object]:
        """The parameters of sql/timeseries.sql beside strategy and realms. Never raises."""
        # A bucket wider than the window means the window itself, and might not fit a bigint.
        width = min(self.width, self.until - self.since + _MICROSECOND)
        return {
            "since": self.since,
            "until": self.until,
            "width_us": width // _MICROSECOND,
            "buckets": self.count,
        }

    def before(self) -> Buckets:
        """The window of the same length that ends just before it, as one bucket. Never raises."""
        since = before(self.since, self.until)
        until = max(self.since - _MICROSECOND, since)
        return Buckets(since, until, until - since + _MICROSECOND, 1)

    def filled(self, records: Iterable[Row]) -> Iterator[TimeseriesBucket]:
        """The rows of sql/timeseries.sql as models. Never raises for such rows."""
        for number, record in enumerate(records):
            yield bucket_of(record, self.since + number * self.width)


def bucket_of(record: Row, start: datetime) -> TimeseriesBucket:
    """The model of a row of sql/timeseries.sql. Never raises for such a row."""
    measures = dict(record)
    del measures["number"]
    ends = measures.pop("duration_min_ms"), record["duration_max_ms"]
    durations = measures.pop("durations")
    if durations is None:
        measures.update((name, record[name] or 0.0) for name in _PERCENTILES)
    else:
        found, error = histogram.percentiles(histogram.unpacked(durations), FRACTIONS, *ends)
        measures.update(zip(_PERCENTILES, found, strict=True))
        measures.update(method="sketch", relative_error=error)
    return TimeseriesBucket(start=start, **measures)


def before(since: datetime, until: datetime) -> datetime:
    """The start of the window of equal length that ends just before this one. Never raises.

    It is shorter if it would start before the year 1: to Postgres that time is -infinity.
    """
    first = datetime.min.replace(tzinfo=UTC) + _MICROSECOND
    length = until - since + _MICROSECOND
    return since - length if since - first > length else first


def cut(since: datetime | None, until: datetime | None, bucket: object) -> Buckets:
    """The buckets of a window.

    Args:
        since: Its start, in UTC; None: a day before its end.
        until: Its end, in UTC; None: now.
        bucket: The width, a timedelta or seconds; None: the smallest usual one that gives at most
            120 buckets.

    Raises:
        InvalidArgument: `bucket` is no length of time, or gives more than 1,000 buckets; or the
            window starts or ends at an end of the calendar, which is infinite to Postgres.
    """
    begin, end = bounded(since, until)
    if bucket is None:
        width = next((usual for usual in _WIDTHS if _count(begin, end, usual) <= _BUCKETS), _DAY)
    else:
        width = _width(bucket)
    count = _count(begin, end, width)
    if count > _MOST_BUCKETS:
        which = "gives" if bucket is not None else "of a day, the widest usual one, gives"
        raise InvalidArgument("bucket", f"{which} {count} buckets, more than {_MOST_BUCKETS}")
    return Buckets(begin, end, width, count)


def bounded(since: datetime | None, until: datetime | None) -> tuple[datetime, datetime]:
    """A window with both ends; they default to now and to a day before the end.

    Raises:
        InvalidArgument: It starts or ends at an end of the calendar, infinite to Postgres.
    """
    end = datetime.now(UTC) if until is None else until
    try:
        begin = end - _DAY if since is None else since
    except OverflowError:
        raise InvalidArgument("until", "has no day before it") from None
    if begin > end:
        raise InvalidArgument("since", "is later than now")
    for name, time in (("until" if since is None else "since", begin), ("until", end)):
        if time in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
            raise InvalidArgument(name, "is an end of the calendar, which is infinite to Postgres")
    return begin, end


def _width(bucket: object) -> timedelta:
    if isinstance(bucket, timedelta):
        width = bucket
    elif isinstance(bucket, int | float) and not isinstance(bucket, bool):
        try:
            width = timedelta(seconds=bucket)
        except (OverflowError, ValueError):
            raise InvalidArgument("bucket", "is no length of time") from None
    else:
        problem = validation.must_be("a timedelta or a number of seconds", bucket)
        raise InvalidArgument("bucket", problem)
    if width <= timedelta():
        raise InvalidArgument("bucket", "must be a microsecond at least")
    return width


def _count(begin: datetime, end: datetime, width: timedelta) -> int:
    return max(-((begin - end) // width), 1)
