"""The writer of a recorder with a spool: what it stores lies in files until the store has it.

Before a transaction claims a batch, the claim is noted in the batch's file. If the process dies,
another one adopts the file: it waits for the end of that transaction by claiming the same number,
asks the store which of the rows it has, by their ids, and stores the others as its own. What the
store lacks, it may have had, and moved to its archive: then files are asked too; if there is no
folder, or it can't be read, the rows stay in the spool. (The claim does not tell: it is of some of
the rows, if the server refused others, and is forgotten after a month.)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg

from execlog.errors import InvalidArgument, StoreUnavailable, driver_errors
from execlog.recorder.archived import MAY_BE_ARCHIVED, Archived, LeftAlone
from execlog.recorder.batch import Shipment
from execlog.recorder.buffer import Batch
from execlog.recorder.flusher import Delivery
from execlog.recorder.identity import Claim
from execlog.recorder.spool.row_file import Content, CorruptFile, NewerFormat, RowFile
from execlog.recorder.spooled_buffer import SpooledBuffer

if TYPE_CHECKING:
    from execlog.archive.files import Files
    from execlog.recorder.connection import Connection, Link
    from execlog.recorder.spool.spool import Spool

__all__ = ["SpooledDelivery"]

# The classes of errors by which a server says that it has no such function, or that it may not be
# called: an older log.
_ABSENT = ("42", "3F")
# As the driver sends them: see `copy_format.timestamp`.
_ENDS = {
    "-infinity": datetime.min.replace(tzinfo=UTC),
    "infinity": datetime.max.replace(tzinfo=UTC),
}
_AWAY_SECONDS = 2.0  # of a close, until a store that is away is not waited for
_LOOK_SECONDS = 0.1
_OF_ANOTHER = "holds rows for another log than the one that is connected; they stay there"


class SpooledDelivery(Delivery):
    """Stores what a spooled buffer holds.

    Args:
        buffer: The buffer.
        link: The source of connections.
        spool: The files.
        archive: The folder of the log's archive; None: none was given.
        options: As of `Delivery`.
    """

    def __init__(
        self,
        buffer: SpooledBuffer,
        link: Link,
        spool: Spool,
        *,
        archive: Files | None = None,
        **options: Any,
    ) -> None:
        """Takes the parts; nothing is started. Raises QueryFileError: the install lacks SQL."""
        self._archived = Archived(options["schema"], archive)
        self._spool = spool
        self._files = buffer
        self._taken: list[Batch] = []  # those in files whose rows are being stored
        self._unresolved: list[tuple[Batch, Claim | None]] = []  # adopted, and not asked for yet
        self._noted: Claim | None = None
        self._is_checked = False  # whether it is known which log is connected
        self._log: UUID | None = None
        super().__init__(buffer, link, durable=True, **options)

    def give_up(self, reason: str) -> None:
        """Leaves in files what is there, and drops what finds no place there. Never raises."""
        if self._shipment is not None:
            kept = set(map(id, self._shipment.rows()))
            lines = [row for batch in self._taken for row in batch.rows() if id(row) in kept]
            self._shipment.remove(lines)
            self._files.put_back(lines)
            for batch in self._taken:
                if batch.file is not None and batch.file.is_mapped:
                    self._spool.seal(batch.file)
            others = self._shipment.rows()
            if others and self._files.keep(others, self._noted):
                self._shipment.remove(others)
            if not self._shipment:
                self._shipment = None
                if self._doubtful:
                    self._identity.forget()
                    self._doubtful = False
        self._taken, self._unresolved, self._batch = [], [], None
        super().give_up(reason)

    async def until_safe(self) -> None:
        """As that of `Delivery`; of a store that is away not much is expected any more.

        Raises:
            CancelledError: The caller was cancelled; no row is lost by it.
        """
        settled = asyncio.create_task(self.until_settled())
        until = time.monotonic() + _AWAY_SECONDS
        try:
            while not settled.done():
                await asyncio.wait([settled], timeout=_LOOK_SECONDS)
                if time.monotonic() > until and self.failing and self._files.is_safe():
                    return
        finally:
            with contextlib.suppress(RuntimeError):  # the event loop died
                settled.cancel()

    async def _load(self, batch: Batch) -> list[bytes]:
        if batch.file is not None and batch not in self._taken:
            content = await self._read(batch, batch.file)
            self._files.load(batch, content)
            self._taken.append(batch)
            if batch.is_adopted:
                self._unresolved.append((batch, content.claim if content else None))
                self._is_checked = False  # it may be for another log, and came after the last look
        return batch.rows()

    async def _read(self, batch: Batch, file: RowFile) -> Content | None:
        """What its file holds; None: it can't be read."""
        try:
            if not batch.is_sealed:
                return file.read()
            return await asyncio.wrap_future(self._spool.read(file))
        except (OSError, CorruptFile, NewerFormat):
            return None

    async def _is_ready(self, shipment: Shipment) -> bool:
        self._blaming = False
        if not self._is_checked:
            with driver_errors("record"):
                await self._check_log(shipment)
            return False  # it may have other rows now
        if not self._unresolved:
            return bool(shipment)
        batch, claim = self._unresolved[0]
        try:
            with driver_errors("record"):
                found = await self._find(batch.rows(), claim)
        except LeftAlone as error:
            found = batch.rows()
            self._leave(batch, str(error))
        del self._unresolved[0]
        shipment.remove(found)
        self._files.uncount(found, last=not shipment)
        return False

    def _leave(self, batch: Batch, why: str) -> None:
        """Leaves a batch that was adopted to a later process: what becomes of it is not known."""
        self._taken.remove(batch)
        if batch.file is not None:
            self._spool.leave(batch.file, why)

    async def _check_log(self, shipment: Shipment) -> None:
        """Asks which log is connected, and leaves alone what is for another one.

        Raises InvalidArgument: the recorder's own files are.
        """
        async with asyncio.timeout(self._timeout), self._link.connection() as connection:
            try:
                self._log = await connection.fetchval(self._statements["log_id"].sql)
            except asyncpg.PostgresError as error:
                if not (error.sqlstate or "").startswith(_ABSENT):
                    raise
                self._log = None
        if self._log is not None:
            if not self._spool.is_of(self._log):
                raise InvalidArgument("spool", _OF_ANOTHER)
            self._withdraw(self._log, shipment)
        self._is_checked = True

    def _withdraw(self, log: UUID, shipment: Shipment) -> None:
        files = self._spool.withdraw(log)
        self._files.withdraw(files)
        for batch in [one for one in self._taken if one.file in files]:
            rows = batch.rows()
            shipment.remove(rows)
            self._files.uncount(rows, last=not shipment)
            self._taken.remove(batch)
            self._unresolved = [entry for entry in self._unresolved if entry[0] is not batch]

    async def _find(self, rows: list[bytes], claim: Claim | None) -> list[bytes]:
        """Which of an adopted batch's rows the store has. Raises LeftAlone: it is not known."""
        try:
            return await self._found(rows, claim)
        except LeftAlone:  # of a file that was replaced since it was listed, perhaps
            return await self._found(rows, claim)

    async def _found(self, rows: list[bytes], claim: Claim | None) -> list[bytes]:
        keys = [_key(row) for row in rows]
        ids, times = [key[0] for key in keys], [key[1] for key in keys]
        async with asyncio.timeout(self._timeout), self._link.connection() as connection:
            if claim is not None:
                await self._await_end(connection, claim)
            # Of one snapshot: what goes to the archive, or comes back, is in the log or in a file.
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            records = await connection.fetch(self._statements["list_stored_ids"].sql, ids, times)
            # An id that a caller gave twice counts as stored once all of it is.
            lacking = Counter(ids) - Counter(record["id"] for record in records)
            doubtful = [key for key in keys if key[0] in lacking and claim is not None]
            listed = await self._archived.files(connection, [time for _, time in doubtful])
            await transaction.rollback()
        if listed is None:
            raise LeftAlone(f"{MAY_BE_ARCHIVED}, whose files the role may not ask for")
        if listed:
            found = await self._archived.known(listed, doubtful, self._timeout)
            lacking -= Counter(found)
        return [row for row, key in zip(rows, ids, strict=True) if key not in lacking]

    async def _await_end(self, connection: Connection, claim: Claim) -> None:
        """Waits for the transaction that made the claim, if it is still under way."""
        again = claim._replace(token=uuid4())  # another one: it is rolled back
        values = (*again, self._server_timeout, False)
        transaction = connection.transaction(isolation="read_committed")
        await transaction.start()
        await connection.fetchval(self._statements["claim_batch"].sql, *values)
        await transaction.rollback()

    async def _note_claim(self, claim: Claim) -> None:
        if claim == self._noted:
            return
        try:
            await self._write(claim)
        except OSError as error:
            problem = f"record: the spool can't be written ({error.strerror})"
            raise StoreUnavailable(problem) from None
        self._noted = claim

    async def _write(self, claim: Claim) -> None:
        """Writes to the files what is claimed, and on which log. Raises OSError."""
        if self._log is not None and (noted := self._spool.note_log(self._log)) is not None:
            with contextlib.suppress(OSError):  # of a full disk; it is tried again
                await asyncio.wrap_future(noted)
        sealed = []
        for batch in self._taken:
            if batch.file is not None and batch.is_sealed:
                sealed.append(batch.file)
            elif batch.file is not None:
                batch.file.note(claim)
        if sealed:
            await asyncio.wrap_future(self._spool.note(sealed, lambda file: file.note(claim)))

    def _finish(self) -> None:
        self._files.settle([], last=True)
        for batch in self._taken:
            if batch.file is not None:
                self._spool.discard(batch.file, damaged=batch.is_damaged)
        self._taken = []

    async def _pause(self, *, slow: bool = False) -> None:
        self._is_checked = False  # what is connected next may be another server
        await super()._pause(slow=slow)


def _key(row: bytes) -> tuple[UUID, datetime | None]:
    """A row's id and time, by which the store knows it; the time is None if it can't be read."""
    id_, created_at, _ = row.decode().split("\t", 2)
    try:
        return UUID(id_), _ENDS.get(created_at) or datetime.fromisoformat(created_at)
    except ValueError:
        return UUID(id_), None
