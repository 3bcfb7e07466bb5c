"""Applies, checks and prints the migrations: plain SQL files, in order, each exactly once.

Each file and the record of it are one transaction, under a lock on the table of these records, so
any number of processes may migrate at once: one applies, the others wait and find nothing left to
do. (The first file, which makes that table, is under an advisory lock.) What it sends finds names
in pg_catalog alone and runs as the log's owner: a superuser may apply it where others may make
functions, and nothing of the log becomes the superuser's.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import asyncpg

from execlog.admin import portable
from execlog.db import session_limits, validation
from execlog.db.connections import LONGEST_SECONDS, connection_to
from execlog.db.files import folder
from execlog.db.migration_files import Migration, load, script, sent
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.db.statements import Statement, load_statements
from execlog.errors import (
    InvalidArgument,
    MigrationError,
    StoreUnavailable,
    driver_errors,
)

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = ["check_migrations", "dump_migrations", "migrate"]

_QUICK_SECONDS = 30.0  # for what takes a millisecond on a server that is well
_STATEMENTS = frozenset(
    {"applied", "become_owner", "is_there", "limit_lock_wait", "lock", "lock_history", "record"}
)
# An object of this name is there: table, schema, column, function, anything else.
_THERE = frozenset({"42P07", "42P06", "42701", "42723", "42710"})
_NO_RIGHT = "42501"
_REMEDY = (
    "if the objects of a migration are there and its record is not, restore the rows of"
    " schema_migration, or insert those that `execlog migrate --sql` prints for it"
)


async def migrate(
    target: Target,
    *,
    lock_timeout: float = 10.0,
    wait_timeout: float = 60.0,
    rollups: bool | None = None,
    schema: str = SCHEMA,
) -> list[str]:
    """Brings the database up to date and answers the names applied now, in order.

    Args:
        target: A DSN, a Connection or a Pool.
        lock_timeout: Seconds to wait for a lock on a table before giving up: while a migration
            waits for one, everybody else waits behind it.
        wait_timeout: Seconds to wait for another process that migrates.
        rollups: Whether rows are added to rollups as they are stored; None: as it is, and a new log
            does. Without them all is read from rows. What they tell of rows that are gone is lost
            when they are switched off; when on again, `rebuild_rollups` makes them.
        schema: Where the log is to be; it is made where it is missing.

    Raises:
        InvalidArgument: `target` is none of the three, a timeout is no positive number, `rollups`
            is no bool, or `schema` can't be a name.
        QueryRejected: Rollups can't be switched on, for example on a cluster.
        MigrationError: A file failed, was changed after it was applied, or is not known here; or
            there is a log without a record of its migrations. What was applied before it stays.
        StoreUnavailable: The server is away, or a lock was not to be had in time.
        QueryFileError: The install lacks the migrations.
    """
    lock = validation.server_timeout("lock_timeout", lock_timeout)
    wait = validation.server_timeout("wait_timeout", wait_timeout)
    where = validation.schema(schema)
    wanted = None if rollups is None else validation.flag("rollups", rollups)
    files = load()
    applied_now = []
    with driver_errors("migrate"):
        async with connection_to(target) as connection:
            allow = filled(script("let_owner_create"), where)
            await connection.execute(allow, timeout=_QUICK_SECONDS)
            applied = await _history(connection, where)
            _compare(files, applied)
            for file in files:
                if file.name not in applied and await _apply(connection, file, where, lock, wait):
                    applied_now.append(file.name)
            if wanted is not None:
                await _switch(connection, where, lock, enabled=wanted)
    return applied_now


async def check_migrations(target: Target, *, schema: str = SCHEMA) -> list[str]:
    """The names that `migrate` would apply; an empty list says that all is well. Changes nothing.

    Args:
        target: A DSN, a Connection or a Pool.
        schema: Where the log is.

    Raises:
        InvalidArgument: `target` is none of the three, or `schema` can't be a name.
        MigrationError: A file was changed after it was applied, or is not known here; or there is
            a log without a record of its migrations.
        StoreUnavailable: The server is away.
        QueryFileError: The install lacks the migrations.
    """
    where = validation.schema(schema)
    files = load()
    with driver_errors("check"):
        async with connection_to(target, writes=False) as connection:
            applied = await _history(connection, where)
    _compare(files, applied)
    return [file.name for file in files if file.name not in applied]


def dump_migrations(
    *, after: str | None = None, until: str | None = None, schema: str = SCHEMA
) -> list[str]:
    """The migrations as single statements, records included, for Alembic, Flyway or psql.

    Each can be sent by itself, prepared or not, and holds neither `%` nor `:word`, which some tools
    take for placeholders. Run all of them in one transaction: the first two have names looked up
    in pg_catalog alone and what follows done as the log's owner, the last one puts both back. With
    a transaction for each they make the same, without that care.

    Args:
        after: The last migration that the database has; None: it has none.
        until: The last migration that it is to have; None: the last one of this install.
        schema: Where the log is to be.

    Raises:
        InvalidArgument: `schema` can't be a name, there is no such migration, or `until` comes
            before `after`.
        MigrationError: The files' numbers have a gap.
        QueryFileError: The install lacks the migrations.
    """
    where = validation.schema(schema)
    files = load()
    begin = 0 if after is None else _position("after", after, files) + 1
    end = len(files) if until is None else _position("until", until, files) + 1
    if end < begin:
        raise InvalidArgument("until", f"{until!r} comes before {after!r}")
    if end == begin:
        return []
    scripts = [filled(script("let_owner_create"), where), _pin(where)]
    for file in files[begin:end]:
        commented = f"-- migrations/{file.name}.sql\n\n{sent(file)}"
        scripts += [filled(text, where) for text in (commented, _record(file))]
    scripts.append(script("unpin"))
    return [statement for text in scripts for statement in portable.statements(text)]


def _position(argument: str, name: object, files: Sequence[Migration]) -> int:
    names = [file.name for file in files]
    wanted = validation.name(argument, name)
    if wanted not in names:
        raise InvalidArgument(argument, f"{wanted!r} is no migration; the last is {names[-1]}")
    return names.index(wanted)


def _record(file: Migration) -> str:
    """The record of a file, with values in the place of the parameters: neither holds a quote."""
    record = _statements(SCHEMA)["record"].sql
    for parameter, value in (("$1::text", file.name), ("$2::text", file.checksum)):
        record = record.replace(parameter, f"'{value}'")
    return record[record.index("insert into ") :]


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "schema", _STATEMENTS, schema)


async def _switch(connection: Connection, schema: str, lock: str, *, enabled: bool) -> None:
    """Has rollups kept from now on, or not any more."""
    steps = script(f"{'enable' if enabled else 'disable'}_rollups")
    async with connection.transaction(), _settings(connection, schema):
        await _limit(connection, schema, lock)
        for sql in pieces(steps):
            await connection.execute(filled(sql, schema), timeout=LONGEST_SECONDS)


@contextlib.asynccontextmanager
async def _settings(connection: Connection, schema: str) -> AsyncIterator[None]:
    """Nothing ends what is long, and as `pin` says, until the block ends."""
    kept = await session_limits.held(connection)
    await session_limits.lift(connection)
    await connection.execute(_pin(schema), timeout=_QUICK_SECONDS)
    yield
    # The transaction may be the caller's, and goes on.
    await session_limits.put_back(connection, kept)
    await connection.execute(script("unpin"), timeout=_QUICK_SECONDS)


def _pin(schema: str) -> str:
    become_owner = _statements(schema)["become_owner"].sql
    return filled(script("pin"), schema, {"become_owner": become_owner})


async def _limit(connection: Connection, schema: str, wait: str) -> None:
    sql = _statements(schema)["limit_lock_wait"].sql
    await connection.fetch(sql, wait, timeout=_QUICK_SECONDS)


async def _history(connection: Connection, schema: str) -> dict[str, str]:
    """As `_applied`. Raises MigrationError where there is a log, and no record of it."""
    statements = _statements(schema)
    transaction = connection.transaction(isolation=_read_committed(connection))
    await transaction.start()
    try:
        await connection.fetch(statements["become_owner"].sql, timeout=_QUICK_SECONDS)
        # In this order: a log and its record come in one transaction, maybe in between.
        is_there = await connection.fetchval(statements["is_there"].sql, timeout=_QUICK_SECONDS)
        applied = await _applied(connection, schema)
    finally:
        await transaction.rollback()  # a transaction of the caller's goes on as who it was
    if is_there and not applied:
        raise MigrationError(f"there is a log, and no record of its migrations: {_REMEDY}")
    return applied


def _read_committed(connection: Connection) -> Literal["read_committed"] | None:
    """The isolation in which each statement sees what others have committed before it."""
    return None if connection.is_in_transaction() else "read_committed"


async def _applied(connection: Connection, schema: str) -> dict[str, str]:
    """Names and checksums of what the database has; empty where it was never migrated."""
    try:
        # A transaction of its own: a missing table must not end the caller's.
        async with connection.transaction():
            sql = _statements(schema)["applied"].sql
            found = await connection.fetch(sql, timeout=_QUICK_SECONDS)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return {}
    return {record["name"]: record["checksum"] for record in found}


def _compare(files: Sequence[Migration], applied: Mapping[str, str]) -> None:
    """Raises MigrationError where the database's history is not the beginning of the files'."""
    known = {file.name: file for file in files}
    missing = [file.name for file in files if file.name not in applied]
    if missing and max(known.keys() & applied.keys(), default="") > missing[0]:
        text = f"{missing[0]} was left out where later ones were applied; {_REMEDY}"
        raise MigrationError(text)
    for name, checksum in applied.items():
        if name not in known:
            # A later version migrated already, and this one is about to be replaced: fine.
            if name > files[-1].name:
                continue
            raise MigrationError(f"{name} was applied to this database and is not in this install")
        if checksum != known[name].checksum:
            raise MigrationError(f"{name} was changed after it was applied to this database")


async def _apply(
    connection: Connection, file: Migration, schema: str, lock: str, wait: str
) -> bool:
    """Applies one file and its record in one transaction; False where another process has."""
    statements = _statements(schema)
    # The first file makes the table of the others' lock.
    alone = statements["lock" if file.name.startswith("0001_") else "lock_history"].sql
    # Read committed: after the wait for the lock, the next statement must see the other's record.
    isolation = _read_committed(connection)
    try:
        async with connection.transaction(isolation=isolation), _settings(connection, schema):
            await _limit(connection, schema, wait)
            await connection.execute(alone)
            applied = file.name in await _applied(connection, schema)
            if not applied:
                await _limit(connection, schema, lock)
                # One by one: Citus passes them on to its machines so.
                for statement in pieces(sent(file)):
                    await connection.execute(filled(statement, schema))
                await connection.fetch(statements["record"].sql, file.name, file.checksum)
    except asyncpg.LockNotAvailableError as error:
        text = f"{file.name}: a lock was not to be had in time; nothing of it was applied"
        raise StoreUnavailable(text, error.sqlstate) from error
    except (asyncpg.SyntaxOrAccessError, asyncpg.PLPGSQLError) as error:
        text = f"{file.name}: failed ({error.sqlstate}); nothing of it was applied"
        if error.sqlstate in _THERE:
            text += f"; {_REMEDY}"
        elif error.sqlstate == _NO_RIGHT:
            text += "; the owner of schema_migration makes it, and needs CREATE on its schema"
        raise MigrationError(text, error.sqlstate) from error
    return not applied
