"""What the dashboard shows, each one statement and one round trip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from execlog.db import validation
from execlog.db.rows import Row
from execlog.db.slices import sliced
from execlog.models import DurationPercentiles
from execlog.repository.both import Both
from execlog.repository.comparison import StrategyComparison, comparison
from execlog.repository.metrics import FRACTIONS, StrategyMetrics, strategy_metrics
from execlog.repository.report import StrategyReport, strategy_report
from execlog.repository.slice import Slice, scope_of
from execlog.repository.timeseries import TimeseriesBucket, cut
from execlog.repository.verdicts import Blocks, read_blocks

__all__ = ["Cards"]


class Cards(Both):
    """The card of a strategy, two side by side, its time series, and all that its page shows."""

    async def metrics(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    ) -> StrategyMetrics:
        """The card of a strategy, every number of it from every row of the window.

        Where the server can't compute percentiles, or is not done within `timeout` seconds or half
        of what the call may take, the card is asked for without them, and they are computed here
        from the newest 5,000 rows: `duration.method` says "sample" then. That takes two more round
        trips, and rows that were stored meanwhile may be in the sample.

        If the window reaches into files of the archive, and the log holds 100,000 runs of it at
        most, the card is exact, of rows only.

        Args:
            strategy_id: The strategy.
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            timeout: Seconds for exact percentiles.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` is no text and no list of texts,
                `strategy_version` no integer and no list of integers, or `timeout` is no positive
                number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the rest of the card too.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        scope |= _filters(realm_id, strategy_version)
        [(_, card)] = await self._settled(lambda: self._cards("metrics", [scope], timeout))
        return card

    async def compare(
        self,
        a: str | Slice,
        b: str | Slice,
        *,
        realm_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109 - as above
    ) -> StrategyComparison:
        """The cards of two slices of the log, B - A, and which differences are more than chance.

        A slice is a strategy, or some of its runs: versions, tenants or windows are compared by
        slices of the same strategy. If percentiles are of a sample, or the log is spread over a
        cluster, there are no intervals and no verdicts.

        Args:
            a: The first strategy or slice.
            b: The second.
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The window's begin, if no slice has times of its own.
            until: The window's end, likewise.
            timeout: Seconds for both cards with exact percentiles. What follows then is as for
                `metrics`, for one card after the other.

        Raises:
            InvalidArgument: As for `metrics`; `a` or `b` is empty, no text and no slice; or what a
                slice has is given in the call too.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the rest of the cards too.
            QueryRejected: The server refuses.
        """
        common = {
            "realm_id": realm_id,
            "strategy_version": strategy_version,
            "since": since,
            "until": until,
        }
        scopes = [scope_of("a", a, common), scope_of("b", b, common)]
        found = await self._settled(lambda: self._cards("compare", scopes, timeout))
        records = [record for record, _ in found]
        blocks = await sliced(map(_blocks, records))
        return comparison(found[0][1], found[1][1], records, blocks)

    async def timeseries(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
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
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The begin of the first bucket; None: a day before the end.
            until: The end, included; None: now.
            bucket: The width, a timedelta or seconds; None: the smallest of 1, 5, 10, 30 s, 1, 5,
                15, 30 min, 1, 6 h and 1 day that gives at most 120 buckets.

        Raises:
            InvalidArgument: As for `metrics`; `bucket` is no length of time, or gives more than
                1,000 buckets; or an end of the window is an end of the calendar.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        scope |= _filters(realm_id, strategy_version)
        buckets = cut(scope["since"], scope["until"], bucket)
        found = await self._fetch("timeseries", **scope | buckets.arguments())
        return await sliced(buckets.filled(found))

    async def report(
        self,
        *,
        strategy_id: str,
        realm_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
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
            strategy_version: Only runs of this version, or of these; None: of all.
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
        scope = validation.scope(strategy_id, since, until)
        scope |= _filters(realm_id, strategy_version)
        budget = validation.seconds("timeout", timeout)
        buckets = cut(scope["since"], scope["until"], bucket)
        earlier = {f"{name}_before": value for name, value in buckets.before().arguments().items()}
        query = self._statements["report"].query(**scope | buckets.arguments() | earlier)
        [record] = await self._store.fetch(query, budget=budget)
        return await strategy_report(
            record,
            strategy_id=scope["strategy_id"],
            buckets=buckets,
            versions=scope["strategy_versions"] is not None,
        )

    async def _cards(
        self, name: str, scopes: Sequence[Mapping[str, Any]], given: object
    ) -> list[tuple[Row, StrategyMetrics]]:
        """The card of each slice, and the row that it was made of."""
        budget = validation.seconds("timeout", given)
        deadline = self._store.deadline()
        if self._spread and len(scopes) > 1:
            # A statement about two strategies would bring the rows of both to one machine.
            return [
                card for scope in scopes for card in await self._cards("metrics", [scope], given)
            ]
        query = self._statements[name].query(**_parameters(scopes))
        read, reach = await self._fetch_timely(
            query, _around(scopes), budget=budget, deadline=deadline
        )
        samples: list[DurationPercentiles | None] = [None] * len(scopes)
        found: list[Row] = []
        if read is None:
            samples = []
            for scope in scopes:
                record, sample = await self._sampled_card(scope, deadline)
                found.append(record)
                samples.append(sample)
        elif reach.listed:
            for scope, record in zip(scopes, read, strict=True):
                found.append(await self._card_of_both(record, scope, budget, deadline))
        else:
            found += read
        return await sliced(
            (
                row,
                strategy_metrics(
                    row,
                    strategy_id=scope["strategy_id"],
                    window=(scope["since"], scope["until"]),
                    percentiles=sample,
                    versions=scope["strategy_versions"] is not None,
                ),
            )
            for scope, row, sample in zip(scopes, found, samples, strict=True)
        )

    async def _sampled_card(
        self, scope: Mapping[str, Any], deadline: float
    ) -> tuple[Row, DurationPercentiles]:
        """The row of a card without percentiles, and those of a sample."""
        query = self._statements["metrics"].query("sampled", **scope)
        [record], reach = await self._asked(query, scope, deadline=deadline)
        if record["durations"] is None:  # it is of rows, of the log only
            reach.refuse("metrics")
        return record, await self._sample_percentiles(FRACTIONS, deadline, **scope)


def _around(scopes: Sequence[Mapping[str, Any]]) -> dict[str, datetime | None]:
    """The shortest window that contains those of all slices."""
    begins = [scope["since"] for scope in scopes]
    ends = [scope["until"] for scope in scopes]
    return {
        "since": None if None in begins else min(begins),
        "until": None if None in ends else max(ends),
    }


def _parameters(scopes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The parameters of a statement about one slice, or about two."""
    if len(scopes) == 1:
        return dict(scopes[0])
    one, two = map(dict, scopes)
    names = {"a": one.pop("strategy_id"), "b": two.pop("strategy_id")}
    return {**names, **one, **{f"{name}_b": value for name, value in two.items()}}


def _blocks(record: Row) -> Blocks:
    """The blocks of a card; without any if the card was asked for by itself."""
    return read_blocks(record.get("blocks"))


def _filters(realm_id: object, strategy_version: object) -> dict[str, Any]:
    """The tenants and the versions that a card is of, under the names of the parameters."""
    return {
        "realm_ids": validation.texts("realm_id", realm_id),
        "strategy_versions": validation.versions("strategy_version", strategy_version),
    }
