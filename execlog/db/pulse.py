"""Has the server know that a transaction which waits is still in use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

from execlog.errors import driver_errors

if TYPE_CHECKING:
    import asyncpg

    from execlog.db.farewell import Farewell

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["Pulse"]

_BEAT_SECONDS = 0.1  # a round trip takes a thousandth of that

Answer = TypeVar("Answer")


class Pulse:
    """The connection of a stream, which is idle while rows of files are read.

    The server ends a transaction that is idle for longer than the role may be
    (`idle_in_transaction_session_timeout`). A statement without any text begins that time anew.
    Nothing is sent while the reader has a row in hand: one that stops is ended as before.

    Args:
        name: What is asked, for errors.
    """

    def __init__(self, name: str) -> None:
        """Takes the name; there is no connection yet. Never raises."""
        self._name = name
        self._connection: Connection | None = None
        self._farewell: Farewell | None = None
        self._last = 0.0

    def begin(self, connection: Connection, farewell: Farewell) -> None:
        """Takes the connection, in its transaction. Never raises.

        Args:
            connection: The connection.
            farewell: What listens to it.
        """
        self._connection, self._farewell = connection, farewell
        self._last = asyncio.get_running_loop().time()

    def end(self) -> None:
        """Leaves the connection alone from now on. Never raises."""
        self._connection = self._farewell = None

    async def beat(self) -> None:
        """Sends an empty statement, unless one was sent just now or the transaction has ended.

        Raises:
            StoreUnavailable: The server has ended it.
            QueryRejected: The server refuses.
        """
        now = asyncio.get_running_loop().time()
        connection, farewell = self._connection, self._farewell
        if connection is None or farewell is None or now - self._last < _BEAT_SECONDS:
            return
        with driver_errors(self._name):
            await farewell.ask()
            await connection.fetch("")
            farewell.rest()
        self._last = asyncio.get_running_loop().time()

    async def beside(self, work: Awaitable[Answer]) -> Answer:
        """The result of work that does not use the connection; meanwhile it beats.

        Args:
            work: The work; it is cancelled if the server has ended the transaction.

        Raises:
            StoreUnavailable: The server has ended it.
            QueryRejected: The server refuses.
        """
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_BEAT_SECONDS))[0]:
                await self.beat()
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
