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
