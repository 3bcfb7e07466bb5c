"""The executions themselves: one, or all."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Collection
from datetime import datetime
from typing import Any, Unpack
from uuid import UUID

import asyncpg

from execlog.archive.asking import TRIES, Moved
from execlog.archive.streaming import merged, streamed
from execlog.db import validation
from execlog.db.pulse import Pulse
from execlog.db.rows import Row
from execlog.db.slices import sliced
from execlog.errors import NO_RIGHT, InvalidArgument, QueryRejected
from execlog.models import StrategyExecutionLog
from execlog.repository.filters import Filters, conditions
from execlog.repository.listings import LARGEST_PAGE
from execlog.repository.questions import Questions

__all__ = ["Executions"]


class Executions(Questions):
    """Reads executions back, whole."""

    async def get(
        self, *, id: UUID | str, strategy_id: str | None = None
    ) -> StrategyExecutionLog | None:
        """One execution whole, with its trace; None if there is none.

        Args:
            id: The execution's id.
            strategy_id: Its strategy, if known: then a cluster asks one machine only.

        Raises:
            InvalidArgument: `id` is no UUID, `strategy_id` is empty or no text.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        key = validation.identifier("id", id)
        strategy = None if strategy_id is None else validation.name("strategy_id", strategy_id)
        found, reach = await self._fetch_whole("get", id=key, strategy_id=strategy)
        rows = await reach.get(found, *self._shown(), id=key, strategy_id=strategy)
        return self._row(rows[0]) if rows else None

    async def next_failure(
        self,
        *,
        strategy_id: str,
        after: StrategyExecutionLog,
        realm_id: str | Collection[str] | None = None,
    ) -> StrategyExecutionLog | None:
        """The first failed run of a strategy after an execution of it; None if there is none.

        The one before it is `list_executions(strategy_id=..., status="failed", before=..., limit=1,
        payloads=False)`: like this one it has no trace and no input.

        Args:
            strategy_id: The strategy.
            after: The execution; none comes after one without a time.
            realm_id: Only runs of this tenant, or of these.

        Raises:
            InvalidArgument: `strategy_id` is empty or no text, `after` is no execution, or
                `realm_id` is no text and no list of texts.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        strategy = validation.name("strategy_id", strategy_id)
        realms = validation.texts("realm_id", realm_id)
        if not isinstance(after, StrategyExecutionLog):
            raise InvalidArgument("after", "must be an execution")
        time, key = (
            validation.time("after", after.created_at),
            validation.identifier("after", after.id),
        )
        if time is None:
            return None
        asked: dict[str, Any] = {
            "strategy_id": strategy,
            "realm_ids": realms,
            "after_created_at": time,
            "after_id": key,
        }
        found, reach = await self._fetch_both("next_failure", **asked)
        rows = await reach.next_failure(found, **asked)
        return self._outlined(rows[0]) if rows else None

    async def list_by_prefix(
        self,
        *,
        prefix: str,
        strategy_id: str | None = None,
        limit: int = 50,
        payloads: bool = True,
    ) -> list[StrategyExecutionLog]:
        """The executions whose ids begin like this, in the order of their ids.

        Args:
            prefix: The first digits of an id, 8 at least, with or without hyphens.
            strategy_id: Only this strategy's.
            limit: 1 to 200 rows.
            payloads: As for `list_executions`.

        Raises:
            InvalidArgument: `prefix` is no such text, `strategy_id` is empty or no text, `limit` no
                integer, or `payloads` no bool.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        has_payloads = validation.flag("payloads", payloads)
        lowest, highest = validation.id_range("prefix", prefix)
        strategy = None if strategy_id is None else validation.name("strategy_id", strategy_id)
        asked: dict[str, Any] = {
            "lowest": lowest,
            "highest": highest,
            "strategy_id": strategy,
            "limit": validation.limit(limit, LARGEST_PAGE),
        }
        switches = [] if has_payloads else ["bare", "no_input"]
        found, reach = await self._fetch_whole("list_by_prefix", *switches, **asked)
        rows = await reach.by_prefix(found, *self._shown(*switches), **asked)
        return await sliced(map(self._row if has_payloads else self._outlined, rows))

    async def stream(
        self,
        *,
        strategy_id: str | Collection[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        **filters: Unpack[Filters],
    ) -> AsyncGenerator[StrategyExecutionLog]:
        """All executions that pass the filters, newest first, as of its first step.

        Those without a time come last. They are read through a cursor, some at a time: memory stays
        flat however many there are. It holds a connection of the pool until its end; a caller that
        leaves earlier closes it (`contextlib.aclosing`). The timeout of a call applies to each
        step.

        Args:
            strategy_id: Only this strategy's, or those of several; None: all.
            since: The window's begin.
            until: The window's end.
            filters: See `Filters`.

        Raises:
            InvalidArgument: As for `list_executions`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses.
        """
        wanted = conditions("stream", filters)
        names = validation.strategies("strategy_id", strategy_id)
        begin, end = validation.window(since, until)
        is_one = names is not None and len(names) == 1
        scope = {
            "strategy_id": names[0] if names is not None and is_one else None,
            "strategy_ids": None if is_one else names,
            "since": begin,
            "until": end,
        }
        switches = wanted.switches if is_one else wanted.across
        found = self._streamed("stream", *switches, **wanted.values, **scope)
        async with contextlib.aclosing(found) as rows:
            async for row in rows:
                yield self._row(row)

    async def _streamed(self, name: str, *switches: str, **values: Any) -> AsyncGenerator[Row]:
        """As `_fetch_whole`, through a cursor: a right is refused before the first row."""
        if self._rights.inputs:
            found = self._streamed_of_both(name, *switches, **values)
            try:
                async with contextlib.aclosing(found) as rows:
                    async for row in rows:
                        yield row
                return
            except QueryRejected as error:
                if error.sqlstate != NO_RIGHT:
                    raise
        found = self._streamed_of_both(name, *switches, "no_input", **values)
        async with contextlib.aclosing(found) as rows:
            async for row in rows:
                self._rights.inputs = False
                yield row

    async def _streamed_of_both(
        self, name: str, *switches: str, **values: Any
    ) -> AsyncGenerator[Row]:
        """As `_streamed_once`; begun again if rows were moved to files while it began."""
        for left in reversed(range(TRIES)):
            found = self._streamed_once(name, *switches, **values)
            try:
                async with contextlib.aclosing(found) as rows:
                    async for row in rows:
                        yield row
                return
            except Moved:  # before its first row
                if not left:
                    raise

    async def _streamed_once(self, name: str, *switches: str, **values: Any) -> AsyncGenerator[Row]:
        """The rows of the log and those of files, each newest first, as one stream."""
        query = self._statements[name].query(*switches, **values)
        told: list[list[asyncpg.Record]] = []
        asked = None if self._archive is None else self._listed_files(values)
        pulse = Pulse(name)
        stream = self._store.stream(query, asked, told.append, pulse)
        async with contextlib.aclosing(stream) as log:
            first = await anext(log, None)
            listed = told[0] if told else []
            reach = self._reach_of(listed, self._store.deadline(), values)
            if told and not told[0][0]["is_settled"]:
                raise Moved(name)
            reach.allow(name)
            files = streamed(reach, self._store.deadline, pulse, *switches, **values)
            async with (
                contextlib.aclosing(files),
                contextlib.aclosing(merged(first, log, files)) as all_rows,
            ):
                async for row in all_rows:
                    yield row
