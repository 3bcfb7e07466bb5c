"""The connection that a recorder writes through: its own, or one that a pool lends for a batch.

    async with link.connection() as connection:
        ...

Any error inside the block closes the connection at once, without a message to the server: a frozen
server would not answer it.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Protocol

import asyncpg

from execlog.db import validation
from execlog.db.connect import Connector
from execlog.errors import InvalidArgument

if TYPE_CHECKING:
    Pool = asyncpg.Pool[asyncpg.Record]
    Connection = (
        asyncpg.Connection[asyncpg.Record] | asyncpg.pool.PoolConnectionProxy[asyncpg.Record]
    )
    Target = str | Pool

__all__ = ["Link", "link_to"]

_RELEASE_SECONDS = 1.0


class Link(Protocol):
    """The source of connections, one at a time."""

    def connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for the block. Raises what the driver raises; no time limit."""

    async def renew(self) -> None:
        """Closes what is connected: the server's role has changed. Never raises."""

    def close(self) -> None:
        """Closes a connection of our own at once. Never raises."""

    def target(self) -> Target | None:
        """The DSN or the pool; None if there is none any more. Never raises."""

    def is_shared(self) -> bool:
        """Whether it is a pool, which can be used in its own event loop only. Never raises."""

    def abandon(self) -> Link:
        """A link to the same target for a forked child; the parent's stays open. Never raises."""


def link_to(target: object) -> Link:
    """The link to a DSN or a pool.

    Raises:
        InvalidArgument: `target` is neither, or a DSN that can't be used.
    """
    if isinstance(target, asyncpg.Pool):
        return _Borrowed(target)
    if not isinstance(target, str):
        raise InvalidArgument("target", validation.must_be("a DSN or a Pool", target))
    return _Owned(target)


class _Owned:
    """A connection of our own, kept from batch to batch."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        # Of several hosts the one that takes writes, also after a failover.
        self._connect = Connector(dsn, "target", writes=True)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if self._connection is None or self._connection.is_closed():
            # No named statements: behind a pooler the next server would not know them.
            self._connection = await self._connect(statement_cache_size=0)
        try:
            yield self._connection
        except BaseException:
            self.close()
            raise

    async def renew(self) -> None:
        self.close()

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.terminate()
            except RuntimeError:
                # Its event loop is closed. The server must notice all the same, or the open
                # transaction keeps the locks that the next try needs.
                with contextlib.suppress(Exception):
                    opened = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
                    with socket.socket(fileno=os.dup(opened.fileno())) as same:
                        same.shutdown(socket.SHUT_RDWR)

    def target(self) -> Target | None:
        return self._dsn

    def is_shared(self) -> bool:
        return False

    def abandon(self) -> Link:
        return _Owned(self._dsn)


class _Borrowed:
    """One connection of a caller's pool for each batch."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await self._pool.acquire()
        try:
            yield connection
        except BaseException:
            connection.terminate()
            raise
        finally:
            with contextlib.suppress(Exception):
                await self._pool.release(connection, timeout=_RELEASE_SECONDS)

    async def renew(self) -> None:
        with contextlib.suppress(Exception):
            await self._pool.expire_connections()

    def close(self) -> None:
        """Nothing is held between batches."""

    def target(self) -> Target | None:
        return self._pool

    def is_shared(self) -> bool:
        return True

    def abandon(self) -> Link:
        return _Orphaned()


class _Orphaned:
    """What a forked child has in place of its parent's pool, whose sockets are the parent's."""

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        problem = "is a pool of the parent process: a forked recorder needs a DSN"
        raise InvalidArgument("target", problem)
        yield

    async def renew(self) -> None:
        """Nothing can be renewed."""

    def close(self) -> None:
        """Nothing is open."""

    def target(self) -> Target | None:
        return None

    def is_shared(self) -> bool:
        return False

    def abandon(self) -> Link:
        return self
