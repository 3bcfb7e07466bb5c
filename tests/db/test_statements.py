"""Each SQL file against the real server: its header, its parameters and its columns."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator

import pytest

from execlog import InvalidArgument
from execlog.admin import lease, migrations
from execlog.archive.files import away, durations, earlier, listing, on_days, runs
from execlog.cli import alert_state_in_log
from execlog.db import session_limits
from execlog.db.copy_format import COLUMNS
from execlog.db.files import folder
from execlog.db.statements import Shape, Statement, load_statements
from execlog.models import DurationAndNodesSummary, StrategyExecutionLog
from execlog.otel import reading
from execlog.recorder import flusher
from execlog.replaying import source
from execlog.repository import statements
from execlog.repository.explain_both import explaining
from tests.rows import row
from tests.types import Borrowed, Pool

# How Postgres calls the types that the headers call by their SQL names.
CATALOG_TYPES = {
    "timestamptz": "timestamptz",
    "double precision": "float8",
    "bigint": "int8",
    "integer": "int4",
    "boolean": "bool",
}
MODEL_COLUMNS = {
    "StrategyExecutionLog": list(StrategyExecutionLog.model_fields),
    "DurationAndNodesSummary": list(DurationAndNodesSummary.model_fields),
}
RECORDER = flusher._statements("execlog")
MAINTENANCE = lease._statements("execlog")
ALERTS = alert_state_in_log._statements("execlog")
OTEL = reading._statements("execlog")
SESSION = session_limits._statements()
ROLLUP = load_statements(
    folder("sql") / "rollup", {"difference", "hour_before", "mark", "now", "reached", "roll_up"}
)
REPLAY = source._statements("execlog")
SCHEMA = migrations._statements("execlog")
ALL = {
    **statements(),
    **explaining("execlog"),
    "away": away("execlog"),
    "earlier": earlier("execlog"),
    "durations": durations("execlog"),
    "files": listing("execlog"),
    "runs": runs("execlog"),
    "on_days": on_days("execlog"),
    **RECORDER,
    **MAINTENANCE,
    **ROLLUP,
    **ALERTS,
    **OTEL,
    **REPLAY,
    **SESSION,
    **SCHEMA,
}
NAMES = sorted(ALL)


def catalog(sql_type: str) -> str:
    base = sql_type.removesuffix("[]")
    return CATALOG_TYPES.get(base, base) + sql_type[len(base) :]


CURSORS = (
    ("before_created_at", "before_id", "before_strategy_id"),
    ("before_undated_id", "before_undated_strategy_id"),
)


def shapes(statement: Statement) -> Iterator[frozenset[str]]:
    """None of what may be left out, each of it alone, all but each, and all; as far as they go."""
    whole = statement.filters | statement.switches
    cursors = [frozenset(cursor) & whole for cursor in CURSORS]
    each = [
        next((cursor for cursor in cursors if one in cursor), frozenset({one}))
        for one in sorted(whole)
    ]
    # At most one of some switches: the first of them where the others would be too.
    first = {one for choice in statement.alternatives for one in sorted(choice)[1:]}
    for chosen in {frozenset(), *each, *(whole - first - one for one in each), whole - first}:
        given = frozenset().union(*(cursor for cursor in cursors if cursor <= chosen))
        if chosen & frozenset().union(*cursors) == given:
            yield chosen


@pytest.mark.parametrize("name", NAMES)
async def test_the_header_says_what_the_server_says(pool: Pool, name: str) -> None:
    statement = ALL[name]
    assert question_is_a_sentence(statement)
    async with pool.acquire() as connection:
        for chosen in shapes(statement):
            await check_header(connection, statement, statement.shape(chosen))


async def check_header(connection: Borrowed, statement: Statement, shape: Shape) -> None:
    prepared = await connection.prepare(shape.sql)
    parameters = [parameter.name for parameter in prepared.get_parameters()]
    columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    assert parameters == [catalog(parameter.type) for parameter in shape.parameters]
    if statement.columns == "none":
        assert columns == []
    else:
        *others, last = statement.columns.split(", ")
        model = MODEL_COLUMNS.get(last, [])  # the name of a model, of which only names are known
        written = [
            column.rstrip("?").split(" ", 1) for column in [*others, *([] if model else [last])]
        ]
        own = columns[: len(columns) - len(model)]
        assert [column for column, _ in columns[len(own) :]] == model
        assert own == [(column, catalog(sql_type)) for column, sql_type in written]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_given_is_nowhere_in_what_is_sent(name: str) -> None:
    statement = ALL[name]
    for chosen in shapes(statement):
        shape = statement.shape(chosen)
        left = statement.filters - chosen
        assert not left & {one.name for one in shape.parameters}
        assert statement.filters & chosen <= {one.name for one in shape.parameters}
        assert "-- if" not in shape.sql
        numbers = {int(number) for number in re.findall(r"\$(\d+)", shape.sql)}
        assert numbers == set(range(1, len(shape.parameters) + 1))


def question_is_a_sentence(statement: Statement) -> bool:
    return bool(re.fullmatch(r"[A-Z].+[.?]", statement.question))


async def test_the_indexes_of_the_headers_exist(pool: Pool) -> None:
    named = {index for statement in statements().values() for index in statement.indexes}
    found = await pool.fetch(
        "select indexname from pg_indexes where schemaname = 'execlog' and tablename = $1",
        "strategy_execution_log",
    )
    assert named == {record["indexname"] for record in found}


async def test_copy_and_insert_name_every_column_in_order(pool: Pool) -> None:
    schema, table, copied = statements()["insert_rows"].copy_target()
    found = await pool.fetch(
        "select column_name from information_schema.columns"
        " where table_schema = $1 and table_name = $2 order by ordinal_position",
        schema,
        table,
    )
    in_table = tuple(record["column_name"] for record in found)
    assert copied == COLUMNS
    assert in_table == (*StrategyExecutionLog.model_fields, "stored_xid")
    for name in ("insert_row", "insert_missing"):
        pattern = r"(?s)strategy_execution_log \((.+?)\)\s+select(.+?)from"
        [listed] = re.findall(pattern, statements()[name].sql)
        for text in listed:
            assert tuple(re.findall(r"\w+", text)) == COLUMNS


async def test_a_field_may_be_none_where_the_table_allows_null(pool: Pool) -> None:
    found = await pool.fetch(
        "select column_name from information_schema.columns"
        " where table_schema = 'execlog' and table_name = 'strategy_execution_log'"
        " and is_nullable = 'YES'",
    )
    optional = set()
    for name in COLUMNS:
        with contextlib.suppress(InvalidArgument):
            row(**{name: None})
            optional.add(name)
    assert {record["column_name"] for record in found} == {*optional, "stored_xid"}


async def test_the_server_sees_the_copy_that_the_file_shows(pool: Pool) -> None:
    """asyncpg writes the COPY command itself: it must mean what sql/insert_rows.sql says."""
    statement = statements()["insert_rows"]
    schema, table, columns = statement.copy_target()
    async with pool.acquire() as connection:

        async def seen() -> object:
            """What the server executes: asyncpg asks for rows before it has answered the COPY."""
            async with pool.acquire() as other:
                for _ in range(1000):
                    if query := await other.fetchval(
                        "select query from pg_stat_activity where pid = $1 and query ilike 'copy%'",
                        connection.get_server_pid(),
                    ):
                        return query
                    await asyncio.sleep(0.01)
            pytest.fail("the server did not begin with the COPY")

        queries = []

        async def source() -> AsyncIterator[bytes]:
            queries.append(await seen())
            yield b""

        await connection.copy_to_table(
            table, schema_name=schema, columns=columns, source=source(), format="text", null="\1"
        )

    def words(sql: str) -> list[str]:
        body = (
            re.sub(r"--.*", "", sql).lower().replace(r"e'\x01'", "'\1'").replace("'text'", "text")
        )
        return re.findall(r"[\w\x01]+", body)

    assert sorted(words(str(queries[0]))) == sorted(words(statement.sql))


async def test_every_object_is_named_with_its_schema() -> None:
    for statement in ALL.values():
        body = re.sub(r"--.*", "", statement.text)
        # What a statement names itself, and what is no table.
        own = set(re.findall(r"(\w+) as (?:not )?(?:materialized )?\(", body))
        own |= {
            "stdin",
            "found",
            "lateral",
            "limits",
            "generate_series",
            "json_populate_record",
            "json_populate_recordset",
            "pg_partition_tree",
            "pg_snapshot_xip",
            "unnest",
        }
        for table in re.findall(
            r"\b(?:(?<!distinct )(?<!epoch )from|into|copy|join) (?!\()([\w.]+)", body
        ):
            assert table in own or table.startswith(("execlog.", "pg_catalog."))
        # Those of a table are listed; those of what is listed within may be all.
        assert not re.search(r"\*\s+from (?:execlog|pg_catalog)\.", body), statement.name
        listed = {
            "card",
            "series",
            "before",
            "stored",
            "rollup",
            "piece",
            "named",
            "made",
            "kept",
            "strategy",
            "summed",
            "wanted",
        }
        assert set(re.findall(r"(\w+)\.\*", body)) <= listed
