"""What every question of the repository has: where its statement is, and how it is asked."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from execlog.db.executor import Store
from execlog.db.rows import from_record
from execlog.db.statements import Query, Statement
from execlog.errors import QueryRejected, SchemaOutdated, StoreUnavailable
from execlog.models import DurationPercentiles
from execlog.repository.percentiles import percentile_cont

__all__ = ["LARGEST_SAMPLE", "Questions"]

LARGEST_SAMPLE = 5000
"""Rows of a sample at most: the limit within `sql/sample_*.sql`."""

# No such function; not supported; no room to sort on disk, in memory, or by its own limit; and the
# server's own limit of time.
_NO_PERCENTILES = frozenset({"42883", "0A000", "53100", "53200", "53400", "57014"})


class Questions:
    """Sends the statement of a method.

    Args:
        store: What the statements are sent to.
        statements: The statement of each method by its name.
        spread: Whether the log is spread over a cluster: then in the shapes that it can spread too.
    """

    _row = staticmethod(from_record)  # what a row that was read becomes

    def __init__(
        self, store: Store, statements: Mapping[str, Statement], *, spread: bool = False
    ) -> None:
        """Takes the parts. Never raises."""
        self._spread = ["spread"] if spread else []
        self._store = store
        self._statements = statements

    async def _fetch(self, name: str, *switches: str, **values: object) -> list[asyncpg.Record]:
        return await self._store.fetch(self._statements[name].query(*switches, **values))

    async def _fetch_timely(
        self, query: Query, *, budget: float, deadline: float
    ) -> list[asyncpg.Record] | None:
        """None where the server can't compute percentiles, or not within the budget.

        A call has until its deadline, and half of that for this: the rest is for a sample.
        """
        budget = min(budget, self._store.remaining(deadline) / 2)
        try:
            return await self._store.fetch(query, budget=budget, deadline=deadline)
        except (StoreUnavailable, SchemaOutdated, QueryRejected) as error:
            if isinstance(error.__cause__, TimeoutError) or error.sqlstate in _NO_PERCENTILES:
                return None
            raise

    async def _sample_percentiles(
        self, fractions: tuple[float, ...], deadline: float, **scope: object
    ) -> DurationPercentiles:
        query = self._statements["sample_durations"].query(**scope, limit=LARGEST_SAMPLE)
        found = await self._store.fetch(query, deadline=deadline)
        sample = [record["duration_ms"] for record in found]
        return DurationPercentiles(
            fractions=fractions,
            values_ms=percentile_cont(sample, fractions),
            method="sample",
            sample_size=len(sample),
        )
