"""The strict loader: whatever is odd about a file stops the start, and all of it is listed."""

from __future__ import annotations

from pathlib import Path

import pytest

from execlog import QueryFileError
from execlog.repository import StrategyExecutionLogRepository, statements
from execlog.statements import Parameter, load_statements

GOOD = "-- Is it there?\n-- $1 id uuid\n-- $2 name text?\n-- Columns: n bigint\n-- Index: none\n"
BODY = "select count(*) as n from execlog.t where id = $1::uuid and name = $2::text\n"


def load(tmp_path: Path, text: str | bytes) -> object:
    data = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "found.sql").write_bytes(data)
    return load_statements(tmp_path, {"found"})


def test_the_files_are_read_once() -> None:
    assert statements() is statements()


def test_a_good_file(tmp_path: Path) -> None:
    (tmp_path / "found.sql").write_text(GOOD + BODY)
    statement = load_statements(tmp_path, {"found"})["found"]
    assert statement.sql == GOOD + BODY
    assert statement.question == "Is it there?"
    assert statement.parameters == (
        Parameter("id", "uuid", False),
        Parameter("name", "text", True),
    )
    assert statement.indexes == ()
    with pytest.raises(QueryFileError, match="no COPY"):
        statement.copy_target()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no statement"),
        (GOOD, "has no statement"),
        (BODY, "has no header"),
        (GOOD + BODY + ";", "holds a semicolon"),
        ((GOOD + BODY).replace("\n", "\r\n"), "holds a carriage return"),
        (b"\xef\xbb\xbf" + (GOOD + BODY).encode(), "begins with a byte order mark"),
        (b"\xff" + (GOOD + BODY).encode(), "can't decode"),
        (GOOD.replace("$2", "$3") + BODY.replace("$2", "$3"), "has a gap"),
        (GOOD + BODY.replace("$2", "$3"), "uses other parameters"),
        (GOOD + BODY.replace("$2::text", "'x'"), "uses other parameters"),
        (GOOD.replace("-- Index: none\n", "") + BODY, "has no line Index"),
        (GOOD.replace("-- Columns: n bigint\n", "") + BODY, "has no line Columns"),
    ],
)
def test_an_odd_file(tmp_path: Path, text: str | bytes, fault: str) -> None:
    with pytest.raises(QueryFileError, match=fault) as caught:
        load(tmp_path, text)
    assert "found.sql" in str(caught.value)


def test_every_fault_is_in_one_error(tmp_path: Path) -> None:
    (tmp_path / "stray.sql").write_text(GOOD + BODY)
    (tmp_path / "empty.sql").write_text("")
    with pytest.raises(QueryFileError) as caught:
        load_statements(tmp_path, {"empty", "absent"})
    text = str(caught.value)
    assert "absent.sql: missing" in text
    assert "stray.sql: no method of this name" in text
    assert "empty.sql: has no statement" in text


def test_a_method_is_a_file_and_a_file_is_a_method() -> None:
    methods = {name for name in dir(StrategyExecutionLogRepository) if not name.startswith("_")}
    assert statements().keys() == methods


INCLUDED = (
    "-- How many?\n-- $1 id uuid\n-- $2 name text?\n-- Columns: n bigint\n-- Index: none\n" + BODY
)
OUTER = """\
-- Is it there, and since when?
-- $1 id uuid
-- $2 name text?
-- $3 since timestamptz
-- Columns: n bigint
-- Index: none
with found as (
    :inner
)
select n from found where $3::timestamptz < now()
"""


def load_two(tmp_path: Path, outer: str, inner: str = INCLUDED) -> str:
    (tmp_path / "outer.sql").write_text(outer)
    (tmp_path / "inner.sql").write_text(inner)
    return load_statements(tmp_path, {"outer", "inner"}, "audit")["outer"].sql


def test_a_line_stands_for_another_statement(tmp_path: Path) -> None:
    sql = load_two(tmp_path, OUTER)
    body = BODY.replace("execlog", '"audit"').rstrip("\n")
    assert sql == OUTER.replace(":inner", body)
    # What may be NULL there may be required here.
    load_two(tmp_path, OUTER.replace("name text?", "name text"))


@pytest.mark.parametrize(
    ("outer", "inner", "fault"),
    [
        (OUTER.replace(":inner", ":other"), INCLUDED, "includes other.sql, which is missing"),
        (OUTER.replace("name text?", "title text?"), INCLUDED, "has no name as it has"),
        (OUTER.replace("name text?", "name integer?"), INCLUDED, "has no name as it has"),
        (OUTER.replace("id uuid", "id uuid?"), INCLUDED, "has no id as it has"),
        (
            OUTER.replace("-- $3 since timestamptz\n", "").replace("-- $2 name text?\n", ""),
            INCLUDED,
            "has no name as it has",
        ),
        (OUTER, OUTER.replace(":inner", ":outer"), "includes another"),
        (OUTER, INCLUDED.replace("\n", "\r\n"), "carriage return"),
    ],
)
def test_a_line_that_stands_for_nothing(tmp_path: Path, outer: str, inner: str, fault: str) -> None:
    (tmp_path / "outer.sql").write_bytes(outer.encode())
    (tmp_path / "inner.sql").write_bytes(inner.encode())
    with pytest.raises(QueryFileError, match=fault) as caught:
        load_statements(tmp_path, {"outer", "inner"})
    assert "outer.sql" in str(caught.value)


def test_a_report_holds_the_statements_of_its_parts() -> None:
    report = " ".join(statements()["report"].sql.split())
    for name in ("metrics", "timeseries"):
        text = statements()[name].sql
        lines = [line for line in text.splitlines() if not line.startswith("--")]
        assert " ".join(" ".join(lines).split()) in report
