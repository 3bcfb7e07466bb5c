"""Who may maintain a log now: a lease, a row with an end that only the log's owner can change.

Each transaction of its holder proves it by a token and renews it. It needs no session: if the
connection is lost, it is held on another one.
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
"""The SQLSTATE of a transaction that could not prove it, as `prove.sql` raises it."""

_STATEMENTS = frozenset(
    {
        "expired",
        "forgettable",
        "partitions",
        "release",
        "rollback",
        "session",
        "shape",
        "standing",
        "strays",
    }
)
_QUICK_SECONDS = 30.0
_LONGEST_HOLDER = 200

Answer = TypeVar("Answer")


class Standing(NamedTuple):
    """How the maintenance of a log stands.

    Attributes:
        is_ours: Whether the lease is ours.
        holder: Who has it.
        held_since: Since when.
        maintained_at: When the last run ended that was completed.
        behind: How long ago that was; if there was none, since when it is kept.
    """

    is_ours: bool
    holder: str | None
    held_since: datetime | None
    maintained_at: datetime | None
    behind: timedelta


class Lease:
    """The lease of a log, and what its holder sends.

    Args:
        session: Whose connection is used.
        schema: Where the log is.
    """

    def __init__(self, session: Session, schema: str) -> None:
        """Takes the session; nothing is sent. Never raises."""
        self.session = session
        self.schema = schema
        self.now = datetime.min.replace(tzinfo=UTC)
        self._statements = _statements(schema)
        self._token = str(uuid4())

    async def look(self) -> None:
        """Looks whom it speaks to, and at the server's clock.

        Raises:
            InvalidArgument: A pooler is in between, which shares sessions.
            PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
        """
        # What the server told when we connected; a pooler makes its own up.
        backend = self.session.connection.get_server_pid()
        [found] = await self.fetch("session", backend)
        if not found["direct"]:
            raise InvalidArgument("target", "leads to a pooler; give the server's own address")
        self.now = found["server_time"]

    async def standing(self) -> Standing:
        """How the maintenance stands. Raises as the driver does."""
        async with self.transaction():
            found = await self.fetch("standing", self._token)
        if not found:
            return Standing(False, None, None, None, timedelta())
        fields = aware_fields(found[0])
        tracked_since = fields.pop("tracked_since")
        behind = self.now - (fields["maintained_at"] or tracked_since)
        return Standing(**fields, behind=max(behind, timedelta()))

    async def take(self) -> Standing:
        """Takes it, if it is to be had; waits for nothing. Raises as the driver does."""
        holder = f"{socket.gethostname()} pid {os.getpid()}"[:_LONGEST_HOLDER]
        with contextlib.suppress(asyncpg.LockNotAvailableError):  # its holder is in a step
            await self.send(["begin", "lift", "take", "end"], {"holder": holder})
        return await self.standing()

    async def release(self, *, completed: bool, left: int | None) -> datetime | None:
        """Gives it back, also if we are cancelled; answers when a run was completed last.

        Raises as the driver does.

        Args:
            completed: Whether all is as it should be.
            left: The rows that stay in DEFAULT; None: as it was.
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
        """The rows that a statement answers, in so many seconds. Raises as the driver does."""
        sql = self._statements[name].sql
        return await self.session.connection.fetch(sql, *values, timeout=limit)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """What is asked inside the block has no limits, and names the log's own objects.

        Raises as the driver does.
        """
        await self.send(["begin", "lift"])
        try:
            yield
            await self.send(["end"])
        except BaseException:
            await self._roll_back()
            raise

    async def send(
        self, parts: Sequence[str], words: Mapping[str, str] | None = None, *, alone: bool = False
    ) -> None:
        """Scripts, all in one message: a client that stops in between would hold locks.

        Raises as the driver does; the transaction is rolled back then.

        Args:
            parts: Their names; "lift" lifts the limits of the session.
            words: What is filled in.
            alone: Send the statements one by one, as a cluster wants them.
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
        """Also if we are cancelled. Raises CancelledError only."""
        if not self.session.is_lost:
            sql = self._statements["rollback"].sql
            with contextlib.suppress(*DRIVER_ERRORS):
                await finished(self.session.connection.execute(sql, timeout=_QUICK_SECONDS))


async def finished(sent: Coroutine[Any, Any, Answer]) -> Answer:
    """Carried out to its end even if we are cancelled meanwhile. Raises what it raises."""
    task = asyncio.ensure_future(sent)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        # The connection is the caller's again.
        await asyncio.gather(task, return_exceptions=True)
        raise


@functools.cache
def _script(name: str) -> str:
    return (folder("sql") / "maintenance" / "step" / f"{name}.sql").read_text()


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "maintenance", _STATEMENTS, schema)
