"""The strict loader: whatever is odd about a file stops the start, and all of it is listed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from execlog import QueryFileError
from execlog.db.files import folder
from execlog.db.statements import Parameter, Statement, load_statements
from execlog.repository import StrategyExecutionLogRepository, statements
from execlog.repository.breakdown import OF_ROLLUPS
from execlog.repository.following import MOST_AT_ONCE
from execlog.repository.listings import LARGEST_PAGE
from execlog.repository.metrics import _DURATION_EDGES
from execlog.repository.questions import LARGEST_SAMPLE

HEAD = "-- Is it there?\n-- $1 id uuid\n"
TAIL = "-- Columns: n bigint\n-- Index: none\n"
GOOD = HEAD + "-- $2 name text? always\n" + TAIL
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
        Parameter("id", "uuid", nullable=False),
        Parameter("name", "text", nullable=True),
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


def test_a_method_has_a_statement_and_a_statement_is_of_a_method() -> None:
    methods = {name for name in dir(StrategyExecutionLogRepository) if not name.startswith("_")}
    assert statements().keys() == methods | {OF_ROLLUPS}


# What may be left out.

FILTERED = (
    HEAD
    + """\
-- $2 name text?
-- $3 realm_ids text[]?
-- $4 before_time timestamptz?
-- $5 before_id uuid?
-- $6 limit bigint
-- switch last
"""
    + TAIL
)
LINES = """\
select count(*) as n
from execlog.t
where id = $1::uuid
    and name = $2::text  -- if name
    and realm = any($3::text[])  -- if realm_ids
    and (time, id) < ($4::timestamptz, $5::uuid)  -- if before_time, before_id
order by time desc  -- if last
order by time  -- if not last
limit $6::bigint
"""


def filtered(tmp_path: Path, header: str = FILTERED, body: str = LINES) -> Statement:
    load(tmp_path, header + body)
    return load_statements(tmp_path, {"found"}, "audit")["found"]


def body_of(sql: str) -> str:
    return "".join(line for line in sql.splitlines(keepends=True) if not line.startswith("--"))


def test_what_is_not_given_is_left_out(tmp_path: Path) -> None:
    statement = filtered(tmp_path)
    bare = statement.query(id=1, realm_ids=None, limit=5)
    assert body_of(bare.sql).split("\n") == [
        "select count(*) as n",
        'from "audit".t',
        "where id = $1::uuid",
        "order by time",
        "limit $2::bigint",
        "",
    ]
    assert bare.values == (1, 5)
    assert "-- $2 limit bigint\n" in bare.sql
    assert "name" not in bare.sql
    whole = statement.query(
        "last", id=1, name="n", realm_ids=[], before_time=2, before_id=3, limit=5
    )
    assert whole.values == (1, "n", [], 2, 3, 5)
    assert "order by time desc\nlimit $6" in whole.sql
    assert statement.shape(frozenset()) is statement.shape(frozenset())
    with pytest.raises(QueryFileError, match="more than one shape"):
        _ = statement.sql


def test_shapes_are_not_kept_for_ever(tmp_path: Path) -> None:
    statement = filtered(tmp_path)
    for n in range(1000):
        statement.shape(frozenset({f"nothing {n}"}))
    assert statement._shapes.cache_info().currsize <= 256  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("switches", "values", "problem"),
    [
        ((), {"id": 1, "limit": 1}, "lacks realm_ids"),
        ((), {"id": 1, "realm_ids": None}, "lacks limit"),
        ((), {"id": 1, "realm_ids": None, "limit": 1, "names": "x"}, "has no names"),
        (("first",), {"id": 1, "realm_ids": None, "limit": 1}, "has no first"),
        (("name",), {"id": 1, "realm_ids": None, "limit": 1}, "has no name"),
        # Half of a cursor would be the first page again.
        ((), {"id": 1, "realm_ids": None, "limit": 1, "before_id": 1}, "does not use before_id"),
        ((), {"id": 1, "realm_ids": None, "limit": 1, "before_time": 1}, "does not use before_t"),
        ((), {"id": 1, "realm_ids": None, "limit": None}, "lacks limit"),
        (
            (),
            {"id": 1, "realm_ids": None, "limit": 1, "before_id": 1, "before_time": None},
            "does not use before_id",
        ),
    ],
)
def test_a_query_that_would_not_be_what_is_meant(
    tmp_path: Path, switches: tuple[str, ...], values: dict[str, object], problem: str
) -> None:
    with pytest.raises(TypeError, match=problem):
        filtered(tmp_path).query(*switches, **values)


NAME = "    and name = $2::text  -- if name\n"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (NAME, "    and name = $2::text\n", r"uses \$2 \(name, which may be left out\)"),
        (NAME, "    and name = $2::text  -- if last\n", r"uses \$2 \(name"),
        (NAME, "    and name = $2::text  -- if not name\n", r"uses \$2 \(name"),
        (NAME, "    and name = $2::text -- if names\n", "marked with names, which is in no line"),
        (NAME, "    and name = $2::text  -- if id\n", "marked with id, which may not be left out"),
        (NAME, "    and name is null  -- if name\n", "does not use it|uses other parameters"),
        (NAME, "    or name = $2::text  -- if name\n", "no whole condition"),
        (NAME, "    and (name = $2::text  -- if name\n        or true)\n", "no whole condition"),
        (NAME, "    and name =\n        $2::text  -- if name\n", "no whole condition"),
        (NAME, "    and name = $2::text  -- if name\n        || 'x'\n", "no whole condition"),
        (NAME, "    and name = '  -- if name\n' || $2::text\n", "goes on in another line"),
        (NAME, "    and name = $2::text  -- if: name\n", "a mark that says nothing"),
        (NAME, "    and name = $2::text  --if name\n", "a mark that says nothing"),
        (NAME, "    and name = $2::text  -- if name, name\n", "says a name twice"),
        (NAME, "    and name = $2::text  -- if name, not name\n", "says a name twice"),
        ("where id = $1::uuid\n", "where id = $7::uuid\n", "other parameters"),
        ("-- switch last\n", "", "marked with last, which is in no line"),
        ("-- switch last\n", "-- switch last\n-- switch other\n", "no line that is marked"),
        ("-- switch last\n", "-- switch last\n-- switch name\n", "names name twice"),
        ("-- $2 name text?\n", "-- $2 name text\n", "which may not be left out"),
    ],
)
def test_a_mark_that_is_none(tmp_path: Path, old: str, new: str, fault: str) -> None:
    text = FILTERED + LINES
    assert text.count(old) == 1
    with pytest.raises(QueryFileError, match=fault):
        load(tmp_path, text.replace(old, new))


REALM = "    and realm = any($3::text[])  -- if realm_ids\n"


@pytest.mark.parametrize(
    "text",
    [
        # An `or` beside it, wherever it stands.
        "    and realm = any($3::text[]) or true  -- if realm_ids\n",
        "    and realm = any($3::text[]) OR true  -- if realm_ids\n",
        REALM + "    or true\n",
        REALM + "    -- then\n    or true\n",
        REALM + "\n    or true\n",
        REALM + "    :either\n",
        REALM + "    and x  -- if last\n    or true\n",
        "    or x\n" + REALM,
        # Within what it does not decide.
        "    and (x\n" + REALM + "    ) is not null\n",
        "    and (x\n" + REALM + "    or true)\n",
        "    and not (x\n" + REALM + "    )\n",
        "    and exists (\n    select from execlog.u where y\n" + REALM + "    )\n",
        "    and case when x\n" + REALM + "    then true end\n",
        "    and n between 1\n" + REALM,
        "    and realm = any($3::text[]) and n between 1  -- if realm_ids\n    and 2\n",
        # No text of SQL, or the half of it.
        "    and true -- realm = any($3::text[])  -- if realm_ids\n" + REALM,
        "    /* why:\n" + REALM + "    and so on */\n",
        "    and notes <> $$\n" + REALM + "    and $$\n",
        "    and notes <> $a$\n" + REALM + "    and $a$\n",
        "    and notes <> '\n" + REALM + "    and '\n",
        REALM + "        is not true\n",
        REALM + "        || 'x'\n",
        "    and realm = any($03::text[])  -- if realm_ids\n",
        # More marks than its clause has.
        "    and realm = any($3::text[])  -- if realm_ids, last\n",
        "    and realm = any($3::text[])  -- if realm_ids, not last\n",
        "    and x in (select 1 from execlog.u where true  -- if last\n" + REALM + "    )\n",
        # Another end of the statement than a condition.
        "    and x union all select 1 where realm = any($3::text[])  -- if realm_ids\n",
        "    and realm = any($3::text[]) order by 1  -- if realm_ids\n",
        # Expressions that are none.
        "    and :open and realm = any($3::text[])  -- if realm_ids\n",
        "    and realm = any($3::text[]) and :either  -- if realm_ids\n",
        "    and :hidden\n" + REALM,
        "    and :comment and realm = any($3::text[])  -- if realm_ids\n",
        "    and :Open\n" + REALM,
    ],
)
def test_a_filter_that_would_not_filter(tmp_path: Path, text: str) -> None:
    (tmp_path / "part").mkdir()
    for name, expression in {
        "either": "or true",
        "open": "(true or",
        "hidden": "(realm = any($3::text[]))",
        "comment": "(true) -- always",
    }.items():
        (tmp_path / "part" / f"{name}.sql").write_text(f"-- It.\n{expression}\n")
    assert LINES.count(REALM) == 1
    with pytest.raises(QueryFileError):
        load(tmp_path, FILTERED + LINES.replace(REALM, text))


# What is included.

INNER = (
    HEAD
    + "-- $2 name text?\n-- switch last\n"
    + TAIL
    + """\
select count(*) as n
from execlog.t
where id = $1::uuid
    and name = $2::text  -- if name
    and name is null  -- if not name
order by time desc  -- if last
order by time  -- if not last
"""
)
OUTER = """\
-- Are both there?
-- $1 a uuid
-- $2 b uuid
-- $3 title text?
-- $4 label text
-- switch last
-- Columns: n bigint
-- Index: none
select n from (
    :inner($1, $3)
)
union all
select n from (
    :inner($2, $4, not last)
)
"""


def load_two(tmp_path: Path, outer: str, inner: str = INNER) -> Statement:
    (tmp_path / "outer.sql").write_bytes(outer.encode())
    (tmp_path / "inner.sql").write_bytes(inner.encode())
    return load_statements(tmp_path, {"outer", "inner"}, "audit")["outer"]


def test_a_line_stands_for_another_statement(tmp_path: Path) -> None:
    statement = load_two(tmp_path, OUTER)
    assert (
        body_of(statement.query("last", a=1, b=2, title="t", label="l").sql)
        == """\
select n from (
    select count(*) as n
    from "audit".t
    where id = $1::uuid
        and name = $3::text
    order by time desc
)
union all
select n from (
    select count(*) as n
    from "audit".t
    where id = $2::uuid
        and name = $4::text
    order by time
)
"""
    )
    # What is always given there is never left out here.
    bare = statement.query(a=1, b=2, label="l")
    assert bare.values == (1, 2, "l")
    assert bare.sql.count("name is null") == 1


def test_parameters_of_the_same_names_need_not_be_said(tmp_path: Path) -> None:
    outer = OUTER.replace("a uuid", "id uuid").replace("title text?", "name text?")
    statement = load_two(tmp_path, outer.replace(":inner($1, $3)", ":inner"))
    assert "name = $3::text" in statement.query(id=1, b=2, name="t", label="l").sql


PART = """\
-- The rows.
-- switch late
select n
from execlog.t
where id = $1::uuid
    and name = $2::text  -- if name
    and late  -- if late
"""


def load_part(tmp_path: Path, part: str) -> Statement:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "rows.sql").write_text(part)
    body = (
        "select n from (\n    :rows(not late)\n)\nunion all\nselect n from (\n    :rows(late)\n)\n"
    )
    load(tmp_path, HEAD + "-- $2 name text?\n" + TAIL + body)
    return load_statements(tmp_path, {"found"}, "audit")["found"]


def test_a_part_has_the_parameters_of_its_file(tmp_path: Path) -> None:
    statement = load_part(tmp_path, PART)
    assert statement.query(id=1).values == (1,)
    named = statement.query(id=1, name="n")
    assert (named.values, named.sql.count("name = $2"), named.sql.count("and late")) == (
        (1, "n"),
        2,
        1,
    )


@pytest.mark.parametrize(
    ("part", "fault"),
    [
        (PART.replace("  -- if name", ""), r"uses \$2 \(name, which may be left out\)"),
        (PART.replace("$2", "$3"), "uses other parameters"),
        (PART.replace("-- switch late\n", ""), "which has no switch late|marked with late"),
        (PART.replace("-- if name", "-- if title"), "marked with title"),
    ],
)
def test_a_part_that_is_none(tmp_path: Path, part: str, fault: str) -> None:
    with pytest.raises(QueryFileError, match=fault):
        load_part(tmp_path, part)


def test_a_file_of_one_line_stands_within_a_line(tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "weight.sql").write_text("-- What it weighs.\n(1 / sample_rate)\n")
    (tmp_path / "part" / "lower.sql").write_text("-- Never.\n(:weight + 1)\n")
    text = GOOD + BODY.replace("count(*)", "sum(:weight) || ':weight' || :lower::text")
    load(tmp_path, text + "-- and :weight\n")
    statement = load_statements(tmp_path, {"found"})["found"]
    assert "sum((1 / sample_rate)) || ':weight' || ((1 / sample_rate) + 1)::text" in statement.sql
    assert "-- and :weight" in statement.sql


CHOICE = """\
-- What each filter means.
-- $1 name text?
-- $2 realm_ids text[]?
-- switch first | last
and name = $1::text  -- if name
and realm = any($2::text[])  -- if realm_ids
and place = 1  -- if first
and place = 9  -- if last
"""
CHOOSING = """\
-- Is it there?
-- $1 id uuid
-- $2 limit bigint
-- $3 and on: choice
-- Columns: n bigint
-- Index: none
select n
from execlog.t
where id = $1::uuid
    :choice
limit $2::bigint
"""


def load_choice(tmp_path: Path, text: str = CHOOSING, part: str = CHOICE) -> Statement:
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "choice.sql").write_text(part)
    load(tmp_path, text)
    return load_statements(tmp_path, {"found"}, "audit")["found"]


def test_the_parameters_of_a_part_may_follow_those_of_a_file(tmp_path: Path) -> None:
    statement = load_choice(tmp_path)
    assert [one.name for one in statement.parameters] == ["id", "limit", "name", "realm_ids"]
    assert statement.switches == {"first", "last"}
    query = statement.query("last", id=1, limit=2, realm_ids=["a"])
    assert query.values == (1, 2, ["a"])
    assert "-- $3 realm_ids text[]?\n" in query.sql
    assert body_of(query.sql) == (
        'select n\nfrom "audit".t\nwhere id = $1::uuid\n'
        "    and realm = any($3::text[])\n    and place = 9\nlimit $2::bigint\n"
    )


def test_one_at_most_of_some_switches_may_be_on(tmp_path: Path) -> None:
    statement = load_choice(tmp_path)
    assert statement.alternatives == (frozenset({"first", "last"}),)
    with pytest.raises(TypeError, match="one at most of first, last"):
        statement.query("first", "last", id=1, limit=2, realm_ids=None)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("-- $3 and on", "-- $4 and on", "has a gap"),
        ("-- $3 and on: choice\n", "-- $3 and on: choice\n-- $5 other text\n", "has a gap"),
        (": choice", ": choices", "includes choices.sql, which is missing"),
        ("-- $1 id uuid", "-- $1 name uuid", "names name twice"),
        ("-- $3 and on: choice\n", "-- $3 and on: choice\n-- switch last\n", "last twice"),
        ("    :choice\n", "", "uses other parameters"),
    ],
)
def test_a_part_whose_parameters_do_not_follow(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    assert CHOOSING.count(old) == 1
    with pytest.raises(QueryFileError, match=fault):
        load_choice(tmp_path, CHOOSING.replace(old, new))


@pytest.mark.parametrize(
    ("outer", "inner", "fault"),
    [
        (OUTER.replace(":inner($1, $3)", ":other"), INNER, "includes other.sql, which is missing"),
        (OUTER.replace(":inner($1, $3)", ":inner"), INNER, "has no id as it has"),
        (OUTER.replace("title text?", "title integer?"), INNER, "has no name as it has"),
        (OUTER.replace("a uuid", "a uuid?"), INNER, "has no id as it has"),
        (OUTER.replace("title text?", "title text? always"), INNER, "left out in one only"),
        (OUTER.replace("($1, $3)", "($1)"), INNER, "with 1 parameters"),
        (OUTER.replace("($1, $3)", "($1, $9)"), INNER, "uses other parameters"),
        (OUTER.replace("($1, $3)", "($1, 'x')"), INNER, "which is no parameter or switch"),
        (OUTER.replace("not last", "not first"), INNER, "which has no switch first"),
        (OUTER.replace("not last", "last, not last"), INNER, "says its switch last twice"),
        (OUTER.replace("($1, $3)", "($1, $3)  -- if title"), INNER, "with a filter"),
        (OUTER, INNER.replace("from execlog.t", "from (\n:outer\n)"), "which includes"),
        (OUTER, INNER.replace("\n", "\r\n"), "carriage return"),
        (OUTER, INNER.replace("  -- if name\n", "\n"), "which may be left out"),
        (OUTER.replace("select n from", "select :inner from"), INNER, "no plain expression"),
        (
            OUTER.replace("select n from", "select :other from"),
            INNER,
            "other.sql, which is missing",
        ),
    ],
)
def test_a_line_that_stands_for_nothing(tmp_path: Path, outer: str, inner: str, fault: str) -> None:
    with pytest.raises(QueryFileError, match=fault) as caught:
        load_two(tmp_path, outer, inner)
    assert "outer.sql" in str(caught.value)


def test_columns_may_be_those_of_another_file(tmp_path: Path) -> None:
    outer = OUTER.replace("Columns: n bigint", "Columns: place integer, :inner")
    assert load_two(tmp_path, outer).columns == "place integer, n bigint"
    with pytest.raises(QueryFileError, match=r"the columns of other\.sql, which names none"):
        load_two(tmp_path, outer.replace("integer, :inner", "integer, :other"))


def test_a_file_that_includes_itself(tmp_path: Path) -> None:
    with pytest.raises(QueryFileError, match="which includes it"):
        load(tmp_path, GOOD + "select n from (\n    :found\n) where $1::uuid = $2::text\n")


def test_a_report_holds_the_statements_of_its_parts() -> None:
    [metrics, series, report] = (
        " ".join(body_of(statements()[name].shape(frozenset({"realm_ids"})).sql).split())
        for name in ("metrics", "timeseries", "report")
    )
    assert metrics in report
    assert series in report


# Numbers that SQL and Python both know.


def numbers(name: str, pattern: str) -> list[int]:
    return [int(number) for number in re.findall(pattern, statements()[name].text)]


def test_the_edges_of_the_histogram() -> None:
    assert numbers("metrics", r"filter \(where duration_ms > (\d+)\)") == list(_DURATION_EDGES)


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("list_newest", LARGEST_PAGE),
        ("list_executions", LARGEST_PAGE),
        ("list_stored", MOST_AT_ONCE),
        ("sample_durations", LARGEST_SAMPLE),
        ("sample_points", LARGEST_SAMPLE),
    ],
)
def test_the_limit_within_is_the_largest_that_may_be_asked_for(name: str, largest: int) -> None:
    assert set(numbers(name, r"limit (\d+)")) - {1} == {largest}


def test_a_status_is_classified_in_one_place() -> None:
    for path in folder("sql").glob("*.sql"):
        assert not re.search(r"status (?:not )?in ", path.read_text()), path.name
