"""How often a method asks the server, counted by the server."""

from __future__ import annotations

import re
from collections.abc import Iterator

import asyncpg
import pytest

import execlog
from execlog import StrategyExecutionLogRepository
from execlog.embedded import EmbeddedPostgres
from execlog.repository import statements
from tests.db.test_faults import CALLS
from tests.rows import row


@pytest.fixture(scope="module")
def counting() -> Iterator[EmbeddedPostgres]:
    """A server that counts statements."""
    settings = {
        "shared_preload_libraries": "pg_stat_statements",
        "pg_stat_statements.track_utility": "on",
    }
    with EmbeddedPostgres(settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
async def dsn(counting: EmbeddedPostgres) -> str:
    await execlog.migrate(counting.dsn)
    connection = await asyncpg.connect(counting.dsn)
    await connection.execute("create extension pg_stat_statements")
    await connection.close()
    return counting.dsn


@pytest.mark.parametrize("cached", [True, False], ids=["cache", "no statement cache"])
@pytest.mark.parametrize("name", CALLS)
async def test_one_call_is_one_statement(dsn: str, name: str, cached: bool) -> None:
    """From the first call on: nothing is asked of the catalogue, no transaction is begun."""
    size = 100 if cached else 0
    observer = await asyncpg.connect(dsn)
    async with asyncpg.create_pool(
        dsn, min_size=1, max_size=1, statement_cache_size=size, reset=leave
    ) as pool:
        repository = StrategyExecutionLogRepository(pool)
        await repository.insert_rows([row(status="error", error_code="E1", points=1.0)])
        await observer.execute("select pg_stat_statements_reset()")
        await CALLS[name](repository)
        await CALLS[name](repository)
        found = await observer.fetch(
            "select query, calls from pg_stat_statements"
            " where query not like '%pg_stat_statements%'"
        )
    await observer.close()
    calls = {record["query"]: record["calls"] for record in found}
    if name == "stream":  # a cursor needs a transaction around it, in which limits are lifted
        [lifted] = [query for query in calls if "set_config" in query]
        assert [calls.pop(query) for query in ("BEGIN READ ONLY", lifted, "COMMIT")] == [2, 2, 2]
    if name == "erase":  # no limit of the session may end it: they are lifted in a transaction
        known = re.compile(r"(?:--.*\n)*(?:BEGIN|COMMIT|set |SET )")  # 15 keeps the comments
        calls = {query: count for query, count in calls.items() if not known.match(query)}
        [asked] = [query for query in calls if "spooled" in query]  # once, before the first part
        assert calls.pop(asked) == 2
        [asked] = [query for query in calls if "archived_file" in query]  # before it and after
        assert calls.pop(asked) == 4
    if name == "insert_missing":  # files of the archive are listed before it and after
        known = re.compile("BEGIN|COMMIT")
        calls = {query: count for query, count in calls.items() if not known.match(query)}
        [asked] = [query for query in calls if "archived_on" in query]
        assert calls.pop(asked) == 4
    assert list(calls.values()) == [2], calls


async def leave(connection: object) -> None:
    """In the place of what a pool asks when a connection comes back."""


def test_every_method_is_called() -> None:
    assert CALLS.keys() == statements().keys()
