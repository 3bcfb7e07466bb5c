"""The account that a recorder keeps in the store, beside those of all other processes.

It goes with each batch, in the batch's transaction, and by itself if no batch went for a minute: so
the store knows how each execution ended, and when the process was alive last. The counts are
those since the recorder began; to keep them twice changes nothing.

A log that can't keep accounts yet (it is not migrated, or the role may not) gets the batches
without, and is tried again some minutes later; one whose account another session has locked, some
seconds later. The next entry catches up: what was written meanwhile is in it. Only what was written
before the first entry of all is in no account, since the store could not say which rows these are.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID, uuid4

from execlog.errors import ExeclogError, driver_errors
from execlog.recorder.this_process import about_process, now

if TYPE_CHECKING:
    from execlog.recorder.buffer import Account, Buffer
    from execlog.recorder.connection import Link

__all__ = ["Entry", "Ledger"]

_FIRST_SECONDS = 1.0  # from the start to the first entry
_IDLE_SECONDS = 60.0  # without a batch
_AGAIN_SECONDS = 15.0  # after a failure
_ABSENT_SECONDS = 300.0  # until a log that can't keep accounts is tried again
_LOCKED_SECONDS = 5.0  # until one that was locked is: each try may hold a batch up for 0.1 s
_KEEP_SECONDS = 5.0  # the time limit of an entry by itself: meanwhile no batch is stored
_PATIENCE, _LAST_PATIENCE = "100ms", "1s"  # for a lock that another session holds
# The classes of errors by which a server says that it has no such account, or refuses its values.
_REFUSALS = ("0A", "21", "22", "23", "42", "P0")
_LOCKED = "55P03"


class Entry(NamedTuple):
    """An account that is sent.

    Attributes:
        account_id: Whose it is.
        text: The account as JSON.
    """

    account_id: UUID
    text: str


class Ledger:
    """What is sent of a recorder's account, and when.

    Args:
        buffer: The buffer, which has the account.
        link: The source of connections.
        sql: The statement that keeps an account by itself.

    Attributes:
        problem: Why batches are stored without an account; None: they are not.
    """

    def __init__(self, buffer: Buffer, link: Link, sql: str) -> None:
        """Takes the parts; nothing is sent. Never raises."""
        self.problem: str | None = None
        self._buffer = buffer
        self._link = link
        self._sql = sql
        self._id: UUID | None = None  # made with the first entry, as an identity is
        self._about = about_process()
        self._base: Account | None = None  # what earlier identities have accounted for
        self._unkept = 0  # rows that are in no account, or in one of an earlier identity
        self._kept: Account | None = None  # the last one that the store has
        self._sent: Account | None = None  # went with the last claim
        self._blame = ""  # why the last one did not go
        self._without = 0.0  # the next claim goes without one, and those of so many seconds
        self._retired: list[Entry] = []  # last entries of earlier identities, to be sent
        self._due = time.monotonic() + _FIRST_SECONDS
        self._absent_until = 0.0

    def with_batch(self, rows: int) -> Entry | None:
        """The entry for the transaction that stores so many rows; None: the log can't keep one.

        Never raises.
        """
        self._sent = None
        if self._without or time.monotonic() < self._absent_until:
            return None
        account = self._buffer.account()
        self._sent = replace(
            account, written=account.written + rows, pending_rows=account.pending_rows - rows
        )
        return self._entry(self._sent)

    def settle(self, rows: int) -> None:
        """Records that the transaction was committed, and stored so many rows. Never raises."""
        if self._sent is not None:
            self._kept, self.problem = self._sent, None
            self._due = 0.0 if self._retired else time.monotonic() + _IDLE_SECONDS
        else:
            if self._kept is None:
                self._unkept += rows
            if self._without:
                self._absent_until = time.monotonic() + self._without
                self.problem = self._blame
            self._due = 0.0  # as soon as it is tried again
        self._sent, self._without = None, 0.0

    def is_blamed(self, error: ExeclogError) -> bool:
        """Whether a claim failed because of its account, so that it may succeed without.

        The next claim then goes without one. Never raises.
        """
        sent, self._sent = self._sent, None
        self._without = 0.0 if sent is None else _pause_after(error)
        self._blame = str(error)
        return self._without > 0

    def renew(self) -> None:
        """Takes another identity: another process has that of the recorder.

        What the store has of this one stays there, and the new one counts what came after it; what
        was pending then is pending here. Never raises.
        """
        if self._kept is not None and self._id is not None:
            self._retired.append(self._entry(self._kept, closed=True))
            self._unkept = max(self._kept.written, self._buffer.account().written)
            self._base, self._kept = self._kept, None
        self._id = None
        self._about |= {"started_at": now()}
        self._due = 0.0

    def wait(self) -> float:
        """Seconds until an entry is to be sent by itself; 0 or less: now. Never raises."""
        return max(self._due, self._absent_until) - time.monotonic()

    def is_needed(self) -> bool:
        """Whether the store is to hear of the end: it has an account, or there is one.

        Never raises.
        """
        return self._kept is not None or self._buffer.account().offered > 0

    async def keep(self, *, closed: bool = False) -> None:
        """Sends the account by itself. A failure is left to the next time.

        Args:
            closed: Whether it is the last one, and nothing is pending.

        Raises:
            CancelledError: Its task was cancelled.
        """
        try:
            with driver_errors("record"):
                await self._send(closed)
        except Exception as error:
            self._due = time.monotonic() + _AGAIN_SECONDS
            if isinstance(error, ExeclogError) and (pause := _pause_after(error)):
                self._absent_until = time.monotonic() + pause

    async def _send(self, closed: bool) -> None:
        patience = _LAST_PATIENCE if closed else _PATIENCE
        async with asyncio.timeout(_KEEP_SECONDS), self._link.connection() as connection:
            while self._retired:
                await connection.fetchval(self._sql, *self._retired[0], patience)
                del self._retired[0]
            account = self._buffer.account()
            await connection.fetchval(self._sql, *self._entry(account, closed=closed), patience)
        self._kept, self.problem = account, None
        self._due = time.monotonic() + _IDLE_SECONDS

    def _entry(self, account: Account, *, closed: bool = False) -> Entry:
        """The account, less what was accounted for before."""
        if self._id is None:
            self._id = uuid4()
        base = self._base
        recovered = account.recovered - (base.recovered if base else 0)
        counts = {
            "sampled_out": account.sampled_out - (base.sampled_out if base else 0),
            "written": account.written - self._unkept,
            # What is left in files when it closes is for another process.
            "pending": account.spooled_rows if closed else account.pending_rows,
        }
        reasons = {
            "rejected": _less(account.rejected, base.rejected if base else {}),
            "dropped": _less(account.dropped, base.dropped if base else {}),
        }
        offered = sum(counts.values()) + sum(sum(one.values()) for one in reasons.values())
        dropped_at = self._buffer.last_dropped_at
        fields = {
            **self._about,
            **counts,
            **reasons,
            "offered": offered - recovered,
            "recovered": recovered,
            "spooled": account.spooled_rows,
            "capacity": min(self._buffer.capacity, 2**62),
            "last_dropped_at": None if dropped_at is None else _text_of(dropped_at),
            "closed": closed,
        }
        return Entry(self._id, json.dumps(fields))


def _less(counts: dict[str, int], base: dict[str, int]) -> dict[str, int]:
    left = {why: count - base.get(why, 0) for why, count in counts.items()}
    return {why: count for why, count in left.items() if count}


def _pause_after(error: ExeclogError) -> float:
    """For how long batches go without an account; 0: it is not to blame."""
    if error.sqlstate == _LOCKED:
        return _LOCKED_SECONDS
    return _ABSENT_SECONDS if (error.sqlstate or "").startswith(_REFUSALS) else 0.0


def _text_of(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
