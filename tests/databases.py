"""Databases of the suite's own: one migrated template, cloned in 40 ms for whoever writes."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg

import execlog

if TYPE_CHECKING:
    from execlog.db.connections import Connection
    from tests.types import Pool

TABLE = "execlog.strategy_execution_log"
TEMPLATE = f"execlog_test_{os.getpid()}"
CLIENTS = "pg_stat_activity where datname = current_database() and backend_type = 'client backend'"
"""Whoever is connected to the database that is asked; a vacuum of the server's own is no client."""
WAITING = f"{CLIENTS} and wait_event_type = 'Lock'"
_numbers = itertools.count(1)


def in_database(dsn: str, name: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{name}"))


@asynccontextmanager
async def template(dsn: str) -> AsyncIterator[None]:
    """Makes the migrated template, and removes it afterwards."""
    async with database(dsn, TEMPLATE, template="template0"):
        await execlog.migrate(in_database(dsn, TEMPLATE))
        yield


@asynccontextmanager
async def clone(dsn: str, template: str = TEMPLATE) -> AsyncIterator[str]:
    """The DSN of a new database, gone afterwards whoever is still connected."""
    async with database(dsn, f"{TEMPLATE}_{next(_numbers)}", template=template) as own:
        yield own


@asynccontextmanager
async def filled(dsn: str, rows: Iterable[execlog.StrategyExecutionLog]) -> AsyncIterator[Pool]:
    """A pool on a new migrated database that holds these executions."""
    async with clone(dsn) as own, asyncpg.create_pool(own, min_size=1, max_size=4) as pool:
        await execlog.StrategyExecutionLogRepository(pool).insert_rows(rows)
        yield pool


@asynccontextmanager
async def database(dsn: str, name: str, *, template: str) -> AsyncIterator[str]:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(f'create database "{name}" template "{template}"')
        try:
            yield in_database(dsn, name)
        finally:
            await connection.execute(f'drop database "{name}" with (force)')
    finally:
        await connection.close()


async def send(connection: Connection, statements: Iterable[str]) -> None:
    """Sends each by itself, prepared, in one transaction: as Alembic does on asyncpg."""
    async with connection.transaction():
        for statement in statements:
            await connection.fetch(statement)
