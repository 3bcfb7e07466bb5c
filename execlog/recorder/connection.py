"""The connection that a recorder writes through: its own, or one that a pool lends for a batch.

    async with link.connection() as connection:
        ...

Whatever goes wrong inside the block ends the connection at once, without a word to the server: a
server that is frozen would not answer it.
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
    """Where connections come from, one at a time."""

    def connection(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """A connection for the block. Raises whatever the driver does; no limit of time."""

    async def renew(self) -> None:
        """The server has become another one: what is connected now is of no use. Never raises."""

    def close(self) -> None:
        """Ends a connection of our own at once. Never raises."""

    def target(self) -> Target | None:
        """The DSN or the pool; None where there is none any more. Never raises."""

    def abandon(self) -> Link:
        """A link to the same target for a forked child, whose parent's goes on. Never raises."""


def link_to(target: object) -> Link:
    """The link to a DSN or a pool.

    Raises:
        InvalidArgument: `target` is neither, or no DSN that can be used.
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
        # Of several hosts the one that can be written to, also after a failover.
        self._connect = Connector(dsn, "target", writes=True)
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        if self._connection is None or self._connection.is_closed():
            # No names on the server: behind a pooler the next one would not know them.
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
                # Its event loop is closed. The server must hear of it all the same, or the
                # transaction that was under way goes on holding what the next try needs.
                with contextlib.suppress(Exception):
                    opened = connection._transport.get_extra_info("socket")  # type: ignore[attr-defined]
                    with socket.socket(fileno=os.dup(opened.fileno())) as same:
                        same.shutdown(socket.SHUT_RDWR)

    def target(self) -> Target | None:
        return self._dsn

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

    def abandon(self) -> Link:
        return _Orphaned()


class _Orphaned:
    """What a forked child has of its parent's pool: nothing, its sockets are the parent's."""

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        problem = "is a pool of the parent process: a recorder that is forked needs a DSN"
        raise InvalidArgument("target", problem)
        yield

    async def renew(self) -> None:
        """Nothing can be renewed."""

    def close(self) -> None:
        """Nothing is open."""

    def target(self) -> Target | None:
        return None

    def abandon(self) -> Link:
        return self
