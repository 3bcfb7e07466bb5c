"""What the dashboard shows, each one statement and one round trip."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

import asyncpg

from execlog import arguments
from execlog.metrics import (
    FRACTIONS,
    StrategyComparison,
    StrategyMetrics,
    comparison,
    strategy_metrics,
)
from execlog.models import DurationPercentiles
from execlog.page import StrategyReport, strategy_report
from execlog.ranking import RankBy, Ranking
from execlog.resources import folder
from execlog.slices import sliced
from execlog.statements import Statement, load_statements
from execlog.store import Store
from execlog.template import SCHEMA
from execlog.timeseries import TimeseriesBucket, before, cut

__all__ = ["Dashboard", "RankBy", "fallbacks"]

Scope = tuple[datetime | None, datetime | None, list[str] | None]


class Dashboard(Ranking):
    """Adds the card of a strategy, two side by side, its time series, and all that its page shows.

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
        realm_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    ) -> StrategyMetrics:
        """The card of a strategy, every number of it from every row of the window.

        Where the server can't compute percentiles, or is not done within `timeout` seconds or half
        of what the call may take, the card is asked for without them, and they are computed here
        from the newest 5,000 rows: `duration.method` says "sample" then. That takes two more round
        trips, and rows that were stored meanwhile may be in the sample.

        Args:
            strategy_id: The strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            timeout: Seconds for exact percentiles.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` is no text and no list of texts,
                or `timeout` is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the rest of the card too.
            QueryRejected: The server refuses.
        """
        name, begin, end = arguments.scope(strategy_id, since, until)
        scope = (begin, end, arguments.texts("realm_id", realm_id))
        [(_, card)] = await self._cards("metrics", (name,), scope, timeout)
        return card

    async def compare(
        self,
        *,
        a: str,
        b: str,
        realm_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - as above
    ) -> StrategyComparison:
        """The cards of two strategies over the same window, and B - A.

        Args:
            a: The first strategy.
            b: The second strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
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
        scope = (*arguments.window(since, until), arguments.texts("realm_id", realm_id))
        (row_a, card_a), (row_b, card_b) = await self._cards("compare", names, scope, timeout)
        return comparison(card_a, card_b, (row_a, row_b))

    async def timeseries(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: timedelta | float | None = None,
    ) -> list[TimeseriesBucket]:
        """How a strategy ran over time: buckets of equal width, oldest first, empty ones included.

        Percentiles of few runs are exact, of many from rollups. Without rollups all are exact: a
        server that can't compute them then, or not in time, gives an error.

        Args:
            strategy_id: The strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
            since: The begin of the first bucket; None: a day before the end.
            until: The end, included; None: now.
            bucket: The width, a timedelta or seconds; None: the smallest of 1, 5, 10, 30 s, 1, 5,
                15, 30 min, 1, 6 h and 1 day that gives at most 120 buckets.

        Raises:
            InvalidArgument: As for `count_by_status`; `realm_id` is no text and no list of texts;
                `bucket` is no length of time, or gives more than 1,000 buckets; or an end of the
                window is an end of the calendar.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        name, begin, end = arguments.scope(strategy_id, since, until)
        realms = arguments.texts("realm_id", realm_id)
        buckets = cut(begin, end, bucket)
        window = (buckets.since, buckets.until)
        found = await self._fetch("timeseries", name, *window, realms, *buckets.arguments())
        return await sliced(buckets.filled(found))

    async def report(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        bucket: timedelta | float | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - as above
    ) -> StrategyReport:
        """What the page of a strategy shows: its card, its time series, and the window before.

        Card and time series are those of `metrics` and `timeseries`, of one moment and one round
        trip. A server that can't compute percentiles, or not in time, gives an error.

        Args:
            strategy_id: The strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
            since: The window's begin; None: a day before the end.
            until: The window's end; None: now.
            bucket: As for `timeseries`.
            timeout: Seconds that the server may take.

        Raises:
            InvalidArgument: As for `timeseries`, or `timeout` is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        name, begin, end = arguments.scope(strategy_id, since, until)
        realms = arguments.texts("realm_id", realm_id)
        budget = arguments.seconds("timeout", timeout)
        buckets = cut(begin, end, bucket)
        window = (buckets.since, buckets.until)
        values = (name, *window, realms, *buckets.arguments(), before(*window))
        [record] = await self._store.fetch(self._statements["report"], *values, budget=budget)
        return await strategy_report(record, strategy_id=name, buckets=buckets)

    async def _cards(
        self, name: str, strategies: tuple[str, ...], scope: Scope, given: object
    ) -> list[tuple[asyncpg.Record, StrategyMetrics]]:
        """The card of each strategy, and the row that it was made of."""
        budget = arguments.seconds("timeout", given)
        deadline = self._store.deadline()
        found = await self._fetch_timely(
            name, *strategies, *scope, budget=budget, deadline=deadline
        )
        samples: list[DurationPercentiles | None] = [None] * len(strategies)
        if found is None:
            card = self._fallbacks["metrics"]
            found, samples = [], []
            for strategy in strategies:
                found += await self._store.fetch(card, strategy, *scope, deadline=deadline)
                sample = self._sample_percentiles(strategy, *scope, FRACTIONS, deadline)
                samples.append(await sample)
        window = scope[:2]
        return await sliced(
            (row, strategy_metrics(row, strategy_id=strategy, window=window, percentiles=sample))
            for strategy, row, sample in zip(strategies, found, samples, strict=True)
        )


@functools.lru_cache
def fallbacks(schema: str = SCHEMA) -> Mapping[str, Statement]:
    """The statements for servers without percentiles, loaded once.

    Args:
        schema: Where the log is.

    Raises:
        QueryFileError: A file is missing, unknown or malformed.
    """
    return load_statements(folder("sql") / "fallback", {"metrics"}, schema)
