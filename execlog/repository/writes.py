"""The methods that change the log: storing executions, and erasing a user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from execlog.db import validation
from execlog.db.rows import aware, copy_lines, json_object
from execlog.errors import ArchiveError, InvalidArgument
from execlog.models import ErasedPart, StrategyExecutionLog
from execlog.repository.missing import Missing
from execlog.repository.questions import Questions

__all__ = ["Writes"]

_ERASED_AT_ONCE = 20_000  # rows that one transaction reads

Text = TypeVar("Text", str, bytes)


class Writes(Questions):
    """Stores executions, one or many, and erases users."""

    async def insert_row(self, row: StrategyExecutionLog | Mapping[str, Any]) -> None:
        """Stores one execution and commits.

        Args:
            row: The execution, or a mapping of its fields.

        Raises:
            InvalidArgument: A value can't be stored; names the field (`row.points`).
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time; it is unknown whether the row was
                stored. Storing the same model again is safe: see QueryRejected.
            QueryRejected: The server refuses; sqlstate 23505: this id and time are stored already.
                (A mapping without `id` becomes another execution each time.)
        """
        await self._fetch("insert_row", row=json_object(row, "row"))

    async def insert_rows(self, rows: Iterable[StrategyExecutionLog | Mapping[str, Any]]) -> int:
        """Stores many executions by COPY, all or none, and returns how many.

        Args:
            rows: Executions, or mappings of their fields. All are held in memory at once.

        Raises:
            InvalidArgument: A value can't be stored; names row and field (`rows[3].points`).
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: As for `insert_row`.
            QueryRejected: As for `insert_row`.
        """
        batch = _sequence(rows)
        if not batch:
            return 0
        await self._store.copy(self._statements["insert_rows"], await _collected(copy_lines(batch)))
        return len(batch)

    async def insert_missing(self, rows: Iterable[StrategyExecutionLog | Mapping[str, Any]]) -> int:
        """Stores those executions that are not stored yet, all or none, and returns how many.

        A stored execution with the same id, strategy and time is not changed. Slower than
        `insert_rows`; for executions that may have been stored before. What files of the archive
        hold is not stored again either: if there may be such, it needs the folder (`archive`).

        Args:
            rows: Executions, or mappings of their fields. All are held in memory at once.

        Raises:
            InvalidArgument: A value can't be stored; names row and field (`rows[3].points`).
            ArchiveError: Files hold rows of these times that the log lacks, and no folder was
                given, or it can't be read; nothing was stored.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time. Calling again is safe.
            QueryRejected: The server refuses.
        """
        batch = _sequence(rows)
        if not batch:
            return 0
        objects = await _collected(
            json_object(row, f"rows[{place}]") for place, row in enumerate(batch)
        )
        missing = Missing("insert_missing", self._store, self._statements, self._archive)
        return await missing.store(objects)

    async def erase(
        self, *, external_user_id: str, only_count: bool = False, with_files: bool = False
    ) -> AsyncGenerator[ErasedPart]:
        """Erases an external user from all executions: the user's id, and all that may tell of it.

        Trace, input, attributes, error message, trace id and notes go with it; no count changes. It
        goes through the whole log, part by part, newest first, each part in a transaction, and
        yields after each. After an interruption it may be called again: erased rows are not found
        any more. What waits in files of recorders is not in the log yet: each part says how many
        recorders had such when it began (see `spooling_recorders`).

        Args:
            external_user_id: The user, as recorded (the result of a mask, if the recorder has one).
            only_count: Only count the user's executions; change nothing.
            with_files: The caller erases the user from the files of the archive next, by
                `erase_archived`.

        Raises:
            InvalidArgument: `external_user_id` is empty or no text, another one is no bool.
            ArchiveError: The log has files in an archive, which may hold executions of the user,
                and `with_files` is not given.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time (each part has the call's limit).
            QueryRejected: The server refuses.
        """
        user = validation.name("external_user_id", external_user_id)
        counting = validation.flag("only_count", only_count)
        if not validation.flag("with_files", with_files):
            await self._without_files()
        # Asked first: what is stored from files meanwhile may belong to a part that is done.
        [spooled] = await self._fetch("spooling_recorders")
        before, found = None, 0
        while True:
            query = self._statements["erase"].query(
                external_user_id=user, before=before, rows=_ERASED_AT_ONCE, only_count=counting
            )
            [part] = await self._store.fetch_long(query)
            before, found = part["reached"], found + part["found"]
            yield ErasedPart(
                executions=found, reached=aware(before), spooling_recorders=spooled["recorders"]
            )
            if before is None:
                # What was archived meanwhile may hold what was not erased yet.
                if not with_files:
                    await self._without_files()
                return

    async def _without_files(self) -> None:
        """Raises ArchiveError if there are files that may hold what is to be erased."""
        [found] = await self._fetch("archive_state")
        if found["files"]:
            where = f"{found['folder']} on {found['host']}"
            said = "may hold executions of the user: name the folder"
            raise ArchiveError(f"erase: {found['files']} files in {where} {said}")


def _sequence(rows: object) -> list[object]:
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise InvalidArgument("rows", "must be a list of executions")
    return list(rows)


async def _collected(texts: Iterator[Text]) -> list[Text]:
    """All rows, checked before the first byte is sent; other tasks get turns in between."""
    found = []
    for text in texts:
        found.append(text)
        await asyncio.sleep(0)
    return found
