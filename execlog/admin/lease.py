"""The lease that says who may maintain a log: a row with an end, changed by the log's owner only.

Each transaction of the holder proves the lease by a token and renews it. It needs no session: after
a lost connection, the holder continues on another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

import asyncpg

from execlog.admin.session import DRIVER_ERRORS, Session
from execlog.db import session_limits
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.files import folder
from execlog.db.rows import aware, aware_fields
from execlog.db.sqltext import filled, pieces
from execlog.db.statements import Statement, load_statements
from execlog.errors import InvalidArgument

__all__ = ["TAKEN_OVER", "Lease", "Standing", "finished"]

TAKEN_OVER = "EL001"
"""The SQLSTATE of a transaction that could not prove the lease, as `prove.sql` raises it."""

_STATEMENTS = frozenset(
    {
        "expired",
        "forgettable",
        "index_bytes",
        "late_inputs",
        "loose",
        "old_inputs",
        "partitions",
        "release",
        "roll_up",
        "rollback",
        "session",
        "shape",
        "standing",
        "strays",
        "to_clear",
    }
)
_QUICK_SECONDS = 30.0
_LONGEST_HOLDER = 200

Answer = TypeVar("Answer")


class Standing(NamedTuple):
    """The state of a log's maintenance.

    Attributes:
        is_ours: Whether we hold the lease.
        holder: Who holds it.
        held_since: Since when.
        maintained_at: When the last completed run ended.
        behind: How long ago that was; without one, how long the log has kept this time.
    """

    is_ours: bool
    holder: str | None
    held_since: datetime | None
    maintained_at: datetime | None
    behind: timedelta


class Lease:
    """The lease of a log, and the scripts that its holder sends.

    Args:
        session: The session whose connection is used.
        schema: The schema of the log.
    """

    def __init__(self, session: Session, schema: str) -> None:
        """Takes the session; nothing is sent. Never raises."""
        self.session = session
        self.schema = schema
        self.now = datetime.min.replace(tzinfo=UTC)
        self._statements = _statements(schema)
        self._token = str(uuid4())

    async def look(self) -> None:
        """Checks that no pooler is in between, and reads the server's clock.

        Raises:
            InvalidArgument: A pooler is in between, which shares sessions.
            PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
        """
        # The process id from the connection's start; a pooler makes up its own.
        backend = self.session.connection.get_server_pid()
        [found] = await self.fetch("session", backend)
        if not found["direct"]:
            raise InvalidArgument("target", "leads to a pooler; give the server's own address")
        self.now = found["server_time"]

    async def standing(self) -> Standing:
        """The state of the maintenance. Raises as the driver does."""
        async with self.transaction():
            found = await self.fetch("standing", self._token)
        if not found:
            return Standing(False, None, None, None, timedelta())
        fields = aware_fields(found[0])
        tracked_since = fields.pop("tracked_since")
        behind = self.now - (fields["maintained_at"] or tracked_since)
        return Standing(**fields, behind=max(behind, timedelta()))

    async def take(self) -> Standing:
        """Takes the lease if it is free; waits for nothing. Raises as the driver does."""
        holder = f"{socket.gethostname()} pid {os.getpid()}"[:_LONGEST_HOLDER]
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # its holder is in a step
            await self.send(["begin", "lift", "take", "end"], {"holder": holder})
        return await self.standing()

    async def release(self, *, completed: bool, left: int | None) -> datetime | None:
        """Gives the lease back, even if cancelled; returns when a run was last completed.

        Raises as the driver does.

        Args:
            completed: Whether the partitions are as they should be.
            left: The rows that stay in DEFAULT; None: unchanged.
        """

        async def released() -> datetime | None:
            if self.session.is_lost:
                await self.session.reopen()
            if completed:
                await self.look()
            async with self.transaction():
                values = self._token, self.now if completed else None, left
                found = await self.fetch("release", *values)
            return aware(found[0]["maintained_at"]) if found else None

        return await finished(released())

    async def fetch(
        self, name: str, *values: object, limit: float = _QUICK_SECONDS
    ) -> list[asyncpg.Record]:
        """The rows of a statement, within so many seconds. Raises as the driver does."""
        sql = self._statements[name].sql
        return await self.session.connection.fetch(sql, *values, timeout=limit)

    @contextlib.asynccontextmanager
    async def transaction(self, *, snapshot: bool = False) -> AsyncIterator[None]:
        """A transaction without time limits, in which only the log's own schema is searched.

        Raises as the driver does.

        Args:
            snapshot: Whether all its statements see the same rows.
        """
        await self.send(["begin_snapshot" if snapshot else "begin", "lift"])
        try:
            yield
            await self.send(["end"])
        except BaseException:
            await self._roll_back()
            raise

    async def send(
        self, parts: Sequence[str], words: Mapping[str, str] | None = None, *, alone: bool = False
    ) -> None:
        """Sends scripts in one message: a client that stops in between would keep locks.

        Raises as the driver does; the transaction is rolled back then.

        Args:
            parts: The scripts' names; "lift" lifts the limits of the session.
            words: The values that are filled in.
            alone: Send the statements one by one, as a cluster needs them.
        """
        connection = self.session.connection
        lifting = session_limits.lifting(connection)
        script = "\n".join(lifting if part == "lift" else _script(part) for part in parts)
        known = {"token": self._token, **(words or {})}
        try:
            for sql in pieces(script) if alone else [script]:
                sent = filled(sql, self.schema, known)
                await connection.execute(sent, timeout=LONGEST_SECONDS)
        except BaseException:
            await self._roll_back()
            raise

    async def _roll_back(self) -> None:
        """Rolls back, even if cancelled. Raises CancelledError only."""
        if not self.session.is_lost:
            sql = self._statements["rollback"].sql
            with contextlib.suppress(*DRIVER_ERRORS):
                await finished(self.session.connection.execute(sql, timeout=_QUICK_SECONDS))


async def finished(sent: Coroutine[Any, Any, Answer]) -> Answer:
    """The result, awaited to its end even if we are cancelled. Raises what `sent` raises."""
    task = asyncio.ensure_future(sent)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The connection is the caller's again: wait until it is not used any more.
        await asyncio.gather(task, return_exceptions=True)
        raise


@functools.cache
def _script(name: str) -> str:
    return (folder("sql") / "maintenance" / "step" / f"{name}.sql").read_text()


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "maintenance", _STATEMENTS, schema)
