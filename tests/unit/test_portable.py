"""Scripts are split into statements that every tool sends as they are."""

from __future__ import annotations

import pytest

import execlog
from execlog.admin.portable import statements
from tests.db.test_schema_name import NAMES
from tests.extras import needs


def as_sent(statement: str) -> set[str]:
    """What SQLAlchemy's text() becomes on the way to each driver; of psycopg, its own reading."""
    import sqlalchemy
    from sqlalchemy.dialects.postgresql import asyncpg, psycopg

    found = {statement}
    for dialect in (asyncpg.dialect(), psycopg.dialect()):  # type: ignore[no-untyped-call]
        compiled = sqlalchemy.text(statement).compile(dialect=dialect)
        assert compiled.params == {}, statement
        found.add(str(compiled))
    return found


@needs("sqlalchemy")
@pytest.mark.parametrize("schema", ["execlog", *(name for name in NAMES if {*"%:"} & {*name})])
def test_no_statement_holds_a_placeholder(schema: str) -> None:
    """Not even in a comment, a function's body or the schema's name."""
    for statement in execlog.dump_migrations(schema=schema):
        assert as_sent(statement) == {statement}
        assert "%" not in statement
        assert not statement.endswith(";")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        ("-- a\nselect 1; -- b\n", ["-- a\nselect 1"]),
        ("-- a\n\nselect 1 -- b\n;\n-- c\n", ["-- a\n\nselect 1"]),
        ("select ';', \"a;\"\"\" from b;", ["select ';', \"a;\"\"\" from b"]),
        ("select 'it''s;', E'\\';', 'a\\'; ", ["select 'it''s;', E'\\';', 'a\\'"]),
        ("do $$ a; $b$; $$; do $b$ $$; $b$;", ["do $$ a; $b$; $$", "do $b$ $$; $b$"]),
        ("select $1::int; select $2", ["select $1::int", "select $2"]),
        ("select a[1:2], '12:30', x::text, y := 1;", ["select a[1:2], '12:30', x::text, y := 1"]),
        ("-- 5 % of :all\nselect 1;", ["-- 5 percent of all\nselect 1"]),
        (" ;\n-- nothing\n;", []),
        ("", []),
    ],
)  # fmt: skip
def test_the_statements_of_a_script(script: str, found: list[str]) -> None:
    assert statements(script) == found


@needs("sqlalchemy")
@pytest.mark.parametrize(
    ("statement", "sent"),
    [
        ("5 % 2", "\n5 \\x25 2\n"),
        ("'a\\:b', ':c'", "\n''a\\\\\\x3ab'', ''\\x3ac''\n"),
        ('":x"', '\n"\\x3ax"\n'),
    ],
)
def test_what_a_tool_would_read_is_executed_as_text(statement: str, sent: str) -> None:
    [found] = statements(f"-- why\n{statement};")
    assert found == f"-- why\ndo E'begin\nexecute $execlog${sent}$execlog$;\nend'"
    assert as_sent(found) == {found}
