"""The log on a Citus cluster: spread over its machines, all executions of a strategy on one."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

from execlog.db import session_limits, validation
from execlog.db.connections import LONGEST_SECONDS, connection_to
from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.db.statements import Statement, load_statements
from execlog.errors import InvalidArgument, driver_errors

if TYPE_CHECKING:
    from execlog.db.connections import Connection, Target

__all__ = ["distribute", "dump_distribution", "sizes"]

_QUICK_SECONDS = 30.0
_MOST_SHARDS = 64_000  # the limit of Citus


async def distribute(
    target: Target, *, shard_count: int | None = None, schema: str = SCHEMA
) -> None:
    """Spreads a migrated log over the machines of a Citus cluster, by `strategy_id`.

    Tables that are distributed already stay as they are, so it may be called again. Stored rows are
    moved, and nothing can be stored meanwhile: best done while the log is small.

    Args:
        target: A DSN, a Connection or a Pool, of the coordinator.
        shard_count: The number of shards; if it is left out, that of `citus.shard_count`.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `target` is none of the three, or its database has no Citus;
            `shard_count` is no positive integer, or `schema` can't be a name.
        SchemaOutdated: The database is not migrated.
        StoreUnavailable: The server is away.
        QueryRejected: The server refuses, for example because we are not the owner.
    """
    where, words = _arguments(shard_count, schema)
    with driver_errors("distribute"):
        async with connection_to(target) as connection:
            sql = _statements(where)["is_cluster"].sql
            if not await connection.fetchval(sql, timeout=_QUICK_SECONDS):
                problem = "has no Citus: `create extension citus` in it, on each machine"
                raise InvalidArgument("target", problem)
            for statement in pieces(_script()):
                sent = filled(statement, where, words)
                async with connection.transaction():
                    kept = await session_limits.held(connection)
                    await session_limits.lift(connection)
                    await connection.execute(sent, timeout=LONGEST_SECONDS)
                    # The transaction may be the caller's, and then continues.
                    await session_limits.put_back(connection, kept)


def dump_distribution(*, shard_count: int | None = None, schema: str = SCHEMA) -> str:
    """The SQL of `distribute`, for psql.

    Args:
        shard_count: As for `distribute`.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `shard_count` is no positive integer, or `schema` can't be a name.
        QueryFileError: The install lacks the file.
    """
    where, words = _arguments(shard_count, schema)
    return filled(_script(), where, words)


def _arguments(shard_count: int | None, schema: str) -> tuple[str, dict[str, str]]:
    where = validation.schema(schema)
    if shard_count is None:
        return where, {"shards": "null"}
    number = validation.count("shard_count", shard_count)
    if number > _MOST_SHARDS:
        raise InvalidArgument("shard_count", f"must be at most {_MOST_SHARDS}")
    return where, {"shards": str(number)}


def _script() -> str:
    return (folder("sql") / "cluster" / "script" / "distribute.sql").read_text()


async def sizes(connection: Connection, schema: str) -> dict[str, int]:
    """The bytes of each distributed partition's rows, by its name. Raises as the driver does."""
    sql = _statements(schema)["sizes"].sql
    found = await connection.fetch(sql, timeout=_QUICK_SECONDS)
    return {record["name"]: record["bytes"] for record in found}


@functools.lru_cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "cluster", {"is_cluster", "sizes"}, schema)
