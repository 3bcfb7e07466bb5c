"""What can go wrong, sorted by what the caller can do about it.

    ExeclogError
    ├── InvalidArgument   fix the call (also a ValueError); names the argument
    ├── SchemaOutdated    run `execlog migrate`
    ├── StoreUnavailable  try again later: the server is away, busy, or out of time
    ├── QueryRejected     don't try again: the server refuses this statement or this row
    ├── ArchiveError      see to the folder of the archive, or give it; names what is wrong
    ├── QueryFileError    fix the install: the SQL files don't fit the code
    └── MigrationError    fix the install: the migrations don't fit the database

The driver's own error is `__cause__`, its SQLSTATE is copied to `sqlstate`. Its message and DETAIL
are not: they can hold values of the row. Every error can be pickled.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

__all__ = [
    "CANCELLED",
    "CONFLICTS",
    "NOT_SUPPORTED",
    "NO_RIGHT",
    "READ_ONLY",
    "ArchiveError",
    "ExeclogError",
    "InvalidArgument",
    "MigrationError",
    "QueryFileError",
    "QueryRejected",
    "SchemaOutdated",
    "StoreUnavailable",
]

CANCELLED = "57014"
"""The SQLSTATE of a statement that was cancelled: at a limit of time, or by a person."""
CONFLICTS = frozenset({"40001", "40P01"})
"""Those of another transaction at the same rows: a serialisation failure, a deadlock."""
NOT_SUPPORTED = "0A000"
"""That of what the server does not support: a cluster refuses some shapes of statements."""
NO_RIGHT = "42501"
"""That of a missing right."""
READ_ONLY = "25006"
"""That of a write to a server that takes none."""


class ExeclogError(Exception):
    """The base of every error that execlog raises.

    Attributes:
        sqlstate: The five characters by which Postgres names the condition, or None.
    """

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        """Takes the text for a person and the SQLSTATE. Never raises."""
        super().__init__(message, sqlstate)
        self.message = message
        self.sqlstate = sqlstate

    def __str__(self) -> str:
        """The text for a person. Never raises."""
        return self.message


class InvalidArgument(ExeclogError, ValueError):
    """The call itself is wrong, and nothing was sent.

    Attributes:
        argument: The argument's name, with its place in a list: `rows[3].points`; empty if it is
            the only one there is.
        problem: What is wrong with it.
    """

    def __init__(self, argument: str, problem: str) -> None:
        """Takes the argument's name and what is wrong with it. Never raises."""
        super().__init__(f"{argument}: {problem}" if argument else problem)
        self.args = (argument, problem)
        self.argument = argument
        self.problem = problem


class SchemaOutdated(ExeclogError):
    """The database lacks a table, a column, a function or a row that this version needs."""


class StoreUnavailable(ExeclogError):
    """The server can't be reached, or can't answer now; the same call may work later."""


class QueryRejected(ExeclogError):
    """The server refuses; the same call will be refused again."""


class ArchiveError(ExeclogError):
    """The folder of the archive, or a file in it, is missing, damaged, full or another log's."""


class QueryFileError(ExeclogError):
    """The packaged SQL files are not those that the code expects."""


class MigrationError(ExeclogError):
    """A migration failed, or the database has another history than these files."""


# Undefined table, column, schema, function, type; no index for an ON CONFLICT.
_OUTDATED = frozenset({"42P01", "42703", "3F000", "42704", "42883", "42P10"})
# A failed check without a constraint's name is the bound of a partition. The log itself has no
# bound, and a failure without a table is a trigger's.
_CHECK, _NO_BOUND = "23514", frozenset({None, "strategy_execution_log"})
# A prepared statement that is missing or exists already: it belongs to another client's session.
_POOLED = frozenset({"26000", "42P05"})
# Whole classes that are temporary: connection, resources, operator intervention.
_PASSING_CLASSES = frozenset({"08", "53", "57"})
# Conflicts, lock timeout, a primary that became read-only, a transaction that was idle or lasted
# for longer than its role may.
_PASSING = CONFLICTS | {"55P03", READ_ONLY, "25P03", "25P04"}
# Where the class's name does not say enough.
_SAID = {
    "08003": "the connection was lost",
    READ_ONLY: (
        "the server takes no writes: it is a standby, or default_transaction_read_only is on"
    ),
    "25P03": "the transaction was idle for longer than idle_in_transaction_session_timeout",
    "25P04": "the transaction lasted for longer than transaction_timeout",
}
# Both have other causes too: a cancel by a person, and NOWAIT.
_LIMITED = frozenset({CANCELLED, "55P03"})
_LIMIT = re.compile(r"\b(?:statement|lock) timeout\b")
# asyncpg's messages about a pool, and what they mean to its owner.
_NEVER_OPENED = "pool is not initialized"
_OPEN_IT = "was never opened: open it first, with `await pool` or `async with pool`"
_POOLS = {
    _NEVER_OPENED: f"the pool {_OPEN_IT}",
    "pool is being initialized": "the pool is being opened",
    "pool is closing": "the pool is being closed",
    "pool is closed": "the pool is closed",
}
_CONFLICT = (
    "a recovery conflict: the standby removed rows that this read still needs; read on the primary,"
    " or set hot_standby_feedback"
)


@contextmanager
def driver_errors(action: str) -> Iterator[None]:
    """Turns whatever asyncpg raises inside the block into the tree above.

    Args:
        action: What was being done, for the message.

    Raises:
        SchemaOutdated: An object is missing.
        StoreUnavailable: The connection, the server's resources or the time ran out.
        QueryRejected: Anything else that the server or the driver refuses.
    """
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _from_server(error, action) from error
    except TimeoutError as error:
        raise StoreUnavailable(f"{action}: no answer in time") from error
    except asyncpg.exceptions.TargetServerAttributeNotMatched as error:
        raise StoreUnavailable(f"{action}: no server of the wanted kind answers") from error
    except (OSError, EOFError) as error:
        raise StoreUnavailable(f"{action}: the server can't be reached") from error
    except (asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        if isinstance(error, ValueError):
            raise QueryRejected(f"{action}: the driver can't encode a value") from error
        raise StoreUnavailable(f"{action}: {_of_pool(error)}") from error
    except UnicodeError as error:
        raise QueryRejected(f"{action}: a text can't be encoded") from error


@contextmanager
def pool_errors(argument: str) -> Iterator[None]:
    """Turns asyncpg's error about a pool that was never opened into an error of the call.

    Args:
        argument: The name of the argument that holds the pool.

    Raises:
        InvalidArgument: The pool was never opened.
    """
    try:
        yield
    except asyncpg.InterfaceError as error:
        if str(error).startswith(_NEVER_OPENED):
            raise InvalidArgument(argument, _OPEN_IT) from error
        raise


@contextmanager
def dsn_errors(argument: str) -> Iterator[None]:
    """Turns what the driver says of a connection string into an error that does not quote it.

    Args:
        argument: The name of the argument that holds the connection string.

    Raises:
        InvalidArgument: The string can't be read; without a cause, whose text would quote it.
    """
    try:
        yield
    except ValueError as error:
        # A certificate that does not verify is both errors; and our own messages quote nothing.
        if isinstance(error, OSError | InvalidArgument):
            raise
        raise malformed_dsn(argument) from None


def malformed_dsn(argument: str) -> InvalidArgument:
    """The error for a connection string that can't be read, which is not quoted. Never raises."""
    return InvalidArgument(argument, "is not a connection string that can be used")


def _from_server(error: asyncpg.PostgresError, action: str) -> ExeclogError:
    said = last_words(error)
    if said is not error:
        state = said.sqlstate or "XX000"
        return StoreUnavailable(f"{action}: {condition(said)} ({state})", state)
    state = error.sqlstate or "XX000"
    if isinstance(error, asyncpg.InvalidCachedStatementError):
        # A migration ran meanwhile; the driver drops the old plan after this error.
        return StoreUnavailable(f"{action}: the schema has just changed ({state})", state)
    if state in _POOLED:
        text = f"{action}: behind a pooler, make the pool with statement_cache_size=0 ({state})"
        return QueryRejected(text, state)
    if state in _OUTDATED:
        text = f"{action}: the database lacks a part of execlog's schema; run `execlog migrate`"
        return SchemaOutdated(text, state)
    if state[:2] in _PASSING_CLASSES or state in _PASSING:
        return StoreUnavailable(f"{action}: {condition(error)} ({state})", state)
    constraint = getattr(error, "constraint_name", None)
    if state == _CHECK and not constraint and getattr(error, "table_name", None) not in _NO_BOUND:
        # The partition's bounds changed while it waited: the row now belongs to another partition.
        return StoreUnavailable(f"{action}: the partitions have just changed ({state})", state)
    by = f", constraint {constraint}" if constraint else ""
    return QueryRejected(f"{action}: {condition(error)} ({state}{by})", state)


def _of_pool(error: Exception) -> str:
    """Why no connection can be used, if the driver's message is a known one."""
    said = (problem for words, problem in _POOLS.items() if str(error).startswith(words))
    return next(said, "the connection can't be used")


def last_words(error: asyncpg.PostgresError) -> asyncpg.PostgresError:
    """Why the server ended the connection, if it is known; else the error. Never raises."""
    words = error.__cause__
    lost = isinstance(error, asyncpg.ConnectionDoesNotExistError)
    return words if lost and isinstance(words, asyncpg.PostgresError) else error


def condition(error: asyncpg.PostgresError) -> str:
    """What happened, in words that carry no data; else the name of its class. Never raises."""
    # Only a recovery conflict is raised in this file; the message is in the server's language.
    if error.sqlstate == "40001" and getattr(error, "server_source_filename", "") == "postgres.c":
        return _CONFLICT
    if error.sqlstate in _SAID:
        return _SAID[error.sqlstate]
    if error.sqlstate in _LIMITED and (limit := _LIMIT.search(str(error))):
        return limit[0]
    name = type(error).__name__.removesuffix("Error")
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name).lower()
