"""Loads the SQL files, once, and refuses to start on any doubt.

A file's header is its contract: the question that it answers, one line a parameter, the columns
that come back and the index that it must use.

    -- How many executions ended how.
    -- $1 strategy_id text
    -- $2 since timestamptz?          (a question mark: may be NULL)
    -- Columns: status text, count bigint
    -- Index: strategy_execution_log_newest

The whole file is sent, so that the header also says in `pg_stat_activity` what runs there. Filled
in are the name of the schema, where it is another one, and other statements: a line `:metrics`
stands for that of `metrics.sql`, whose parameters are then the first ones of the file.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from execlog.errors import QueryFileError
from execlog.template import SCHEMA, filled

__all__ = ["Parameter", "Statement", "load_statements"]

_PARAMETER = re.compile(r"-- \$(\d+) (\w+) ([a-z ]+(?:\[\])?)(\?)?")
_FIELD = re.compile(r"-- (Columns|Index): (.+)")
_COPY = re.compile(r'copy (?:\w+|"(?:[^"]|"")+")\.(\w+) \(([\w\s,]+)\) from stdin\b')
_INCLUDED = re.compile(r"^( *):([a-z_]+)$", re.MULTILINE)
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
            statements[stem] = _parse(stem, files, schema)
        except ValueError as error:
            faults.append(f"{path.name}: {error}")
    if faults:
        raise QueryFileError("; ".join(faults))
    return statements


def _parse(name: str, files: Mapping[str, Path], schema: str) -> Statement:
    """Raises ValueError, which says what is wrong with the file (UnicodeDecodeError is one too)."""
    header, body = _read(files[name])
    own = _listed(header)
    body = _INCLUDED.sub(lambda found: _included(found[2], found[1], own, files), body)
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
    sql = filled("\n".join([*header, body]), schema)
    return Statement(name, schema, sql, question, parameters, fields["Columns"], indexes)


def _read(path: Path) -> tuple[list[str], str]:
    """The lines of a file's header, and what follows them."""
    data = path.read_bytes()
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("begins with a byte order mark")
    if b"\r" in data:
        raise ValueError("holds a carriage return")
    lines = data.decode().split("\n")
    end = next((i for i, line in enumerate(lines) if line[:2] != "--"), len(lines))
    return lines[:end], "\n".join(lines[end:])


def _included(name: str, indent: str, own: Sequence[Parameter], files: Mapping[str, Path]) -> str:
    """The statement of another file, to stand in one that has these parameters."""
    if name not in files:
        raise ValueError(f"includes {name}.sql, which is missing")
    header, body = _read(files[name])
    if _INCLUDED.search(body):
        raise ValueError(f"includes {name}.sql, which includes another")
    wanted = _parameters(header, body)
    for one, given in zip_longest(wanted, own[: len(wanted)]):
        fits = given is not None and (one.name, one.type) == (given.name, given.type)
        if not fits or (given.nullable and not one.nullable):
            raise ValueError(f"includes {name}.sql, and has no {one.name} as it has")
    return textwrap.indent(body.rstrip("\n"), indent)


def _parameters(header: Sequence[str], body: str) -> tuple[Parameter, ...]:
    found = _listed(header)
    used = {int(number) for number in re.findall(r"\$(\d+)", body)}
    if used != set(range(1, len(found) + 1)):
        raise ValueError("uses other parameters than its header names")
    return found


def _listed(header: Sequence[str]) -> tuple[Parameter, ...]:
    """The parameters that a header names."""
    found = [match for line in header if (match := _PARAMETER.fullmatch(line))]
    numbers = [int(match[1]) for match in found]
    if numbers != list(range(1, len(numbers) + 1)):
        raise ValueError("has a gap in the parameters of its header")
    return tuple(Parameter(match[2], match[3], match[4] == "?") for match in found)
