"""Each SQL file against the real server: its header, its parameters and its columns."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest

from execlog import lease, limits, schema
from execlog.copytext import COLUMNS
from execlog.dashboard import fallbacks
from execlog.models import DurationAndNodesSummary, StrategyExecutionLog
from execlog.repository import statements
from execlog.resources import folder
from execlog.statements import Statement, load_statements
from tests.types import Pool

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
RECORDER = load_statements(folder("sql") / "recorder", {"claim_batch", "prune_progress"})
FALLBACKS = {f"fallback/{name}": statement for name, statement in fallbacks().items()}
MAINTENANCE = lease._statements("execlog")
SESSION = limits._statements()
ROLLUP = load_statements(folder("sql") / "rollup", {"difference", "newest_before"})
SCHEMA = schema._statements("execlog")
ALL = {**statements(), **RECORDER, **FALLBACKS, **MAINTENANCE, **ROLLUP, **SESSION, **SCHEMA}
NAMES = sorted(ALL)


def catalog(sql_type: str) -> str:
    base = sql_type.removesuffix("[]")
    return CATALOG_TYPES.get(base, base) + sql_type[len(base) :]


@pytest.mark.parametrize("name", NAMES)
async def test_the_header_says_what_the_server_says(pool: Pool, name: str) -> None:
    statement = ALL[name]
    async with pool.acquire() as connection:
        prepared = await connection.prepare(statement.sql)
        parameters = [parameter.name for parameter in prepared.get_parameters()]
        columns = [(column.name, column.type.name) for column in prepared.get_attributes()]
    assert parameters == [catalog(parameter.type) for parameter in statement.parameters]
    assert question_is_a_sentence(statement)
    if statement.columns == "none":
        assert columns == []
    elif statement.columns in MODEL_COLUMNS:
        assert [column for column, _ in columns] == MODEL_COLUMNS[statement.columns]
    else:
        written = [column.rstrip("?").split(" ", 1) for column in statement.columns.split(", ")]
        assert columns == [(column, catalog(sql_type)) for column, sql_type in written]


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
    assert in_table == copied == COLUMNS
    assert tuple(parameter.name for parameter in statements()["insert_row"].parameters) == COLUMNS
    missing = statements()["insert_missing"].sql
    for listed in re.findall(
        r"(?s)strategy_execution_log \((.+?)\)|given \((.+?)\n    \)", missing
    ):
        assert tuple(re.findall(r"^\s+(\w+)", "".join(listed), re.MULTILINE)) == COLUMNS


async def test_a_question_mark_is_where_the_table_allows_null(pool: Pool) -> None:
    found = await pool.fetch(
        "select column_name from information_schema.columns"
        " where table_schema = 'execlog' and table_name = 'strategy_execution_log'"
        " and is_nullable = 'YES'",
    )
    nullable = {record["column_name"] for record in found}
    parameters = statements()["insert_row"].parameters
    assert {parameter.name for parameter in parameters if parameter.nullable} == nullable


async def test_the_server_sees_the_copy_that_the_file_shows(pool: Pool) -> None:
    """asyncpg writes the COPY command itself: it must mean what sql/insert_rows.sql says."""
    statement = statements()["insert_rows"]
    schema, table, columns = statement.copy_target()
    async with pool.acquire() as connection:

        async def seen() -> object:
            async with pool.acquire() as other:
                return await other.fetchval(
                    "select query from pg_stat_activity where pid = $1",
                    connection.get_server_pid(),
                )

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
        body = re.sub(r"--.*", "", statement.sql)
        # What a statement names itself, and what is no table.
        own = set(re.findall(r"(\w+) as (?:not )?(?:materialized )?\(", body))
        own |= {
            "stdin",
            "found",
            "lateral",
            "limits",
            "generate_series",
            "json_to_recordset",
            "pg_partition_tree",
            "unnest",
        }
        for table in re.findall(r"(?:(?<!distinct )from|into|copy|join) (?!\()([\w.]+)", body):
            assert table in own or table.startswith(("execlog.", "pg_catalog."))
        assert not re.search(r"(?:select|,)\s+\*|\.\*", body), "columns are listed"


def statement_of(sql: str) -> str:
    """The words of a statement, without its header and its indentation."""
    return " ".join(re.sub(r"(?m)^--.*\n", "", sql).split())


async def test_a_comparison_is_two_cards() -> None:
    """compare.sql holds the statement of metrics.sql, for the strategy and window of its own."""
    card = statement_of(statements()["metrics"].sql)
    card = card.replace("$4", "$5").replace("$3", "$4").replace("$2", "$3")
    comparison = statement_of(statements()["compare"].sql)
    sides = re.fullmatch(
        r"select .+? from \( \( (.+) \) union all \( (.+) \) \) as card order by card.place",
        comparison,
    )
    assert sides is not None
    for place, side in enumerate(sides.groups(), 1):
        placed = side.replace(f"select {place} as place, ", "select ")
        assert placed == card.replace("$1", f"${place}")


async def test_the_fallback_is_the_card_without_its_percentiles() -> None:
    card = statement_of(statements()["metrics"].sql)
    percentiles = re.findall(r"percentile_cont\(.+?\) within group \(.+?\) filter \(.+?\)\)", card)
    assert len(percentiles) == 1
    assert statement_of(fallbacks()["metrics"].sql) == card.replace(
        percentiles[0], "null::double precision[]"
    )
