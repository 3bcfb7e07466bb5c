"""Loads the SQL files, once, and refuses to start on any doubt.

A file's header is its contract: the question that it answers, one line a parameter, the columns
that come back and the index that it must use.

    -- How many executions ended how.
    -- $1 strategy_id text
    -- $2 since timestamptz?          (a question mark: may be NULL)
    -- Columns: status text, count bigint
    -- Index: strategy_execution_log_newest

The whole file is sent, so that the header also says in `pg_stat_activity` what runs there; all that
is filled in is the name of the schema, where it is another one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from execlog.errors import QueryFileError
from execlog.template import SCHEMA, filled

__all__ = ["Parameter", "Statement", "load_statements"]

_PARAMETER = re.compile(r"-- \$(\d+) (\w+) ([a-z ]+(?:\[\])?)(\?)?")
_FIELD = re.compile(r"-- (Columns|Index): (.+)")
_COPY = re.compile(r'copy (?:\w+|"(?:[^"]|"")+")\.(\w+) \(([\w\s,]+)\) from stdin\b')
# At the beginning of a line: a comment may speak of one.
_WRITE = re.compile(r"^\s*(?:copy|insert into|update|delete from) ", re.MULTILINE)


@dataclass(frozen=True)
class Parameter:
    """One `$n` of a statement: its name, its type in SQL and whether it may be NULL."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class Statement:
    """One SQL file.

    `sql` is the whole file, for `schema`; `columns` is the header's text, `indexes` its names.
    """

    name: str
    schema: str
    sql: str
    question: str
    parameters: tuple[Parameter, ...]
    columns: str
    indexes: tuple[str, ...]

    @property
    def is_copy(self) -> bool:
        """Whether it is a COPY, which has no plan. Never raises."""
        return _COPY.search(self.sql) is not None

    @property
    def writes(self) -> bool:
        """Whether it changes rows. Never raises."""
        return _WRITE.search(self.sql) is not None

    def copy_target(self) -> tuple[str, str, tuple[str, ...]]:
        """Schema, table and columns of a COPY statement.

        Raises:
            QueryFileError: The statement is no COPY.
        """
        found = _COPY.search(self.sql)
        if found is None:
            raise QueryFileError(f"sql/{self.name}.sql is no COPY ... FROM STDIN")
        table, columns = found.groups()
        return self.schema, table, tuple(column.strip() for column in columns.split(","))


def load_statements(
    folder: Path, methods: Iterable[str], schema: str = SCHEMA
) -> Mapping[str, Statement]:
    """Every `*.sql` of the folder by its stem, where stems and methods are the same names.

    Args:
        folder: Where they lie.
        methods: The names.
        schema: Where the log is.

    Raises:
        QueryFileError: Lists each file that is missing, unknown or malformed.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.sql"))}
    expected = set(methods)
    faults = [f"{name}.sql: missing" for name in sorted(expected - files.keys())]
    statements = {}
    for stem, path in files.items():
        if stem not in expected:
            faults.append(f"{path.name}: no method of this name")
            continue
        try:
            statements[stem] = _parse(stem, path.read_bytes(), schema)
        except ValueError as error:
            faults.append(f"{path.name}: {error}")
    if faults:
        raise QueryFileError("; ".join(faults))
    return statements


def _parse(name: str, data: bytes, schema: str) -> Statement:
    """Raises ValueError, which says what is wrong with the file (UnicodeDecodeError is one too)."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("begins with a byte order mark")
    if b"\r" in data:
        raise ValueError("holds a carriage return")
    sql = data.decode()
    lines = sql.splitlines()
    header = lines[: next((i for i, line in enumerate(lines) if line[:2] != "--"), len(lines))]
    body = "\n".join(lines[len(header) :])
    if not body.strip():
        raise ValueError("has no statement")
    if ";" in body:
        raise ValueError("holds a semicolon; one statement a file, without its end")
    if not header:
        raise ValueError("has no header")
    parameters = _parameters(header, body)
    fields = {found[1]: found[2] for line in header if (found := _FIELD.fullmatch(line))}
    if missing := {"Columns", "Index"} - fields.keys():
        raise ValueError(f"has no line {' and no line '.join(sorted(missing))} in its header")
    indexes = () if fields["Index"] == "none" else tuple(fields["Index"].split(", "))
    question = header[0].removeprefix("--").strip()
    return Statement(
        name, schema, filled(sql, schema), question, parameters, fields["Columns"], indexes
    )


def _parameters(header: list[str], body: str) -> tuple[Parameter, ...]:
    found = [match for line in header if (match := _PARAMETER.fullmatch(line))]
    numbers = [int(match[1]) for match in found]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError("has a gap in the parameters of its header")
    used = {int(number) for number in re.findall(r"\$(\d+)", body)}
    if used != set(numbers):
        raise ValueError("uses other parameters than its header names")
    return tuple(Parameter(match[2], match[3], match[4] == "?") for match in found)
