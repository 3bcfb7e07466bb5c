"""What the dashboard shows, each one statement and one round trip."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, get_args

import asyncpg

from execlog import arguments, histogram
from execlog.metrics import (
    FRACTIONS,
    StrategyComparison,
    StrategyMetrics,
    comparison,
    strategy_metrics,
)
from execlog.models import DurationPercentiles, StrategyRank
from execlog.resources import folder
from execlog.rows import aware
from execlog.runbook import Runbook
from execlog.statements import Statement, load_statements
from execlog.store import Store
from execlog.template import SCHEMA
from execlog.timeseries import TimeseriesBucket, cut

__all__ = ["Dashboard", "RankBy", "fallbacks"]

RankBy = Literal["p99", "failures", "error_rate", "runs"]
Window = tuple[datetime | None, datetime | None]


class Dashboard(Runbook):
    """Adds the card of a strategy, two side by side, its time series, and the ranking.

    Args:
        store: What the statements are sent to.
        statements: The statement of each method by its name.
        fallbacks: The statements for where the server has no percentiles.
    """

    def __init__(
        self,
        store: Store,
        statements: Mapping[str, Statement],
        fallbacks: Mapping[str, Statement],
    ) -> None:
        """Takes the parts. Never raises."""
        super().__init__(store, statements)
        self._fallbacks = fallbacks

    async def metrics(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    ) -> StrategyMetrics:
        """The card of a strategy, every number of it from every row of the window.

        Where the server can't compute percentiles, or is not done within `timeout` seconds or half
        of what the call may take, the card is asked for without them, and they are computed here
        from the newest 5,000 rows: `duration.method` says "sample" then. That takes two more round
        trips, and rows that were stored meanwhile may be in the sample.

        Raises:
            InvalidArgument: As for `count_by_status`, or `timeout` is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the rest of the card too.
            QueryRejected: The server refuses.
        """
        name, begin, end = arguments.scope(strategy_id, since, until)
        [(_, card)] = await self._cards("metrics", (name,), (begin, end), timeout)
        return card

    async def compare(
        self,
        *,
        a: str,
        b: str,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - as above
    ) -> StrategyComparison:
        """The cards of two strategies over the same window, and B - A.

        Args:
            a: The first strategy.
            b: The second strategy.
            since: The window's begin.
            until: The window's end.
            timeout: Seconds for both cards with exact percentiles. What follows then is as for
                `metrics`, for one card after the other.

        Raises:
            InvalidArgument: As for `metrics`; `a` or `b` is empty or no text.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the rest of the cards too.
            QueryRejected: The server refuses.
        """
        names = (arguments.name("a", a), arguments.name("b", b))
        window = arguments.window(since, until)
        (row_a, card_a), (row_b, card_b) = await self._cards("compare", names, window, timeout)
        return comparison(card_a, card_b, (row_a, row_b))

    async def timeseries(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: timedelta | float | None = None,
    ) -> list[TimeseriesBucket]:
        """How a strategy ran over time: buckets of equal width, oldest first, empty ones included.

        Percentiles of few runs are exact, of many from rollups. Without rollups all are exact: a
        server that can't compute them then, or not in time, gives an error.

        Args:
            strategy_id: The strategy.
            since: The begin of the first bucket; None: a day before the end.
            until: The end, included; None: now.
            bucket: The width, a timedelta or seconds; None: the smallest of 1, 5, 10, 30 s, 1, 5,
                15, 30 min, 1, 6 h and 1 day that gives at most 120 buckets.

        Raises:
            InvalidArgument: As for `count_by_status`; `bucket` is no length of time, or gives more
                than 1,000 buckets; or an end of the window is an end of the calendar.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        name, begin, end = arguments.scope(strategy_id, since, until)
        buckets = cut(begin, end, bucket)
        found = await self._fetch("timeseries", name, *buckets.arguments())
        return buckets.filled(found)

    async def rank_strategies(
        self,
        *,
        realm_id: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: RankBy = "p99",
        limit: int = 10,
    ) -> list[StrategyRank]:
        """The strategies of a realm, the slowest or the most failing first, ties by name.

        Percentiles of few runs are exact, of many from rollups. Without rollups all are exact: a
        server that can't compute them then, or not in time, gives an error.

        Args:
            realm_id: Only runs of this tenant; None: of all.
            since: The window's begin.
            until: The window's end.
            by: "p99", "failures", "error_rate" or "runs", the largest first.
            limit: 1 to 50 strategies.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` is no text, `by` is none of these,
                or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        found = await self._fetch(
            "rank_strategies",
            arguments.optional_text("realm_id", realm_id),
            *arguments.window(since, until),
            arguments.one_of("by", by, get_args(RankBy)),
            arguments.limit(limit, 50),
        )
        ranks = [_rank(record) for record in found]
        if by == "p99" and any(rank.method == "sketch" for rank in ranks):
            ranks.sort(key=lambda rank: (-rank.p99_ms, rank.strategy_id.encode()))
        return ranks[: arguments.limit(limit, 50)]

    async def _cards(
        self, name: str, strategies: tuple[str, ...], window: Window, given: object
    ) -> list[tuple[asyncpg.Record, StrategyMetrics]]:
        """The card of each strategy, and the row that it was made of."""
        budget = arguments.seconds("timeout", given)
        deadline = self._store.deadline()
        found = await self._fetch_timely(
            name, *strategies, *window, budget=budget, deadline=deadline
        )
        samples: list[DurationPercentiles | None] = [None] * len(strategies)
        if found is None:
            card = self._fallbacks["metrics"]
            found, samples = [], []
            for strategy in strategies:
                scope = (strategy, *window)
                found += await self._store.fetch(card, *scope, deadline=deadline)
                samples.append(await self._sample_percentiles(*scope, FRACTIONS, deadline))
        return [
            (row, strategy_metrics(row, strategy_id=strategy, window=window, percentiles=sample))
            for strategy, row, sample in zip(strategies, found, samples, strict=True)
        ]


def _rank(record: asyncpg.Record) -> StrategyRank:
    measures = {**record, "last_run": aware(record["last_run"])}
    ends = measures.pop("duration_min_ms"), measures.pop("duration_max_ms")
    durations = measures.pop("durations")
    if durations is not None:
        found = histogram.percentiles(histogram.unpacked(durations), FRACTIONS, *ends)
        measures.update(zip(("p50_ms", "p95_ms", "p99_ms"), found, strict=True))
        measures.update(method="sketch", relative_error=histogram.RELATIVE_ERROR)
    return StrategyRank(**measures)


@functools.lru_cache
def fallbacks(schema: str = SCHEMA) -> Mapping[str, Statement]:
    """The statements for servers without percentiles, loaded once.

    Args:
        schema: Where the log is.

    Raises:
        QueryFileError: A file is missing, unknown or malformed.
    """
    return load_statements(folder("sql") / "fallback", {"metrics"}, schema)
