"""Whatever a schema lacks: an answer or an error from the tree, and one line from a command."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime

import asyncpg
import pytest

import execlog
from execlog import (
    InvalidArgument,
    MigrationError,
    QueryRejected,
    SchemaOutdated,
    StrategyExecutionLogRepository,
)
from tests import databases
from tests.db.test_faults import CALLS, all_of
from tests.rows import row
from tests.types import Connection, Pool

NAME = f"whole_{os.getpid()}"
Log = StrategyExecutionLogRepository
# Each kind of object, and how one goes. A partition's columns are those of the log, of the months
# one stands for all, of the columns of other tables a third, and the key of the partitions can't
# go: it gets another name.
DAMAGES = {
    "tables": "select format('drop table %s cascade', oid::regclass) from pg_class"
    " where relnamespace = 'execlog'::regnamespace and relkind in ('r', 'p')"
    " and relname !~ '[1-9]$' or relname = to_char(now(), '\"strategy_execution_log_\"YYYYMM')"
    " order by 1",
    "functions": "select format('drop function %s cascade', oid::regprocedure) from pg_proc"
    " where pronamespace = 'execlog'::regnamespace order by 1",
    "triggers": "select format('drop trigger %I on %s', tgname, tgrelid::regclass) from pg_trigger"
    " join pg_class as class on class.oid = tgrelid where not tgisinternal and tgparentid = 0"
    " and relnamespace = 'execlog'::regnamespace order by 1",
    "columns": "select format(case attname when 'created_at' then"
    " 'alter table %s rename column %I to gone' else 'alter table %s drop column %I cascade' end,"
    " attrelid::regclass, attname)"
    " from pg_attribute join pg_class as class on class.oid = attrelid"
    " where attnum > 0 and not attisdropped"
    " and relnamespace = 'execlog'::regnamespace and relkind in ('r', 'p') and not relispartition"
    " and (relname = 'strategy_execution_log' or attnum % 3 = 1) order by 1",
}


async def rows_stored(pool: Pool) -> None:
    await Log(pool).insert_rows(
        row(created_at=at, status=status, error_code="E", external_user_id="u")
        for at in (datetime.now(UTC), datetime(2020, 1, 1, tzinfo=UTC), None)
        for status in ("ok", "error")
    )


@pytest.fixture(scope="module")
async def whole(template: str) -> AsyncIterator[dict[str, list[str]]]:
    """A migrated database that holds some rows, to be cloned; all that it can lose, by its kind."""
    async with databases.database(template, NAME, template=databases.TEMPLATE) as dsn:
        admin = await asyncpg.connect(dsn)
        found = {
            kind: [record[0] for record in await admin.fetch(sql)] for kind, sql in DAMAGES.items()
        }
        found["rows"] = [
            f"delete from execlog.{table}" for table in await with_rows_of_a_migration(admin)
        ]
        await admin.execute("update execlog.rollup_state set exact_runs = -1")
        await admin.close()
        async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
            await rows_stored(pool)
        yield found


async def with_rows_of_a_migration(admin: Connection) -> list[str]:
    tables = await admin.fetch(
        "select relname from pg_class where relnamespace = 'execlog'::regnamespace"
        " and relkind in ('r', 'p') order by 1"
    )
    return [
        table
        for (table,) in tables
        if await admin.fetchval(f"select exists (select from execlog.{table})")
    ]


async def everything(dsn: str) -> AsyncIterator[tuple[str, Awaitable[object]]]:
    """What one can ask of a log, what changes it at the end."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        log = Log(pool)
        reads = {name: call for name, call in CALLS.items() if not name.startswith("insert")}
        writes = {name: call for name, call in CALLS.items() if name not in reads}
        for name, call in reads.items():
            yield name, call(log)
        yield "count", all_of(log.erase(external_user_id="u", only_count=True))
        yield "check", execlog.check_migrations(pool)
        yield "plan", execlog.maintain(pool, only_plan=True)
        yield "verify", all_of(execlog.verify_rollups(pool))
        yield "rebuild", all_of(execlog.rebuild_rollups(pool))
        for name, call in writes.items():
            yield name, call(log)
        yield "migrate", execlog.migrate(pool)
        yield "no rollups", execlog.migrate(pool, rollups=False)
        yield "rollups", execlog.migrate(pool, rollups=True)


async def outside_of_the_tree(template: str, damage: str) -> list[str]:
    """What a database that has lost this answers with other errors than ours."""
    found = []
    async with databases.clone(template, template=NAME) as dsn:
        admin = await asyncpg.connect(dsn)
        await admin.execute(damage)
        await admin.close()
        async for name, asked in everything(dsn):
            try:
                await asked
            except SchemaOutdated:
                pass
            except (QueryRejected, MigrationError, InvalidArgument) as error:
                # Reads answer from what is there, or say that the schema is not.
                if name in CALLS:
                    found.append(f"{damage}: {name}: {error!r}")
            except Exception as error:
                found.append(f"{damage}: {name}: {error!r}")
    return found


SLICES = {"columns": 4, "functions": 2}  # a test each
CASES = [(kind, n) for kind in (*DAMAGES, "rows") for n in range(SLICES.get(kind, 1))]


@pytest.mark.long
@pytest.mark.parametrize(("kind", "number"), CASES)
async def test_an_answer_or_an_error_of_the_tree(
    template: str, whole: dict[str, list[str]], kind: str, number: int
) -> None:
    damages = whole[kind][number :: SLICES.get(kind, 1)]
    assert damages
    found = [await outside_of_the_tree(template, damage) for damage in damages]
    assert list(itertools.chain(*found)) == []


COMMANDS = [
    "doctor",
    "doctor --json",
    "summary loyalty",
    "timeline loyalty",
    "compare loyalty other",
    "check loyalty --max-p99 1s",
    "top",
    "tail",
    "failures",
    "export",
    "erase --user u --plan",
    "maintain --plan",
    "rollup verify",
    "rollup rebuild",
    "migrate --check",
    "migrate",
]


# All of them in one process, which takes a second to start.
PROCESS = """
import contextlib, io, json, sys
from execlog.cli import main
dsn, commands = sys.argv[1], json.loads(sys.argv[2])
for command in commands:
    sys.argv, err = ["execlog", *command.split(), "--dsn", dsn], io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(err):
        try:
            main()
            code = 0
        except SystemExit as end:
            code = end.code
    print(json.dumps([command, code or 0, err.getvalue()]))
"""


@pytest.mark.long
@pytest.mark.parametrize(
    "damage",
    [
        "drop schema execlog cascade",
        "drop schema execlog cascade; create schema execlog",
        "drop table execlog.strategy_execution_log cascade",
        "drop table execlog.schema_migration",
        "drop table execlog.rollup_state",
        "drop function execlog.rollup_parts",
        "drop function execlog.partitions",
        "alter table execlog.strategy_execution_log drop column status cascade",
        "alter table execlog.rollup drop column ok cascade",
        "truncate execlog.schema_migration, execlog.rollup_state",
    ],
)
async def test_a_command_says_it_in_a_line(
    template: str, whole: dict[str, list[str]], damage: str
) -> None:
    assert whole
    async with databases.clone(template, template=NAME) as dsn:
        admin = await asyncpg.connect(dsn)
        await admin.execute(damage)
        await admin.close()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROCESS, dsn, json.dumps(COMMANDS),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, failed = await process.communicate()
    assert (process.returncode, failed.decode()) == (0, "")
    found = [json.loads(line) for line in out.splitlines()]
    assert [command for command, _, _ in found] == COMMANDS
    for command, code, err in found:
        assert code in (0, 1, 2, 3), command
        # What is found, and what to do about it.
        assert len(err.splitlines()) <= 2, (command, err)
