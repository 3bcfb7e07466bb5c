"""Finds a table of another program in the catalogue: its columns, their types, its key."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from execlog.db import validation
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA
from execlog.db.statements import Statement, load_statements
from execlog.display.format import shown
from execlog.errors import NOT_SUPPORTED, InvalidArgument, driver_errors
from execlog.moving.reading import reading

if TYPE_CHECKING:
    from execlog.db.connections import Connection

    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["Field", "Table", "check_zone", "find_table", "is_cluster", "moving_statements"]

_SECONDS = 60.0
# No name as SQL reads it: a syntax error, an invalid name, a name of another database.
_NO_NAME = frozenset({"42601", "42602", NOT_SUPPORTED})
_FORMS = {
    **dict.fromkeys(("int2", "int4", "int8"), "whole"),
    **dict.fromkeys(("float4", "float8"), "real"),
    **dict.fromkeys(("timestamp", "date"), "local"),
    "numeric": "numeric",
    "timestamptz": "time",
    "bool": "flag",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "jsonb",
    "interval": "interval",
}


class Field(NamedTuple):
    """A column of the table.

    Attributes:
        name: Its name.
        quoted: The name as an identifier of SQL, quoted by the server.
        type: Its type, as the server writes it.
        form: How its values are read: the forms of `sql/moving/step/values.sql`.
        is_ordered: Whether the server's own operators order it. (Those of an extension are not
            in the search_path; as a key, such a column is ordered by its text.)
    """

    name: str
    quoted: str
    type: str
    form: str
    is_ordered: bool = True


@dataclass(frozen=True)
class Table:
    """A table of another program.

    Attributes:
        schema_name: The name of its schema.
        table_name: Its name.
        quoted: Both as identifiers of SQL, quoted by the server.
        estimated_rows: The server's estimate; None if it has none.
        fields: The columns, in their order.
        key: The columns that tell rows apart, in the order of their index; empty if there are none.
    """

    schema_name: str
    table_name: str
    quoted: str
    estimated_rows: float | None
    fields: tuple[Field, ...]
    key: tuple[Field, ...]


async def find_table(pool: Pool, name: str, argument: str = "--from-table") -> Table:
    """The table of this name, as SQL reads it, or else exactly.

    Args:
        pool: A pool of the table's database.
        name: The name, with or without its schema's.
        argument: The name of the argument, for errors.

    Raises:
        InvalidArgument: There is no such table, or several.
        ExeclogError: The server is away or refuses.
    """
    asked = validation.name(argument, name)
    with driver_errors("import"):
        async with pool.acquire() as connection:
            number = await _resolved(connection, asked, argument)
    async with reading(pool) as connection:  # which names types as its statements will
        [found] = await _fetch(connection, "table", id=number)
        if not found["is_table"]:
            raise InvalidArgument(argument, f"{shown(asked)} is not a table")
        records = await _fetch(connection, "fields", id=number)
    fields = [(_field(record), record["key_place"]) for record in records]
    key = sorted((place, field) for field, place in fields if place is not None)
    return Table(
        found["schema_name"],
        found["table_name"],
        found["quoted"],
        found["estimated_rows"],
        tuple(field for field, _ in fields),
        tuple(field for _, field in key),
    )


async def check_zone(pool: Pool, zone: str, argument: str = "--time-zone") -> None:
    """Checks that the server knows a time zone.

    Args:
        pool: A pool of the table's database.
        zone: The name of the zone.
        argument: The name of the argument, for errors.

    Raises:
        InvalidArgument: It does not.
        ExeclogError: The server is away or refuses.
    """
    with driver_errors("import"):
        try:
            async with pool.acquire() as connection:
                await _fetch(connection, "zone", zone=validation.name(argument, zone))
        except asyncpg.DataError:
            raise InvalidArgument(argument, f"the server knows no {shown(zone)}") from None


async def is_cluster(pool: Pool) -> bool:
    """Whether the server may spread the log over machines. Raises ExeclogError: it is away.

    Args:
        pool: A pool of the log.
    """
    known = load_statements(folder("sql") / "cluster", {"is_cluster", "sizes"})
    with driver_errors("import"):
        async with pool.acquire() as connection:
            return bool(await connection.fetchval(known["is_cluster"].sql, timeout=_SECONDS))


@functools.cache
def moving_statements(schema: str) -> Mapping[str, Statement]:
    """The statements of `sql/moving`. Raises QueryFileError: a file is missing or malformed.

    Args:
        schema: The schema of the log.
    """
    names = {"resolve", "resolve_exactly", "table", "fields", "zone", "known"}
    return load_statements(folder("sql") / "moving", names, schema)


async def _resolved(connection: Connection, name: str, argument: str) -> int:
    """The number of the table. Raises InvalidArgument: there is none, or there are several."""
    try:
        [found] = await _fetch(connection, "resolve", name=name)
    except asyncpg.PostgresError as error:
        if error.sqlstate not in _NO_NAME:
            raise
    else:
        if found["id"] is not None:
            number: int = found["id"]
            return number
    exactly = [record["id"] for record in await _fetch(connection, "resolve_exactly", name=name)]
    if not exactly:
        raise InvalidArgument(argument, f"there is no table {shown(name)} in this database")
    if len(exactly) > 1:
        raise InvalidArgument(argument, f"several tables are called {shown(name)}: quote the names")
    return int(exactly[0])


def _field(record: asyncpg.Record) -> Field:
    form = "array" if record["category"] == "A" else _FORMS.get(record["base"], "text")
    is_ordered = record["base"] is not None or record["category"] == "E"
    return Field(record["name"], record["quoted"], record["type"], form, is_ordered)


async def _fetch(connection: Connection, which: str, **values: object) -> list[asyncpg.Record]:
    query = moving_statements(SCHEMA)[which].query(**values)
    return await connection.fetch(query.sql, *query.values, timeout=_SECONDS)
