"""What is filled into SQL: the schema's name and a script's words, in one pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from execlog import InvalidArgument
from execlog.db import validation
from execlog.db.sqltext import filled

SQL = """\
-- The engine's execlog.t
select 'execlog.t'::regclass, ':"part"', n::text, '00:00:00' from execlog.t -- it's execlog
where a = :'when' and b in (:columns) and "execlogs" = execlog_b.c
"""
WORDS = {"part": "p", "when": "it's", "columns": "a, b"}


def test_the_name_of_the_files_stays_as_it_is() -> None:
    found = filled(SQL, "execlog", WORDS)
    assert found == SQL.replace(":'when'", "'it''s'").replace(":columns", "a, b")


@pytest.mark.parametrize(
    ("schema", "name", "text"),
    [
        ("audit", '"audit"', '"audit"'),
        ('a"b', '"a""b"', '"a""b"'),
        ("o'clock", '"o\'clock"', "\"o''clock\""),
        (":'when'", "\":'when'\"", "\":''when''\""),
        ("--", '"--"', '"--"'),
        (r"\1", r'"\1"', r'"\1"'),
    ],
)
def test_another_name(schema: str, name: str, text: str) -> None:
    lines = filled(SQL, schema, WORDS).splitlines()
    assert lines[0] == "-- The engine's execlog.t"
    assert lines[1].startswith(f"select '{text}.t'::regclass, ':\"part\"', n::text")
    assert lines[1].endswith(f"from {name}.t -- it's execlog")
    assert lines[2] == """where a = 'it''s' and b in (a, b) and "execlogs" = execlog_b.c"""


@given(st.text(min_size=1, max_size=20))
def test_what_is_filled_in_is_not_looked_through(word: str) -> None:
    found = filled("""select :"a", :'a', '' from t""", "s", {"a": word})
    double, single = word.replace('"', '""'), word.replace("'", "''")
    assert found == f"select \"{double}\", '{single}', '' from t"


@pytest.mark.parametrize(
    "name", ["", "pg_audit", "a\0b", "x" * 64, "é" * 32, "a$$b", "a$migration$b", "a\\b", None, 3]
)
def test_what_can_not_be_a_schema(name: object) -> None:
    with pytest.raises(InvalidArgument, match=r"^schema: "):
        validation.schema(name)
