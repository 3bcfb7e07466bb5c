"""Counts and measures of executions, each one statement and one round trip."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from execlog.archive.asking import TooMuch
from execlog.archive.measuring import summary
from execlog.db import validation
from execlog.db.rows import Row
from execlog.models import (
    CaseNameCount,
    DurationAndNodesSummary,
    DurationPercentiles,
    ErrorCodeCount,
    PointsCount,
)
from execlog.repository.both import Both
from execlog.repository.questions import LARGEST_SAMPLE

__all__ = ["Aggregates"]

_MOST_COUNTS = 50
_ALL_COUNTS = 10**6


class Aggregates(Both):
    """Counts and measures: how many, which errors, which rules, how long."""

    async def count_by_status(
        self, *, strategy_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> dict[str, int]:
        """How many executions ended in each status, most frequent first.

        Raises:
            InvalidArgument: An argument is of another type, `strategy_id` is empty, a datetime has
                no time zone, or `since` is later than `until`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        found, reach = await self._fetch_both("count_by_status", **scope)
        return await reach.counts("count_by_status", "status", found, **scope)

    async def count_by_error_code(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10,
    ) -> list[ErrorCodeCount]:
        """The most frequent error codes, ties by code. Rows without a code are left out.

        `limit` is 1 to 50 codes.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        counts = await self._top("count_by_error_code", "code", limit, scope)
        return [ErrorCodeCount(code=one, count=count) for one, count in counts]

    async def count_by_case_name(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10,
    ) -> list[CaseNameCount]:
        """The rule cases that fire most, ties by name, None (no rule matched) last of its ties.

        `limit` is 1 to 50 cases.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        counts = await self._top("count_by_case_name", "case_name", limit, scope)
        return [CaseNameCount(case_name=one, count=count) for one, count in counts]

    async def _top(
        self, name: str, key: str, limit: object, scope: Mapping[str, Any]
    ) -> list[tuple[Any, int]]:
        """The most frequent values and their counts."""
        most = validation.limit(limit, _MOST_COUNTS)
        # What is rare in the log may be frequent in files.
        wanted = most if self._archive is None else _ALL_COUNTS
        found, reach = await self._fetch_both(name, **scope, limit=wanted)
        counts = await reach.counts(name, key, found, **scope)
        return [*counts.items()][:most]

    async def count_by_points(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        realm_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
    ) -> list[PointsCount]:
        """How often whole points were awarded, in twelve bars with round edges at most.

        Bars that no run is in are left out. The list is empty if no points were awarded, or if some
        are not whole: then a card's `points_histogram` tells.

        Args:
            strategy_id: The strategy.
            since: The window's begin.
            until: The window's end.
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_version: Only runs of this version, or of these; None: of all.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` is no text and no list of texts,
                or `strategy_version` no integer and no list of integers.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = {
            **validation.scope(strategy_id, since, until),
            "realm_ids": validation.texts("realm_id", realm_id),
            "strategy_versions": validation.versions("strategy_version", strategy_version),
        }
        found = await self._settled(lambda: self._points(scope))
        return [PointsCount(low=r["low"], high=r["high"], count=r["count"]) for r in found]

    async def _points(self, scope: Mapping[str, Any]) -> Sequence[Row]:
        found = await self._points_of_both(**scope)
        return await self._of_log("count_by_points", **scope) if found is None else found

    async def duration_and_nodes_summary(
        self, *, strategy_id: str, since: datetime | None = None, until: datetime | None = None
    ) -> DurationAndNodesSummary:
        """Count, duration (milliseconds), nodes and points of a window; zeros if it is empty.

        Raises:
            InvalidArgument: As for `count_by_status`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        [record], reach = await self._fetch_both("duration_and_nodes_summary", **scope)
        return DurationAndNodesSummary(**await summary(reach, record, **scope))

    async def sample_durations(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        realm_id: str | Collection[str] | None = None,
        limit: int = 1000,
    ) -> list[float]:
        """The newest durations in milliseconds, newest first. `limit` is 1 to 5000 rows.

        `realm_id` is one tenant, or several; None: all.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` is no text and no list of texts,
                or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        size = validation.limit(limit, LARGEST_SAMPLE)
        realms = validation.texts("realm_id", realm_id)
        found = await self._sampled("sample_durations", **scope, realm_ids=realms, limit=size)
        return [record["duration_ms"] for record in found]

    async def sample_points(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 1000,
    ) -> list[float]:
        """The newest points awarded, newest first, NULL left out. `limit` is 1 to 5000 rows.

        Raises:
            InvalidArgument: As for `count_by_status`, or `limit` is no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        size = validation.limit(limit, LARGEST_SAMPLE)
        found = await self._sampled("sample_points", "of_points", **scope, limit=size)
        return [record["points"] for record in found]

    async def duration_percentiles(
        self,
        *,
        strategy_id: str,
        since: datetime | None = None,
        until: datetime | None = None,
        fractions: Sequence[float] = (0.5, 0.95, 0.99),
        timeout: float = 5.0,  # noqa: ASYNC109 - the server must be told to stop, not only us
    ) -> DurationPercentiles:
        """Percentiles of the duration in milliseconds, exact if the server computes them in time.

        If it can't, or takes longer than `timeout` seconds or half of the call's time limit, they
        are computed here from the newest 5,000 rows, and `method` says "sample" (a second round
        trip).

        Raises:
            InvalidArgument: As for `count_by_status`, a fraction is outside [0, 1], or `timeout`
                is no positive number.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away, or out of time for the sample too.
            QueryRejected: The server refuses.
        """
        scope = validation.scope(strategy_id, since, until)
        wanted = validation.fractions(fractions)
        budget = validation.seconds("timeout", timeout)
        return await self._settled(lambda: self._percentiles(scope, wanted, budget))

    async def _percentiles(
        self, scope: Mapping[str, Any], wanted: tuple[float, ...], budget: float
    ) -> DurationPercentiles:
        written = f"{{{','.join(map(repr, wanted))}}}"
        deadline = self._store.deadline()
        query = self._statements["duration_percentiles"].query(**scope, fractions=written)
        found, reach = await self._fetch_timely(query, scope, budget=budget, deadline=deadline)
        try:
            if reach.listed:
                return await self._exact_percentiles(wanted, deadline, **scope, realm_ids=None)
        except TooMuch:
            found = None
        if found is None:
            return await self._sample_percentiles(wanted, deadline, **scope, realm_ids=None)
        size = found[0]["sample_size"]
        values = [record["value_ms"] for record in found] if size else [0.0] * len(wanted)
        return DurationPercentiles(
            fractions=wanted, values_ms=tuple(values), method="exact", sample_size=size
        )
