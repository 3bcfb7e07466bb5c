"""The session's time limits, which long work lifts, whether role, database or server set them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.db.statements import Statement, load_statements

if TYPE_CHECKING:
    from execlog.db.connections import Connection

__all__ = ["held", "lift", "lifting", "put_back"]

_QUICK_SECONDS = 30.0
_SINCE = {"transaction_timeout": 17}
"""Limits that not all servers have, and the version that introduced each."""


def lifting(connection: Connection, *, session: bool = False) -> str:
    """The SQL that lifts all time limits of the server's version.

    Args:
        connection: A connection to that server.
        session: Lift them for the session, not for the transaction only.

    Raises:
        InterfaceError: The connection was given back to its pool.
    """
    version = connection.get_server_version().major
    known = [
        piece
        for piece in pieces(_script())
        if not any(name in piece and version < since for name, since in _SINCE.items())
    ]
    scope = "session" if session else "local"
    return filled(";\n\n".join(known), SCHEMA, {"scope": scope})


async def held(connection: Connection) -> Mapping[str, str]:
    """The present limits, for `put_back`. Raises as the driver does.

    Args:
        connection: The connection.
    """
    found = await connection.fetch(_statements()["limits"].sql, timeout=_QUICK_SECONDS)
    return {record["name"]: record["value"] for record in found}


async def lift(connection: Connection, *, session: bool = False) -> None:
    """Lifts the limits until the transaction ends. Raises as the driver does.

    Args:
        connection: A connection in a transaction.
        session: Lift them for the session; it need not be in a transaction.
    """
    await connection.execute(lifting(connection, session=session), timeout=_QUICK_SECONDS)


async def put_back(
    connection: Connection, limits: Mapping[str, str], *, session: bool = False
) -> None:
    """Restores what `held` returned; the transaction goes on. Raises as the driver does.

    Args:
        connection: The connection.
        limits: The result of `held`.
        session: The same as for `lift`.
    """
    sql = _statements()["put_back"].sql
    names, values = list(limits), list(limits.values())
    await connection.fetch(sql, names, values, not session, timeout=_QUICK_SECONDS)


@functools.cache
def _script() -> str:
    return (folder("sql") / "session" / "step" / "lift.sql").read_text()


@functools.cache
def _statements() -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "session", {"limits", "put_back"})
