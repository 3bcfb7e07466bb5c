"""Why the server ended a connection on which nothing was asked just then.

It says so before it hangs up: an operator ends it, a transaction was idle for too long, a standby
must remove what its snapshot still sees. asyncpg throws away what comes between two questions, and
later knows only that the connection is gone. So this reads along, and keeps what came after the
last answer, with which it may have come together.
"""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

__all__ = ["Farewell"]

_MOST_BYTES = 16 * 1024
_TURNS = 3
_ANSWERED = b"Z\0\0\0\5T"  # the end of an answer, in a transaction


class Farewell(asyncio.Protocol):
    """Stands before the driver's protocol, until `end`.

    Args:
        connection: A connection of asyncpg.
    """

    def __init__(self, connection: Any) -> None:
        """Takes its place. Never raises."""
        self._transport: asyncio.Transport = connection._transport
        self._driver: Any = self._transport.get_protocol()
        self._heard = b""
        self._quiet = False
        self._transport.set_protocol(self)

    def end(self) -> None:
        """Leaves the connection as it was. Never raises."""
        self._transport.set_protocol(self._driver)

    def rest(self) -> None:
        """From now on nothing is asked. Never raises."""
        self._heard, self._quiet = self._heard.rpartition(_ANSWERED)[2], True

    async def ask(self) -> None:
        """From now on something is asked.

        Raises:
            ConnectionDoesNotExistError: The server has said that it ends the connection; with the
                reason as cause.
        """
        # What lies in the socket is read when the event loop has its turn.
        for _ in range(_TURNS):
            await asyncio.sleep(0)
        self._quiet = False
        reason = _last_words(self._heard)
        if reason is not None:
            raise asyncpg.ConnectionDoesNotExistError("it was ended") from reason

    def data_received(self, data: bytes) -> None:
        """Reads along. Raises as the driver does."""
        if not self._quiet:
            self._heard = (self._heard + data[-_MOST_BYTES:])[-_MOST_BYTES:]
        elif len(self._heard) < _MOST_BYTES:
            self._heard += data
        self._driver.data_received(data)

    def eof_received(self) -> bool | None:
        """Hands it on. Raises as the driver does."""
        return bool(self._driver.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        """Hands it on. Raises as the driver does."""
        self._driver.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hands it on. Raises as the driver does."""
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        """Hands it on. Raises as the driver does."""
        self._driver.resume_writing()


def _last_words(data: bytes) -> asyncpg.PostgresError | None:
    """The error among the messages of the server, if there is one.

    Before it there may be notices and new values of settings.
    """
    while len(data) >= 5:
        kind, end = data[:1], 1 + int.from_bytes(data[1:5])
        if kind == b"E":
            fields = [part.decode(errors="replace") for part in data[5:end].split(b"\0") if part]
            return asyncpg.PostgresError.new({part[0]: part[1:] for part in fields})
        data = data[end:]
    return None
