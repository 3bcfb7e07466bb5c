"""All strategies at once, in an order or over time, each one statement and one round trip."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Literal, get_args

import asyncpg

from execlog.db import validation
from execlog.db.rows import aware_fields
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument
from execlog.models import StrategyRank
from execlog.repository import histogram
from execlog.repository.activity import StrategyActivity, activities, activity_buckets
from execlog.repository.metrics import FRACTIONS
from execlog.repository.questions import Questions

__all__ = ["RankBy", "Rankings"]

RankBy = Literal["p99", "failures", "error_rate", "failed_rate", "runs"]
_MOST_BUCKETS = 200
_MOST_STRATEGIES = 50
_MOST_RUNS = 2**63 - 1


class Rankings(Questions):
    """Compares all strategies: which are the worst, and how often each ran over time."""

    async def rank_strategies(
        self,
        *,
        realm_id: str | Collection[str] | None = None,
        strategy_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        by: RankBy = "p99",
        min_runs: int = 0,
        limit: int = 10,
    ) -> list[StrategyRank]:
        """The strategies of some realms, the slowest or the most failing first, ties by name.

        Percentiles of few runs are exact, those of many are from rollups; all are weighed. Without
        rollups all are exact, and a server that can't compute them in time gives an error.

        Args:
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_id: Only this strategy, or these; None: all.
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The window's begin.
            until: The window's end.
            by: "p99", "failures", "error_rate", "failed_rate" or "runs", the largest first.
            min_runs: Only strategies with so many stored runs.
            limit: 1 to 50 strategies.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` or `strategy_id` is no text and no
                list of texts, `strategy_version` no integer and no list of integers, `by` is
                none of these, `min_runs` no integer from 0 on, or `limit` no integer.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        begin, end = validation.window(since, until)
        most = validation.limit(limit, _MOST_STRATEGIES)
        found = await self._fetch(
            "rank_strategies",
            realm_ids=validation.texts("realm_id", realm_id),
            strategy_ids=validation.texts("strategy_id", strategy_id),
            strategy_versions=validation.versions("strategy_version", strategy_version),
            since=begin,
            until=end,
            by=validation.one_of("by", by, get_args(RankBy)),
            min_runs=min(validation.count("min_runs", min_runs, least=0), _MOST_RUNS) or None,
            limit=most,
        )
        return await sliced(map(_rank, found))

    async def rank_together(
        self,
        *,
        realm_id: str | Collection[str] | None = None,
        strategy_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> StrategyRank | None:
        """All strategies of some realms as if they were one, whose name is empty.

        Args:
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_id: Only this strategy, or these; None: all.
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The window's begin.
            until: The window's end.

        Returns:
            None if nothing ran.

        Raises:
            InvalidArgument: As for `rank_strategies`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        begin, end = validation.window(since, until)
        found = await self._fetch(
            "rank_together",
            realm_ids=validation.texts("realm_id", realm_id),
            strategy_ids=validation.texts("strategy_id", strategy_id),
            strategy_versions=validation.versions("strategy_version", strategy_version),
            since=begin,
            until=end,
            by="runs",
            limit=1,
        )
        return _rank(found[0]) if found else None

    async def activity(
        self,
        *,
        realm_id: str | Collection[str] | None = None,
        strategy_id: str | Collection[str] | None = None,
        strategy_version: int | Collection[int] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        buckets: int = 30,
    ) -> list[StrategyActivity]:
        """How often each strategy ran and failed over time, by its name.

        Strategies are those that ran in the window, or in the one of the same length before it.
        Buckets start at whole seconds, minutes, hours or days in UTC, depending on the window's
        length. The first and the last bucket are cut at the ends of the window.

        Args:
            realm_id: Only runs of this tenant, or of these; None: of all.
            strategy_id: Only this strategy, or these; None: all.
            strategy_version: Only runs of this version, or of these; None: of all.
            since: The window's begin; None: a day before the end.
            until: The window's end; None: now.
            buckets: 1 to 200: the most, and one more if both ends of the window cut a bucket.

        Raises:
            InvalidArgument: As for `count_by_status`, `realm_id` or `strategy_id` is no text and no
                list of texts, `strategy_version` no integer and no list of integers, `buckets` no
                integer in its range, or an end of the window is an end of the calendar.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        realms = validation.texts("realm_id", realm_id)
        strategies = validation.texts("strategy_id", strategy_id)
        versions = validation.versions("strategy_version", strategy_version)
        most = validation.count("buckets", buckets)
        if most > _MOST_BUCKETS:
            raise InvalidArgument("buckets", f"must be at most {_MOST_BUCKETS}")
        cuts = activity_buckets(*validation.window(since, until), most)
        values = {
            "realm_ids": realms,
            "strategy_ids": strategies,
            "strategy_versions": versions,
            **cuts.arguments(),
        }
        found = await self._fetch_grouped("activity", **values)
        if found is None:
            found = await self._fetch("activity", "spread", **values)
        return await activities(found, cuts)


def _rank(record: asyncpg.Record) -> StrategyRank:
    measures = aware_fields(record)
    ends = measures.pop("duration_min_ms"), measures.pop("duration_max_ms")
    durations = measures.pop("durations")
    if durations is not None:
        found, error = histogram.percentiles(histogram.unpacked(durations), FRACTIONS, *ends)
        measures.update(zip(("p50_ms", "p95_ms", "p99_ms"), found, strict=True))
        measures.update(method="sketch", relative_error=error)
    return StrategyRank(**measures)
