"""The recorder's writer: takes batches from the buffer and stores each exactly once.

A batch is one transaction: it claims the batch by its number and token, then copies the rows; the
recorder's account goes with the claim (see `ledger`). If
the answer to its commit is lost, the same rows are sent again under the same claim, and the store
says whether it has them. The server's error decides what follows:

- it is away, busy or read-only: keep the batch, back off, try again;
- it refuses a row (class 22, 23, ...): remove that row, store the others;
- it refuses everything (no table, no right, no such user, a queue that is full): keep the batch and
  try again with longer delays. Once somebody migrates, grants or makes room, storing goes on
  without a restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import random
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from execlog.db import validation
from execlog.db.copy_format import NULL, fields_of
from execlog.db.copying import in_pieces
from execlog.db.files import folder
from execlog.db.statements import Statement, load_statements
from execlog.errors import READ_ONLY, ExeclogError, StoreUnavailable, driver_errors
from execlog.recorder.backoff import Backoff
from execlog.recorder.batch import Shipment
from execlog.recorder.buffer import Batch, Buffer
from execlog.recorder.connection import Link
from execlog.recorder.identity import Claim, Identity
from execlog.recorder.ledger import Ledger
from execlog.recorder.poison_rows import blamed_row, blames_a_row
from execlog.repository import statements

if TYPE_CHECKING:
    from execlog.recorder.connection import Connection

__all__ = ["Delivery", "RejectedExecution"]

# Seconds, the first and the longest: for a server that is away, and for one that refuses, which a
# person must repair (and whose log each try fills).
_PAUSES, _SLOW_PAUSES = (0.1, 5.0), (1.0, 60.0)
_PAUSE_WHILE_AWAITED = 0.25
_PRUNE_SECONDS = 3600.0
_SIGN_OFF_SECONDS = 2.0
_STATEMENTS = frozenset(
    {
        "claim_batch",
        "claim_with_account",
        "keep_account",
        "list_stored_ids",
        "log_id",
        "prune_progress",
    }
)
_ANOTHER = "record: another process stores as this recorder, which takes a new identity"


class RejectedExecution(NamedTuple):
    """An execution that passed all checks here and that the server refused.

    Attributes:
        fields: Its columns, each as the text that was sent, or None.
        sqlstate: Why: the five characters by which Postgres names the condition.
    """

    fields: dict[str, str | None]
    sqlstate: str


OnReject = Callable[[RejectedExecution], object]


class Delivery:
    """Stores what a buffer holds.

    `run` does the work, in a task that may be cancelled at any moment: the batch that was being
    stored stays here, and the next `run` continues with it.

    Args:
        buffer: The buffer.
        link: The source of connections.
        batch_rows: Rows that are stored at once.
        linger: Seconds that a row waits for its batch to fill.
        timeout: Seconds that one try may take.
        on_reject: Called with each row that the server refuses.
        schema: The schema of the log.
        durable: Whether a commit must have reached the server's disk, whatever the role prefers.
    """

    def __init__(
        self,
        buffer: Buffer,
        link: Link,
        *,
        batch_rows: int,
        linger: float,
        timeout: float,
        on_reject: OnReject | None,
        schema: str,
        durable: bool = False,
    ) -> None:
        """Takes the parts; nothing is started. Raises QueryFileError: the install lacks SQL."""
        self._buffer = buffer
        self._durable = durable
        self._link = link
        self._batch_rows = batch_rows
        self._linger = linger
        self._timeout = timeout
        self._server_timeout = validation.server_timeout("timeout", timeout)
        self._on_reject = on_reject
        self._statements = _statements(schema)
        self._copy_target = statements(schema)["insert_rows"].copy_target()
        self._identity = Identity()
        self._ledger = Ledger(buffer, link, self._statements["keep_account"].sql)
        self._batch: Batch | None = None  # the one that was taken, until its rows are here
        self._shipment: Shipment | None = None  # the rest of the batch that is being stored
        self._stored = 0  # rows that the server took in the last try, or the one in doubt
        self._blaming = False  # whether the claim succeeded, so that an error is about the rows
        self._doubtful = False  # whether a commit of the shipment's rows was not answered
        dice = random.Random()  # noqa: S311
        self._backoff, self._slow_backoff = Backoff(*_PAUSES, dice), Backoff(*_SLOW_PAUSES, dice)
        self._next_prune = 0.0
        self.attach()
        self.failing = self._is_read_only = False  # the last try failed; the server was read-only
        self.batches = self.retries = self.hook_failures = self.renewals = 0
        self.hook_error: str | None = None
        self.last_error: str | None = None
        self.last_success: float | None = None

    def attach(self) -> None:
        """Prepares for the event loop that uses it next. Never raises."""
        self.stopped: str | None = None
        self._awaited: list[tuple[int, asyncio.Future[None]]] = []
        self._signing_off: asyncio.Future[None] | None = None  # done once the last account is kept
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()

    def wake(self) -> None:
        """Has `run` look whether rows are to be stored now. Never raises."""
        self._wake.set()

    def without_account(self) -> str | None:
        """Why batches are stored without the account; None: they are not. Never raises."""
        return self._ledger.problem

    def is_awaited(self) -> bool:
        """Whether a caller waits in `until_settled` or `sign_off`. Never raises."""
        return bool(self._awaited) or self._signing_off is not None

    async def until_settled(self) -> None:
        """Returns when each row that waits now is stored, rejected or dropped; no time limit.

        Meanwhile a store that is away is tried four times a second.

        Raises:
            CancelledError: The caller was cancelled; no row is lost by it.
        """
        number = self._buffer.seal()
        if self._buffer.is_settled(number):
            return
        settled = asyncio.get_running_loop().create_future()
        entry = (number, settled)
        self._awaited.append(entry)
        self._wake.set()
        self._hurry.set()
        try:
            await settled
        finally:
            self._awaited = [other for other in self._awaited if other is not entry]

    async def until_safe(self) -> None:
        """Returns when closing it would lose nothing that waits now; no time limit.

        Raises:
            CancelledError: The caller was cancelled; no row is lost by it.
        """
        await self.until_settled()

    async def sign_off(self) -> None:
        """Has the store keep the last account, if it answers soon, and if nothing is pending.

        Raises:
            CancelledError: The caller was cancelled.
        """
        is_pending = self._buffer.account().pending_rows > 0
        if self.stopped is not None or is_pending or not self._ledger.is_needed():
            return
        self._signing_off = asyncio.get_running_loop().create_future()
        self._wake.set()
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SIGN_OFF_SECONDS):
                    await self._signing_off
        finally:
            self._signing_off = None

    async def run(self) -> None:
        """Stores batch after batch, until it is cancelled or has no target any more.

        Raises:
            CancelledError: Its task was cancelled.
        """
        try:
            while self.stopped is None:
                if self._shipment is None:
                    self._batch = self._batch or await self._next_batch()
                    rows = await self._load(self._batch)
                    self._shipment, self._batch = Shipment(rows, self._batch_rows), None
                await self._store(self._shipment)
                self._tell_awaiting()
                await self._prune()
        except BaseException:
            # An event loop that ends cancels us first: the connection must not outlive it. Nor
            # does it outlive what a hook raised to end the program.
            self._link.close()
            raise

    def give_up(self, reason: str) -> None:
        """Drops all that is pending, for this reason, and closes the connection.

        Rows whose commit was not answered may be stored all the same; they are dropped as
        "unconfirmed". Call it when `run` has ended. Never raises.
        """
        self._link.close()
        if self._shipment is not None:
            if self._doubtful:
                unsure = self._shipment.next()
                self._shipment.settle(len(unsure), stored=0)
                self._buffer.settle(unsure, dropped="unconfirmed", last=not self._shipment)
                # It is not known which batch was stored last: the next one lacks a proof.
                self._identity.forget()
            if rows := self._shipment.rows():
                self._buffer.settle(rows, dropped=reason, last=True)
            self._shipment, self._doubtful = None, False
        self._buffer.clear(reason)
        self._tell_awaiting()

    async def _next_batch(self) -> Batch:
        """The oldest batch, as soon as it is full or its first row has waited for `linger`."""
        while True:
            self._wake.clear()
            waiting_since = self._buffer.waiting_since()
            wait = (
                None if waiting_since is None else waiting_since + self._linger - time.monotonic()
            )
            batch = self._buffer.take(full=wait is None or wait > 0)
            if batch is not None:
                return batch
            self._tell_awaiting()
            if self._signing_off is not None or self._ledger.wait() <= 0:
                await self._keep_account()
                continue
            pause = min(self._ledger.wait(), math.inf if wait is None else wait)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wake.wait()

    async def _keep_account(self) -> None:
        done, self._signing_off = self._signing_off, None
        await self._ledger.keep(closed=done is not None)
        if done is not None and not done.done():
            done.set_result(None)

    async def _store(self, shipment: Shipment) -> None:
        """Stores the rest of the batch."""
        while shipment:
            rows = shipment.next()
            if not rows:
                # Each row was refused and none was stored: the rows or the server may be to blame.
                await self._pause(slow=True)
                batch = self._batch = self._batch or self._buffer.take(full=False)
                more = await self._load(batch) if batch else []
                self._batch = None
                shipment.begin_again(more)
                continue
            try:
                if not await self._is_ready(shipment):
                    continue
                await self._try(rows)
            except ExeclogError as error:
                if self._link.target() is None:
                    return self._stop(error)
                if not self._blaming and self._ledger.is_blamed(error):
                    continue  # at once, without the account
                self._note_error(error)
                if self._blaming and blames_a_row(error):
                    self._doubtful = False
                    self._take_out(shipment, rows, error)
                else:
                    await self._pause(slow=not isinstance(error, StoreUnavailable))
            except Exception as error:  # of any kind: the rows are worth another try
                self._note_error(StoreUnavailable(f"record: {type(error).__name__}"))
                await self._pause()
            else:
                if self._shipment is not shipment:  # given up meanwhile
                    return None
                self._settle(shipment, rows)
        self._finish()
        self._shipment = None
        return None

    async def _load(self, batch: Batch) -> list[bytes]:
        """The rows of a batch that was taken."""
        return batch.rows()

    async def _is_ready(self, shipment: Shipment) -> bool:
        """Whether its rows may be sent as they are; False: it has changed. Raises ExeclogError."""
        return True

    async def _note_claim(self, claim: Claim) -> None:
        """Notes what the transaction claims, before it does. Raises ExeclogError."""

    def _finish(self) -> None:
        """Each row of the batches that were taken is stored or rejected."""

    async def _try(self, rows: list[bytes]) -> None:
        """One transaction. Raises the errors of errors.py."""
        with driver_errors("record"):
            refusal = await self._transaction(rows)
            if refusal is not None:
                raise refusal

    async def _transaction(self, rows: list[bytes]) -> asyncpg.PostgresError | None:
        """Claims the batch and copies the rows; returns the error by which the server refuses."""
        self._blaming = False
        async with asyncio.timeout(self._timeout), self._link.connection() as connection:
            # Read committed: after waiting for another transaction, the claim must see its outcome.
            transaction = connection.transaction(isolation="read_committed")
            await transaction.start()
            try:
                if await self._claim(connection, len(rows)):
                    self._blaming = True
                    self._stored = await self._copy(connection, rows)
                self._doubtful = True
                await transaction.commit()
            except asyncpg.PostgresError as error:
                if connection.is_closed():
                    raise
                try:
                    await transaction.rollback()
                except Exception:
                    raise error from None
                return error
            return None

    async def _claim(self, connection: Connection, rows: int) -> bool:
        """Whether the rows are to be stored; False if the store has them already."""
        claim = self._identity.claim(again=self._doubtful)
        outcome = await self._send_claim(connection, claim, rows)
        if outcome == "another":
            self._identity.forget()
            self._ledger.renew()
            self.renewals += 1
            self.last_error = _ANOTHER
            claim = self._identity.claim(again=False)
            outcome = await self._send_claim(connection, claim, rows)
        self._doubtful = outcome == "stored"
        return not self._doubtful

    async def _send_claim(self, connection: Connection, claim: Claim, rows: int) -> object:
        await self._note_claim(claim)
        entry = self._ledger.with_batch(rows)
        name = "claim_batch" if entry is None else "claim_with_account"
        values = (*claim, self._server_timeout, self._durable, *(entry or ()))
        return await connection.fetchval(self._statements[name].sql, *values)

    async def _copy(self, connection: Connection, rows: list[bytes]) -> int:
        """Copies the rows; returns how many the server took."""
        schema, table, columns = self._copy_target
        copied = await connection.copy_to_table(
            table,
            schema_name=schema,
            columns=columns,
            source=in_pieces([b"".join(rows)]),
            format="text",
            null=NULL,
        )
        return int(copied.split()[1])

    def _settle(self, shipment: Shipment, rows: list[bytes]) -> None:
        # A trigger of the table's owner may have swallowed some; the server does not say which.
        stored, swallowed = rows[: self._stored], rows[self._stored :]
        shipment.settle(len(rows), stored=len(stored))
        if swallowed:
            self._buffer.settle(swallowed, rejected="swallowed_by_store")
        self._buffer.settle(stored, last=not shipment)
        self._identity.advance()
        self._ledger.settle(len(stored))
        self._doubtful = self.failing = False
        self._backoff.reset()
        self._slow_backoff.reset()
        self.batches += 1
        self.last_success = time.monotonic()

    def _take_out(self, shipment: Shipment, rows: list[bytes], error: ExeclogError) -> None:
        """Rejects the row that is to blame, if it is known."""
        row = shipment.refuse(len(rows), place=blamed_row(error, len(rows)))
        if row is None:
            return
        self._buffer.settle([row], rejected="refused_by_store", last=not shipment)
        if self._on_reject is not None:
            try:
                self._on_reject(RejectedExecution(fields_of(row.decode()), error.sqlstate or ""))
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as failure:  # its own CancelledError is not ours
                self.hook_failures += 1
                # Only its class: its text may hold the row.
                self.hook_error = type(failure).__name__

    def _note_error(self, error: ExeclogError) -> None:
        self.last_error = str(error)
        self._is_read_only = error.sqlstate == READ_ONLY

    async def _pause(self, *, slow: bool = False) -> None:
        """Waits before the next try; not as long if a caller waits for the outcome."""
        self.failing = True
        self.retries += 1
        if self._is_read_only:
            await self._link.renew()
        seconds = (self._slow_backoff if slow else self._backoff).next()
        if self._awaited:
            seconds = min(seconds, _PAUSE_WHILE_AWAITED)
        self._hurry.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._hurry.wait()

    def _stop(self, error: ExeclogError) -> None:
        self.last_error = self.stopped = str(error)
        self._buffer.close("stopped")
        self.give_up("stopped")

    def _tell_awaiting(self) -> None:
        for number, settled in self._awaited:
            if not settled.done() and self._buffer.is_settled(number):
                settled.set_result(None)

    async def _prune(self) -> None:
        """Deletes old recorders' progress now and then; a failure is left to the next time."""
        if time.monotonic() < self._next_prune or self.stopped is not None:
            return
        self._next_prune = time.monotonic() + _PRUNE_SECONDS
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self._timeout), self._link.connection() as connection:
                await connection.fetch(self._statements["prune_progress"].sql)


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "recorder", _STATEMENTS, schema)
