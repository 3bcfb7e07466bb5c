"""Answers from the rows of the log and those of files together, each row once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from execlog.archive.asking import (
    CURSOR,
    MOST_FILES,
    asked_of,
    batches,
    made_at,
    newer_first,
    switches_of,
    time_of,
)
from execlog.archive.listed import Listed
from execlog.db.rows import Row

__all__ = ["Reach"]

_ID_SLACK = timedelta(hours=1)  # between the time of an id and the end of its run


@dataclass(frozen=True)
class Reach(Listed):
    """Which files hold runs of a window that the log lacks, as of the snapshot of its rows.

    Without an archive it is empty, and all methods return what they are given.
    """

    async def page(
        self, found: Sequence[Row], most: int, *switches: str, **values: Any
    ) -> Sequence[Row]:
        """A page, newest first, of the page that the log has and of files.

        Args:
            found: The page of the log.
            most: How many rows a page has.
            switches: The switches of the log's statement.
            values: Its values.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        if not self.listed or "before_undated_id" in values:
            return found
        before = values.get("before_created_at")
        asked = asked_of(values)
        if before is not None:
            asked |= {name: values.get(name, values.get("strategy_id")) for name in CURSOR}
        rows = list(found)
        old = [one for one in self.listed if before is None or one.first_at <= before]
        for some in batches(old):
            if len(rows) >= most and time_of(rows[most - 1]) > some[0].last_at:
                break
            more = await self.read("page", some, *switches_of(switches), **asked, limit=most)
            rows = sorted([*rows, *more], key=newer_first, reverse=True)[:most]
        return rows

    async def among(self, *switches: str, limit: int, **values: Any) -> list[dict[str, Any]]:
        """A page of all files at once, after a whole cursor if one is given.

        Args:
            switches: The switches of the log's statement.
            limit: How many rows it has.
            values: The values of the log's statement.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        cursor = {name: values[name] for name in CURSOR if name in values}
        asked = {**asked_of(values), **cursor, "limit": limit}
        return await self.read("page", self.listed, *switches_of(switches), **asked)

    async def get(
        self, found: Sequence[Row], *switches: str, id: UUID, strategy_id: str | None
    ) -> Sequence[Row]:
        """One run by its id, if the log has none: first from files of the time of the id.

        Args:
            found: What the log has.
            switches: The switches of the log's statement.
            id: The id.
            strategy_id: The strategy, if it is known.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        if found or not self.listed:
            return found
        at = made_at(id)
        near = [
            one
            for one in self.listed
            if at is not None and at - _ID_SLACK <= one.last_at and one.first_at <= at + _ID_SLACK
        ]
        asked = {"id": id, "strategy_id": strategy_id, "realm_ids": None}
        for some in (*batches(near), *batches([one for one in self.listed if one not in near])):
            if more := await self.read("get", some, *switches_of(switches), **asked):
                return more
        return []

    async def next_failure(
        self, found: Sequence[Row], *, after_created_at: datetime, **values: Any
    ) -> Sequence[Row]:
        """The first failed run after a time, of what the log has and of files, oldest first.

        Args:
            found: What the log has.
            after_created_at: The time.
            values: The other values of the log's statement.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        rows = list(found)
        asked = {**asked_of(values), "after_id": values["after_id"]}
        late = [one for one in reversed(self.listed) if one.last_at >= after_created_at]
        for some in batches(late):
            if rows and time_of(rows[0]) < min(one.first_at for one in some):
                break
            rows += await self.read(
                "next_failure", some, **asked, after_created_at=after_created_at
            )
            rows = sorted(rows, key=newer_first)[:1]
        return rows

    async def by_prefix(
        self, found: Sequence[Row], *switches: str, limit: int, **values: Any
    ) -> Sequence[Row]:
        """The executions whose ids begin alike, of the log and of files, in the order of ids.

        Args:
            found: What the log has.
            switches: The switches of the log's statement.
            limit: How many are wanted.
            values: The other values of the log's statement.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        asked = {"realm_ids": None, **values, "limit": limit}
        more = await self._all("list_by_prefix", *switches_of(switches), **asked)
        order = sorted([*found, *more], key=lambda row: (row["id"].int, row["strategy_id"]))
        return order[:limit] if more else found

    async def counts(
        self, name: str, key: str, found: Iterable[Row], *switches: str, **values: Any
    ) -> dict[Any, int]:
        """How many rows have each value, most frequent first, ties by value, None last.

        Args:
            name: The statement.
            key: Its column of values.
            found: What the log counts of all values.
            switches: The switches of the log's statement.
            values: Its values.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        total: dict[Any, int] = {}
        for row in [*found, *await self._all(name, *switches_of(switches), **asked_of(values))]:
            total[row[key]] = total.get(row[key], 0) + row["count"]
        order = sorted(total.items(), key=lambda one: (-one[1], one[0] is None, one[0] or ""))
        return dict(order)

    async def count(self, found: int, most: int, *switches: str, **values: Any) -> int:
        """How many rows pass the filters, up to a limit.

        Args:
            found: How many the log has.
            most: The limit.
            switches: The switches of the log's statement.
            values: Its values.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        asked = asked_of(values)
        for some in batches(self.listed):
            if found >= most:
                break
            limit = most - found
            [row] = await self.read(
                "count_executions", some, *switches_of(switches), **asked, limit=limit
            )
            found += row["count"]
        return found

    async def _all(self, name: str, *switches: str, **values: Any) -> list[dict[str, Any]]:
        rows = []
        for some in batches(self.listed, MOST_FILES):
            rows += await self.read(name, some, *switches, **values)
        return rows
