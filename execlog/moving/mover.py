"""Stores the executions of a table, part by part, on the server or through the client."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from execlog.archive.files import Files
from execlog.db.patient import PatientStore
from execlog.db.sqltext import SCHEMA
from execlog.errors import CONFLICTS, ArchiveError, QueryRejected, StoreUnavailable
from execlog.moving.account import Account
from execlog.moving.archived import lists_files
from execlog.moving.matching import Match
from execlog.moving.reading import SECONDS, reading
from execlog.moving.script import Script
from execlog.moving.table import moving_statements
from execlog.recorder.poison_rows import blames_a_row
from execlog.repository.missing import Missing
from execlog.repository.repository import statements

if TYPE_CHECKING:
    from execlog.db.connections import Connection

    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["Mover"]

PART_ROWS = 5000
_FETCHED_ROWS, _SENT_BYTES = 100, 8 * 1024 * 1024
_LESS = 8  # times fewer rows in a part after one that was refused
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)


class Row(NamedTuple):
    """A row that was read: its key, and the execution as JSON or what is wrong with it."""

    key: str
    problem: str | None
    is_unrated: bool
    execution: str | None


class Mover:
    """Stores the executions of a table, each once however often it is called.

    Args:
        match: How the table is read.
        log: The pool of the log.
        source: The pool of the table's database if the rows go through the client; None if the
            server itself stores them.
        schema: The schema of the log.
        zone: The time zone of times without one.
        sample_rate: The rate of sampled executions that have none.
        stops: Whether the first row that can't be stored ends it, after all rows before that one.
        stores: Whether it stores; else it only counts.
        files: The folder of the log's archive; None: none was given.
    """

    def __init__(
        self,
        match: Match,
        log: Pool,
        source: Pool | None = None,
        *,
        schema: str = SCHEMA,
        zone: str = "UTC",
        sample_rate: float | None = None,
        stops: bool = True,
        stores: bool = True,
        files: Files | None = None,
    ) -> None:
        """Takes the parts; nothing is sent. Never raises."""
        self._match = match
        self._source = source
        self._pool = source or log
        self._store = PatientStore(log, SECONDS)
        self._schema = schema
        self._missing = Missing("import", self._store, statements(schema), files)
        self._stops = stops and stores
        self._stores = stores
        self._after: str | None = None
        self._given = {
            "constants": {
                one.ours: one.constant for one in match.sources if one.constant is not None
            },
            "schema_name": match.table.schema_name,
            "table_name": match.table.table_name,
            "zone": zone,
            "sample_rate": sample_rate,
            "is_marked": match.has("sampled"),
            "stops": self._stops,
        }
        self.account = Account(match.table.key)

    async def run(self, advance: Callable[[float], None]) -> Account:
        """Stores all rows that follow, in the order of their key; a part is a transaction.

        Args:
            advance: Called with the number of rows of each part.

        Raises:
            ExeclogError: A server is away, or refuses for a reason other than the rows. What was
                stored is in the account; calling again, of another Mover too, is safe.
        """
        part = self._on_the_server if self._source is None else self._through_the_client
        rows = PART_ROWS
        while not self.account.stopped:
            before = self.account.rows
            try:
                await self._again(part, rows)
            except QueryRejected as error:
                if not blames_a_row(error):
                    raise
                if rows == 1:
                    await self._skip(error)
                rows = max(rows // _LESS, 1)
            else:
                if self.account.rows == before:
                    break
                rows = min(rows * _LESS, PART_ROWS)
            advance(self.account.rows - before)
        return self.account

    async def _again(self, part: Callable[[int], Awaitable[None]], rows: int) -> None:
        """Does a part, again if another transaction stores the same rows."""
        for pause in _PAUSES:
            try:
                return await part(rows)
            except StoreUnavailable as error:
                if error.sqlstate not in CONFLICTS:
                    raise
                await asyncio.sleep(pause * random.random())  # noqa: S311 - so that one is first
        await part(rows)

    async def _on_the_server(self, rows: int) -> None:
        """A part by one statement, whose rows never leave the server."""
        async with reading(self._pool) as connection:
            sql = self._statement(connection, "store" if self._stores else "count")
            [found] = await connection.fetch(sql, self._asked(), rows, timeout=SECONDS)
            if await lists_files(connection, self._schema):
                # Not when it began: then the rows would have gone through the client.
                raise ArchiveError("import: rows went to the archive meanwhile: call it again")
        account = self.account
        account.rows += found["rows"]
        account.stored += found["stored"]
        account.known += found["kept"] - found["stored"]
        account.unrated += found["unrated"]
        self._after = found["last"] or self._after
        for reason, count, key in json.loads(found["problems"] or "[]"):
            if self._stops:
                account.refuse(reason, key)
                account.stopped = True
                return
            account.refuse(reason, key, count)

    async def _through_the_client(self, rows: int) -> None:
        """A part that is read by a cursor and sent on in batches, in the same form."""
        batch: list[Row] = []
        size = 0
        async with aclosing(self._rows(rows)) as found:
            async for row in found:
                if row.problem is not None and self._stops:
                    await self._send(batch)
                    self._count(row)
                    self.account.stopped = True
                    return
                batch.append(row)
                size += len(row.execution or "")
                if size >= _SENT_BYTES:
                    await self._send(batch)
                    batch, size = [], 0
        await self._send(batch)

    async def _rows(self, rows: int) -> AsyncGenerator[Row]:
        async with reading(self._pool) as connection:
            sql = self._statement(connection, "read")
            prepared = await connection.prepare(sql, timeout=SECONDS)
            cursor = await prepared.cursor(self._asked(), rows, timeout=SECONDS)
            while found := await cursor.fetch(_FETCHED_ROWS, timeout=SECONDS):
                for record in found:
                    yield Row(*record)

    async def _send(self, batch: list[Row]) -> None:
        """Stores a batch, or counts it; if the server refuses it, its halves."""
        waiting = [batch]
        while waiting:
            rows = waiting.pop()
            executions = [row.execution for row in rows if row.execution is not None]
            try:
                stored = await self._sent(executions) if executions else 0
            except QueryRejected as error:
                if not blames_a_row(error):
                    raise
                if len(rows) > 1:
                    half = len(rows) // 2
                    waiting += [rows[half:], rows[:half]]
                    continue
                self._count(rows[0]._replace(problem=_refusal(error)))
                if self._stops:
                    self.account.stopped = True
                    return
                continue
            self.account.stored += stored
            self.account.known += len(executions) - stored
            for row in rows:
                self._count(row)

    async def _sent(self, executions: list[str]) -> int:
        """How many of these were not stored yet."""
        if self._stores:
            return await self._missing.store(executions)
        unknown = await self._missing.unknown(executions)
        query = moving_statements(self._schema)["known"].query(rows=f"[{','.join(unknown)}]")
        [found] = await self._store.fetch(query)
        return len(unknown) - int(found["known"])

    def _count(self, row: Row) -> None:
        self.account.rows += 1
        self._after = row.key
        if row.problem is not None:
            self.account.refuse(row.problem, row.key)
        else:
            self.account.unrated += row.is_unrated

    async def _skip(self, error: QueryRejected) -> None:
        """Counts the next row, which can't be read or stored."""
        async with reading(self._pool) as connection:
            sql = self._statement(connection, "next_key")
            found = await connection.fetch(sql, self._asked(), 1, timeout=SECONDS)
        if not found:  # then no row is to blame
            raise error
        self._count(Row(found[0]["key"], _refusal(error), False, None))
        self.account.stopped = self._stops

    def _statement(self, connection: Connection, name: str) -> str:
        version = connection.get_server_version().major
        script = Script(self._match, version, self._schema)
        return script.statement(name, begins=self._after is None)

    def _asked(self) -> str:
        after = None if self._after is None else json.loads(self._after)
        given: Mapping[str, object] = {**self._given, "after": after}
        return json.dumps(given, ensure_ascii=False)


def _refusal(error: QueryRejected) -> str:
    return f"refused by the server: {str(error).removeprefix('import: ')}"
