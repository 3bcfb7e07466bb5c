"""The base of all questions: finds the statement of a method, and sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from execlog.archive.asking import TRIES, Moved
from execlog.archive.away import Away, away_of
from execlog.archive.files import Files, away, listing
from execlog.archive.reading import Reach
from execlog.db.executor import Store
from execlog.db.rows import from_record, outlined
from execlog.db.statements import Query, Statement
from execlog.errors import (
    CANCELLED,
    NO_RIGHT,
    NOT_SUPPORTED,
    QueryRejected,
    SchemaOutdated,
    StoreUnavailable,
)

__all__ = ["LARGEST_SAMPLE", "Questions"]

LARGEST_SAMPLE = 5000
"""The most rows of a sample; the limit within `sql/sample_*.sql`."""

# No such function; not supported; no room to sort on disk, in memory or within its own limit; the
# server's own time limit.
_NO_PERCENTILES = frozenset({"42883", NOT_SUPPORTED, "53100", "53200", "53400", CANCELLED})


# The statements that are answered from rows alone; others have rollups, or ask about no runs.
_OF_ROWS = frozenset(
    """
    breakdown count_by_case_name count_by_error_code count_by_points count_by_status
    count_executions duration_and_nodes_summary duration_percentiles get list_absent list_by_prefix
    list_executions list_failures list_for_strategy list_newest next_failure node_times
    sample_durations sample_points
    """.split()
)

_CARDS = frozenset({"compare", "metrics"})  # of rows too if files hold some, else of rollups


class Rights:
    """What the role may read, and what the server can, as far as it is known.

    Attributes:
        inputs: Whether it may read the column of inputs.
        grouped_rollups: Whether the server can group rollups; a cluster can't.
    """

    def __init__(self, *, inputs: bool = True) -> None:
        """Everything, until the server has refused something; or no inputs. Never raises."""
        self.inputs = inputs
        self.grouped_rollups = True


class Questions:
    """Sends the statement of a method.

    Args:
        store: Where statements are sent.
        statements: The statement of each method, by name.
        spread: Whether the log is spread over a cluster: then the shapes for a cluster are used.
        rights: What the role may read; several may share them.
        archive: The files that hold old rows; None: answers are of the log's rows only.
    """

    _row = staticmethod(from_record)  # makes a model of a row
    _outlined = staticmethod(outlined)  # of one that was read without its payloads

    def __init__(
        self,
        store: Store,
        statements: Mapping[str, Statement],
        *,
        spread: bool = False,
        rights: Rights | None = None,
        archive: Files | None = None,
    ) -> None:
        """Takes the parts. Never raises."""
        self._archive = archive
        self._spread = ["spread"] if spread else []
        self._store = store
        self._statements = statements
        self._rights = Rights() if rights is None else rights

    async def _fetch(self, name: str, *switches: str, **values: Any) -> list[asyncpg.Record]:
        found, reach = await self._fetch_both(name, *switches, **values)
        reach.refuse(name)
        return found

    async def _fetch_both(
        self, name: str, *switches: str, **values: Any
    ) -> tuple[list[asyncpg.Record], Reach]:
        """The rows of the log, and which files hold more that are asked about."""
        return await self._asked(self._statements[name].query(*switches, **values), values)

    async def _asked(
        self,
        query: Query,
        values: Mapping[str, Any],
        budget: float | None = None,
        deadline: float | None = None,
    ) -> tuple[list[asyncpg.Record], Reach]:
        """The same of a statement that has its values."""
        if self._archive is None or query.name not in _OF_ROWS | _CARDS:
            if query.name in _OF_ROWS:
                self._reads_rows_only(query.name, values.get("since"), values.get("until"))
            return await self._store.fetch(query, budget=budget, deadline=deadline), Reach()
        end = self._store.deadline() if deadline is None else deadline
        listed, found = await self._together(values, query, budget, end)
        return found, self._reach_of(listed, end, values)

    async def _together(
        self, values: Mapping[str, Any], query: Query, budget: float | None, deadline: float
    ) -> list[list[asyncpg.Record]]:
        """The files of a window and the rows of a statement, of one snapshot and its partitions.

        Raises:
            Moved: Partitions come and go all the time.
        """
        for _ in range(TRIES):
            both = await self._store.together(
                self._listed_files(values), query, budget=budget, deadline=deadline
            )
            if both[0][0]["is_settled"]:
                return both
            await self._store.renew()
        raise Moved(query.name)

    def _reads_rows_only(self, name: str, since: datetime | None, until: datetime | None) -> None:
        """Is told which rows are read without those of files, if there are any. Never raises.

        Args:
            name: The question.
            since: The window's begin.
            until: Its end.
        """

    async def _away(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> Away | None:
        """Which runs of a window only files hold, whether or not a folder was given."""
        asked = away(self._schema).query(since=since, until=until)
        return away_of(await self._store.fetch(asked))

    async def _is_in_files(
        self, name: str, values: Mapping[str, Any], deadline: float | None = None
    ) -> bool:
        """Whether a folder was given, and its files hold runs of the window."""
        if self._archive is None:
            self._reads_rows_only(name, values.get("since"), values.get("until"))
            return False
        end = self._store.deadline() if deadline is None else deadline
        found = await self._store.fetch(self._listed_files(values), deadline=end)
        return bool(self._reach_of(found, end, values).listed)

    def _reach_of(
        self,
        listed: Sequence[asyncpg.Record],
        deadline: float,
        values: Mapping[str, Any] | None = None,
    ) -> Reach:
        """The files that a statement listed, for these values."""
        if self._archive is None:
            return Reach()

        # Of all users: a file that took the place of another may be without one of these.
        anyone = {**(values or {}), "external_user_ids": None}

        async def again() -> list[asyncpg.Record]:
            return await self._store.fetch_apart(self._listed_files(anyone))

        return Reach.of(self._archive, listed, deadline, again)

    @property
    def _schema(self) -> str:
        return self._statements["get"].schema

    def _listed_files(self, values: Mapping[str, Any]) -> Query:
        """The statement that lists the files of a window, which may hold runs of the users."""
        names = ("since", "until", "external_user_ids")
        return listing(self._schema).query(**{name: values.get(name) for name in names})

    async def _fetch_whole(
        self, name: str, *switches: str, **values: Any
    ) -> tuple[list[asyncpg.Record], Reach]:
        """As `_fetch_both`, of executions: without inputs if the role may not read them."""
        if self._rights.inputs:
            try:
                return await self._fetch_both(name, *switches, **values)
            except QueryRejected as error:
                if error.sqlstate != NO_RIGHT:
                    raise
        found = await self._fetch_both(name, *switches, "no_input", **values)
        self._rights.inputs = False
        return found

    def _shown(self, *switches: str) -> list[str]:
        """The switches of a statement of files, after the rows of the log were read."""
        return [*switches] if self._rights.inputs else [*switches, "no_input"]

    async def _fetch_grouped(
        self, name: str, *switches: str, **values: object
    ) -> list[asyncpg.Record] | None:
        """As `_fetch`, for what groups rollups; None if the server can't, as a cluster can't."""
        if self._spread or not self._rights.grouped_rollups:
            return None
        try:
            return await self._fetch(name, *switches, **values)
        except QueryRejected as error:
            if error.sqlstate != NOT_SUPPORTED:
                raise
        self._rights.grouped_rollups = False
        return None

    async def _fetch_timely(
        self, query: Query, values: Mapping[str, Any], *, budget: float, deadline: float
    ) -> tuple[list[asyncpg.Record] | None, Reach]:
        """The rows, and the files that hold more of what is asked about.

        None in place of the rows if the server can't compute percentiles, or not within the budget.
        The budget is at most half of the time until the deadline: the rest is for a sample.
        """
        budget = min(budget, self._store.remaining(deadline) / 2)
        try:
            return await self._asked(query, values, budget, deadline)
        except (StoreUnavailable, SchemaOutdated, QueryRejected) as error:
            if isinstance(error.__cause__, TimeoutError) or error.sqlstate in _NO_PERCENTILES:
                return None, Reach()
            raise
