"""Keeps the reason for which the server ended an idle connection.

The server sends it before it hangs up: an operator ended the session, a transaction was idle for
too long, a standby must remove rows that the snapshot still sees. asyncpg discards messages between
two queries, and later knows only that the connection is gone. So this protocol reads along, and
keeps what follows the last answer, even in the same packet.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

__all__ = ["Farewell"]

_MOST_BYTES = 16 * 1024
_TURNS = 3
_ANSWERED = b"Z\0\0\0\5T"  # ReadyForQuery, in a transaction


class Farewell(asyncio.Protocol):
    """A protocol in front of the driver's, until `end`.

    Args:
        connection: A connection of asyncpg.
    """

    def __init__(self, connection: Any) -> None:
        """Takes the place of the driver's protocol. Never raises."""
        self._transport: asyncio.Transport = connection._transport
        self._driver: Any = self._transport.get_protocol()
        self._heard = b""
        self._quiet = False
        self._transport.set_protocol(self)

    def end(self) -> None:
        """Puts the driver's protocol back. Never raises."""
        self._transport.set_protocol(self._driver)

    def rest(self) -> None:
        """Marks the connection as idle. Never raises."""
        self._heard, self._quiet = self._heard.rpartition(_ANSWERED)[2], True

    async def ask(self) -> None:
        """Marks the connection as in use; call it before a query.

        Raises:
            ConnectionDoesNotExistError: The server ended the connection; its reason is the
                cause.
        """
        # The event loop needs a turn to read what the socket holds.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._quiet = False
        reason = _last_words(self._heard)
        if reason is not None:
            raise asyncpg.ConnectionDoesNotExistError("it was ended") from reason

    def data_received(self, data: bytes) -> None:
        """Passes it on, and keeps what comes while the connection is idle. Raises as the driver."""
        if not self._quiet:
            self._heard = (self._heard + data[-_MOST_BYTES:])[-_MOST_BYTES:]
        elif len(self._heard) < _MOST_BYTES:
            self._heard += data
        self._driver.data_received(data)

    def eof_received(self) -> bool | None:
        """Passes it on. Raises as the driver does."""
        return bool(self._driver.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Passes it on. Raises as the driver does."""
        self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """Passes it on. Raises as the driver does."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Passes it on. Raises as the driver does."""
        self._driver.resume_writing()


def _last_words(data: bytes) -> asyncpg.PostgresError | None:
    """The error among the server's messages, if there is one.

    Notices and new values of settings may precede it.
    """
    while len(data) >= 5:
        kind, end = data[:1], 1 + int.from_bytes(data[1:5])
        if kind == b"E":
            fields = [part.decode(errors="replace") for part in data[5:end].split(b"\0") if part]
            return asyncpg.PostgresError.new({part[0]: part[1:] for part in fields})
        data = data[end:]
    return None
