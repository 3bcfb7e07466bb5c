"""Stores executions that neither the log nor a file of its archive holds yet."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import asyncpg

from execlog.archive.asking import Held
from execlog.archive.files import Files, on_days
from execlog.archive.known import Key, days_of, known_of, may_hold, refuse, times_by_day
from execlog.db.executor import Store
from execlog.db.statements import Query, Statement
from execlog.errors import ArchiveError

__all__ = ["Missing"]

_KEYS_AT_ONCE = 100  # that are read before others have a turn


class Missing:
    """Executions as JSON objects, keyed by column, of which some may be stored already.

    Args:
        name: What was asked, for errors.
        store: Where statements are sent.
        statements: The statement of each method, by name.
        files: The folder of the archive; None: none was given.
    """

    def __init__(
        self, name: str, store: Store, statements: Mapping[str, Statement], files: Files | None
    ) -> None:
        """Takes the parts; nothing is sent. Never raises."""
        self._name = name
        self._store = store
        self._insert = statements["insert_missing"]
        self._on_days = on_days(self._insert.schema)
        self._files = files

    async def store(self, executions: Sequence[str]) -> int:
        """Stores those that are stored nowhere, all or none, and returns how many.

        Files are listed once more in the transaction that stores: what went to the archive until
        then was removed before, and what goes there afterwards waits for its end.

        Args:
            executions: The executions.

        Raises:
            ArchiveError: Files may hold some, and there is no folder, or it can't be read.
            QueryRejected: The server refuses, or files may hold some, and the role is subject to
                row level security.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
        """
        keys = await _keys(executions)
        times = times_by_day(key.created_at for key in keys)
        check = self._on_days.query(days=days_of(times))
        left, asked = list(zip(keys, executions, strict=True)), set[str]()

        def is_news(listed: Sequence[asyncpg.Record]) -> bool:
            return any(one.path not in asked for one in may_hold(listed, times))

        while True:
            write = self._query([execution for _, execution in left])
            stored, listed = await self._store.write_unless(write, check, is_news)
            if stored is not None:
                count: int = stored[0]["stored"]
                return count
            held = [one for one in may_hold(listed, times) if one.path not in asked]
            if self._files is None:
                raise refuse(self._name, listed, held)
            pairs = [(key.id, key.created_at) for key, _ in left]
            end = self._store.deadline()
            try:
                known = await known_of(self._name, self._files, listed, held, pairs, end)
            except ArchiveError:
                if not await self._is_replaced(check, held):
                    raise
                continue
            left = [one for one in left if tuple(one[0]) not in known]
            asked |= {one.path for one in held}

    async def unknown(self, executions: Sequence[str]) -> list[str]:
        """Those that no file holds; nothing is stored.

        Args:
            executions: The executions.

        Raises:
            ArchiveError: As `store`, as the others.
            QueryRejected: As `store`.
            SchemaOutdated: As `store`.
            StoreUnavailable: As `store`.
        """
        keys = await _keys(executions)
        times = times_by_day(key.created_at for key in keys)
        check = self._on_days.query(days=days_of(times))
        pairs = [(key.id, key.created_at) for key in keys]
        while True:
            listed = await self._store.fetch(check)
            held = may_hold(listed, times)
            if not held:
                return list(executions)
            if self._files is None:
                raise refuse(self._name, listed, held)
            end = self._store.deadline()
            try:
                known = await known_of(self._name, self._files, listed, held, pairs, end)
                break
            except ArchiveError:
                if not await self._is_replaced(check, held):
                    raise
        both = zip(keys, executions, strict=True)
        return [execution for key, execution in both if tuple(key) not in known]

    async def _is_replaced(self, check: Query, held: Sequence[Held]) -> bool:
        """Whether one of the files has left the table since, in which a successor is then."""
        now = {one["path"] for one in await self._store.fetch(check)}
        return not now.issuperset(one.path for one in held)

    def _query(self, executions: Sequence[str]) -> Query:
        return self._insert.query(rows=f"[{','.join(executions)}]")


async def _keys(executions: Sequence[str]) -> list[Key]:
    found = []
    for place, one in enumerate(executions, 1):
        found.append(Key.of(one))
        if place % _KEYS_AT_ONCE == 0:
            await asyncio.sleep(0)
    return found
