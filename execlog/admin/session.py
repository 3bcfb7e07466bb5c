"""A connection to a target for long work, which is replaced if it is lost."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING

import asyncpg

from execlog.db import session_limits
from execlog.db.connections import connection_to

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = ["DRIVER_ERRORS", "Session"]

DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    EOFError,
    TimeoutError,
)
"""What asyncpg raises if the server refuses or can't be reached."""

# A server that restarts after a crash of a process is back within seconds.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0)


class Session:
    """One connection at a time, to a DSN, a Connection or a Pool.

    Args:
        target: The target.
    """

    def __init__(self, target: Target) -> None:
        """Takes the target; nothing is opened yet. Never raises."""
        self._target = target
        self._stack = contextlib.AsyncExitStack()
        self._connection: Connection | None = None

    @property
    def connection(self) -> Connection:
        """The connection. Raises InterfaceError: there is none."""
        if self._connection is None:
            raise asyncpg.InterfaceError("the connection was lost")
        return self._connection

    @property
    def is_lost(self) -> bool:
        """Whether the connection is closed. Never raises."""
        try:
            return self.connection.is_closed()
        except asyncpg.InterfaceError:  # its pool has taken it back
            return True

    @property
    def is_renewable(self) -> bool:
        """Whether the target can give another connection. Never raises."""
        return isinstance(self._target, str | asyncpg.Pool)

    async def renew(self) -> None:
        """Opens another connection in place of one that was lost; tries for some seconds.

        Raises:
            InvalidArgument: The target is no longer a valid connection string.
            PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
        """
        for pause in _PAUSES:
            try:
                await self.reopen()
            except DRIVER_ERRORS:
                await asyncio.sleep(pause)
            else:
                return
        await self.reopen()

    async def reopen(self) -> None:
        """The same, tried once. Raises: see `renew`."""
        await self._close()
        await self._open()
        # A pool may hand out a lost connection too.
        await session_limits.held(self.connection)

    async def _open(self) -> None:
        self._connection = await self._stack.enter_async_context(connection_to(self._target))

    async def _close(self) -> None:
        self._connection = None
        with contextlib.suppress(*DRIVER_ERRORS):
            await self._stack.aclose()

    async def __aenter__(self) -> Session:
        """Opens the connection. Raises as the driver does."""
        await self._open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes or releases the connection. Never raises what the driver raises."""
        await self._close()
