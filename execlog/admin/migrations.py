"""Applies, checks and prints the migrations: plain SQL files, in order, each exactly once.

Each file and its record are one transaction, under a lock on the table of these records, so any
number of processes may migrate at once: one applies, the others wait and find nothing left to do.
(The first file, which makes that table, is under an advisory lock.) The statements find names in
pg_catalog only and run as the log's owner: a superuser may migrate a database in which others may
make functions, and no object of the log becomes the superuser's.
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
    NO_RIGHT,
    InvalidArgument,
    MigrationError,
    StoreUnavailable,
    driver_errors,
)

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = ["check_migrations", "dump_migrations", "migrate"]

_QUICK_SECONDS = 30.0  # for statements that take a millisecond on a healthy server
_STATEMENTS = frozenset(
    {"applied", "become_owner", "is_there", "limit_lock_wait", "lock", "lock_history", "record"}
)
# An object of this name exists: table, schema, column, function, anything else.
_THERE = frozenset({"42P07", "42P06", "42701", "42723", "42710"})
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
    """Brings the database up to date and returns the names applied now, in order.

    Args:
        target: A DSN, a Connection or a Pool.
        lock_timeout: Seconds to wait for a lock on a table: while a migration waits for one, all
            other sessions wait behind it.
        wait_timeout: Seconds to wait for another process that migrates.
        rollups: Whether rows are added to rollups as they are stored; None: unchanged, and True for
            a new log. Without rollups everything is read from rows. Switching them off loses what
            they hold of removed rows; after switching them on, `rebuild_rollups` makes them.
        schema: The schema of the log; it is made if it is missing.

    Raises:
        InvalidArgument: `target` is none of the three, a timeout is no positive number, `rollups`
            is no bool, or `schema` can't be a name.
        QueryRejected: Rollups can't be switched on, for example on a cluster.
        MigrationError: A file failed, was changed after it was applied, or is unknown here; or
            there is a log without a record of its migrations. Earlier files stay applied.
        StoreUnavailable: The server is away, or a lock was not obtained in time.
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
    """The names that `migrate` would apply; empty if the database is up to date. Changes nothing.

    Args:
        target: A DSN, a Connection or a Pool.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `target` is none of the three, or `schema` can't be a name.
        MigrationError: A file was changed after it was applied, or is unknown here; or there is
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
    read as placeholders. Run all of them in one transaction: the first two restrict the search of
    names to pg_catalog and switch to the log's owner, the last one undoes both. With a transaction
    for each statement the result is the same, without that protection.

    Args:
        after: The last migration that the database has; None: it has none.
        until: The last migration to print; None: the last one of this install.
        schema: The schema of the log.

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
    """The record of a file, with values in place of parameters: neither value holds a quote."""
    record = _statements(SCHEMA)["record"].sql
    for parameter, value in (("$1::text", file.name), ("$2::text", file.checksum)):
        record = record.replace(parameter, f"'{value}'")
    return record[record.index("insert into ") :]


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "schema", _STATEMENTS, schema)


async def _switch(connection: Connection, schema: str, lock: str, *, enabled: bool) -> None:
    """Switches rollups on or off."""
    steps = script(f"{'enable' if enabled else 'disable'}_rollups")
    async with connection.transaction(), _settings(connection, schema):
        await _limit(connection, schema, lock)
        for sql in pieces(steps):
            await connection.execute(filled(sql, schema), timeout=LONGEST_SECONDS)


@contextlib.asynccontextmanager
async def _settings(connection: Connection, schema: str) -> AsyncIterator[None]:
    """Lifts time limits and applies `pin`, until the block ends."""
    kept = await session_limits.held(connection)
    await session_limits.lift(connection)
    await connection.execute(_pin(schema), timeout=_QUICK_SECONDS)
    yield
    # The transaction may be the caller's, and then continues.
    await session_limits.put_back(connection, kept)
    await connection.execute(script("unpin"), timeout=_QUICK_SECONDS)


def _pin(schema: str) -> str:
    become_owner = _statements(schema)["become_owner"].sql
    return filled(script("pin"), schema, {"become_owner": become_owner})


async def _limit(connection: Connection, schema: str, wait: str) -> None:
    sql = _statements(schema)["limit_lock_wait"].sql
    await connection.fetch(sql, wait, timeout=_QUICK_SECONDS)


async def _history(connection: Connection, schema: str) -> dict[str, str]:
    """The same as `_applied`. Raises MigrationError: there is a log without a record of it."""
    statements = _statements(schema)
    transaction = connection.transaction(isolation=_read_committed(connection))
    await transaction.start()
    try:
        await connection.fetch(statements["become_owner"].sql, timeout=_QUICK_SECONDS)
        # In this order: another process may make the log and its record in between.
        is_there = await connection.fetchval(statements["is_there"].sql, timeout=_QUICK_SECONDS)
        applied = await _applied(connection, schema)
    finally:
        await transaction.rollback()  # the caller's transaction continues as its own role
    if is_there and not applied:
        raise MigrationError(f"there is a log, and no record of its migrations: {_REMEDY}")
    return applied


def _read_committed(connection: Connection) -> Literal["read_committed"] | None:
    """The isolation in which each statement sees what others committed before it."""
    return None if connection.is_in_transaction() else "read_committed"


async def _applied(connection: Connection, schema: str) -> dict[str, str]:
    """Names and checksums of what the database has; empty if it was never migrated."""
    try:
        # A savepoint: a missing table must not abort the caller's transaction.
        async with connection.transaction():
            sql = _statements(schema)["applied"].sql
            found = await connection.fetch(sql, timeout=_QUICK_SECONDS)
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        return {}
    return {record["name"]: record["checksum"] for record in found}


def _compare(files: Sequence[Migration], applied: Mapping[str, str]) -> None:
    """Checks that the history is a prefix of the files. Raises MigrationError: it is not."""
    known = {file.name: file for file in files}
    missing = [file.name for file in files if file.name not in applied]
    if missing and max(known.keys() & applied.keys(), default="") > missing[0]:
        text = f"{missing[0]} was left out although later ones were applied; {_REMEDY}"
        raise MigrationError(text)
    for name, checksum in applied.items():
        if name not in known:
            # A later version has migrated, and this process is about to be replaced: fine.
            if name > files[-1].name:
                continue
            raise MigrationError(f"{name} was applied to this database and is not in this install")
        if checksum != known[name].checksum:
            raise MigrationError(f"{name} was changed after it was applied to this database")


async def _apply(
    connection: Connection, file: Migration, schema: str, lock: str, wait: str
) -> bool:
    """Applies one file and its record in one transaction; False if another process has."""
    statements = _statements(schema)
    # The first file makes the table that the others lock.
    alone = statements["lock" if file.name.startswith("0001_") else "lock_history"].sql
    # Read committed: after waiting for the lock, the next statement must see the other's record.
    isolation = _read_committed(connection)
    try:
        async with connection.transaction(isolation=isolation), _settings(connection, schema):
            await _limit(connection, schema, wait)
            await connection.execute(alone)
            applied = file.name in await _applied(connection, schema)
            if not applied:
                await _limit(connection, schema, lock)
                # One by one: so Citus sends them on to its machines.
                for statement in pieces(sent(file)):
                    await connection.execute(filled(statement, schema))
                await connection.fetch(statements["record"].sql, file.name, file.checksum)
    except asyncpg.LockNotAvailableError as error:
        text = f"{file.name}: a lock was not obtained in time; nothing of it was applied"
        raise StoreUnavailable(text, error.sqlstate) from error
    except (asyncpg.SyntaxOrAccessError, asyncpg.PLPGSQLError) as error:
        text = f"{file.name}: failed ({error.sqlstate}); nothing of it was applied"
        if error.sqlstate in _THERE:
            text += f"; {_REMEDY}"
        elif error.sqlstate == NO_RIGHT:
            text += "; the owner of schema_migration makes it, and needs CREATE on its schema"
        raise MigrationError(text, error.sqlstate) from error
    return not applied
