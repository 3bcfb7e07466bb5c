"""Sends rows by COPY."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from execlog.db.copy_format import NULL
from execlog.db.statements import Statement

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    Connection = asyncpg.pool.PoolConnectionProxy[asyncpg.Record]

__all__ = ["copy", "in_pieces"]

_LARGEST_MESSAGE = 1024 * 1024


async def copy(
    connection: Connection, statement: Statement, lines: Iterable[bytes], seconds: float
) -> None:
    """Stores rows by a COPY statement, all or none.

    Args:
        connection: A connection of a pool.
        statement: The statement.
        lines: The rows, in the text format of COPY.
        seconds: How long it may take.

    Raises:
        PostgresError: The server refuses.
        OSError: The connection is lost, or it takes too long.
    """
    schema, table, columns = statement.copy_target()
    await connection.copy_to_table(
        table,
        schema_name=schema,
        columns=columns,
        source=in_pieces(lines),
        format="text",
        null=NULL,
        timeout=seconds,
    )


async def in_pieces(texts: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Texts for COPY as messages of a megabyte at most: the server refuses one of a gigabyte.

    A message is made while the server stores the one before it. Never raises.
    """
    for text in texts:
        for begin in range(0, len(text), _LARGEST_MESSAGE):
            yield text[begin : begin + _LARGEST_MESSAGE]
