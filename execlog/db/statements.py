"""Loads the SQL files once, and refuses to start if one is not as expected.

A file's header is its contract: the question that it answers, a line for each parameter, the
result columns and the index that it must use.

    -- How many executions ended how.
    -- $1 strategy_id text
    -- $2 since timestamptz?            (a filter: it may be left out)
    -- $3 top integer? always           (is always sent, and may be NULL)
    -- $4 and on: filters               (the parameters and switches of `part/filters.sql`)
    -- switch sampled                   (set by the method, never by a value of a user)
    -- switch failed | errors | other   (at most one of these may be on)
    -- Columns: status text, count bigint      (`:metrics` stands for those of that file)
    -- Index: strategy_execution_log_newest

A line that ends in a mark is sent only if the mark holds; the parameters are renumbered:

    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since

A mark names filters and switches: `-- if since`, `-- if not since, sampled`. A line that uses a
filter is one whole condition, `and ...`, and is marked with it. Each choice of filters and switches
is a shape of the statement: a text of its own, made on first use.

Another file is included by a line `:metrics($1, $3, $4, $5, sampled)`: the values of its parameters
in its order, and its switches that are on (`not` before those that are off). Parameters and
switches that are not listed have the same names in both files. A file of one line is an expression,
and may be included within a line: `sum(:weight)`. Files that are only included lie in `part`; one
that names no parameters uses those of the file around it.

The header is sent too, so that `pg_stat_activity` shows which statement runs.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from execlog.db.conditions import check
from execlog.db.sqlfile import NUMBER, File, Line, numbers, read_file
from execlog.db.sqlheader import Header, Parameter, columns_of
from execlog.db.sqltext import SCHEMA, filled
from execlog.errors import QueryFileError

__all__ = ["Parameter", "Query", "Shape", "Statement", "load_statements"]

_REALMS = frozenset({"realm_ids", "realm_ids_b"})
_MOST_SHAPES = 256
_COPY = re.compile(r'copy (?:\w+|"(?:[^"]|"")+")\.(\w+) \(([\w\s,]+)\) from stdin\b')
_PARAMETER_LINE = re.compile(r"-- \$(\d+) (.+)")
# Only at the beginning of a line: a comment may mention one.
_WRITE = re.compile(r"^\s*(?:copy|insert into|update|delete from) ", re.MULTILINE)


class Query(NamedTuple):
    """A statement with its values, ready to be sent."""

    name: str
    sql: str
    values: tuple[object, ...]


class Shape(NamedTuple):
    """The text of a statement for one choice of filters and switches, and its parameters."""

    sql: str
    parameters: tuple[Parameter, ...]


@dataclass(frozen=True)
class Statement:
    """One SQL file, with all that it includes, for the log in `schema`.

    `columns` are the result columns, as the header writes them.
    """

    name: str
    schema: str
    columns: str
    _header: Header
    _lines: tuple[Line, ...]

    @property
    def question(self) -> str:
        """The first line of the header. Never raises."""
        return self._header.lines[0].removeprefix("--").strip()

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The header's parameters. Never raises."""
        return self._header.parameters

    @property
    def switches(self) -> frozenset[str]:
        """The header's switches. Never raises."""
        return self._header.switches

    @property
    def alternatives(self) -> tuple[frozenset[str], ...]:
        """Switches of which at most one may be on, for each such choice. Never raises."""
        return self._header.alternatives

    @property
    def indexes(self) -> tuple[str, ...]:
        """The indexes that it must use. Never raises."""
        named = self._header.fields["Index"]
        return () if named == "none" else tuple(named.split(", "))

    @functools.cached_property
    def filters(self) -> frozenset[str]:
        """The parameters that may be left out. Never raises."""
        return frozenset(one.name for one in self.parameters if one.is_filter)

    @property
    def sql(self) -> str:
        """Its text, if it has one shape only.

        Raises:
            QueryFileError: It has several.
        """
        if self.filters or self.switches:
            raise QueryFileError(f"sql/{self.name}.sql has more than one shape")
        return self.shape(frozenset()).sql

    @property
    def text(self) -> str:
        """The file with all that it includes, marks kept. Never raises."""
        lines = [*self._header.lines, *map(_written, self._lines)]
        return filled("\n".join(lines) + "\n", self.schema)

    @property
    def is_copy(self) -> bool:
        """Whether it is a COPY, which has no plan. Never raises."""
        return _COPY.search(self.text) is not None

    @property
    def writes(self) -> bool:
        """Whether it changes rows. Never raises."""
        return _WRITE.search(self.text) is not None

    def copy_target(self) -> tuple[str, str, tuple[str, ...]]:
        """Schema, table and columns of a COPY statement.

        Raises:
            QueryFileError: The statement is no COPY.
        """
        found = _COPY.search(self.text)
        if found is None:
            raise QueryFileError(f"sql/{self.name}.sql is no COPY ... FROM STDIN")
        table, columns = found.groups()
        return self.schema, table, tuple(column.strip() for column in columns.split(","))

    def query(self, *switches: str, **values: object) -> Query:
        """The statement with these values.

        Args:
            switches: The switches that are on.
            values: The parameters by name. A filter that is None is left out; the filter by realm
                must be named even then, since without it the rows of all tenants are read.

        Raises:
            TypeError: A parameter or switch is missing, unknown, or would not be used; or a
                parameter that may not be NULL is None.
        """
        filters = self.filters
        known = {one.name for one in self.parameters}
        if values.keys() - known or set(switches) - self.switches:
            odd = sorted({*(values.keys() - known), *(set(switches) - self.switches)})
            raise TypeError(f"{self.name} has no {', '.join(odd)}")
        missing = {one.name for one in self.parameters if not one.nullable}
        missing -= {name for name, value in values.items() if value is not None}
        missing |= (known - filters | known & _REALMS) - values.keys()
        if missing:
            raise TypeError(f"{self.name} lacks {', '.join(sorted(missing))}")
        given = {name for name in filters if values.get(name) is not None}
        shape = self.shape(frozenset(switches) | given)
        return Query(
            self.name, shape.sql, tuple(values[parameter.name] for parameter in shape.parameters)
        )

    def shape(self, chosen: frozenset[str]) -> Shape:
        """The text for these filters and switches.

        Raises:
            TypeError: One of the filters is in no line that is sent, or two switches are on of
                which only one may be.
        """
        return self._shapes(chosen)

    @functools.cached_property
    def _shapes(self) -> Callable[[frozenset[str]], Shape]:
        return functools.lru_cache(_MOST_SHAPES)(self._shape)

    def _shape(self, chosen: frozenset[str]) -> Shape:
        for choice in self.alternatives:
            if len(choice & chosen) > 1:
                both = ", ".join(sorted(choice & chosen))
                raise TypeError(f"{self.name} takes one at most of {both}")
        given = self.filters & chosen
        lines = [line for line in self._lines if line.is_sent(chosen)]
        used = sorted(numbers(lines))
        parameters = tuple(self.parameters[number - 1] for number in used)
        unused = given - {one.name for one in parameters}
        for line in self._lines:
            filters = line.wanted & self.filters
            if filters & given and filters - given:  # half of a cursor would be no cursor
                unused |= filters & given
        if unused:
            raise TypeError(f"{self.name} does not use {', '.join(sorted(unused))} in this shape")
        renamed = {str(old): str(new) for new, old in enumerate(used, 1)}
        header = _numbered(self._header.lines, renamed)
        body = (NUMBER.sub(lambda found: f"${renamed[found[1]]}", line.text) for line in lines)
        return Shape(filled("\n".join([*header, *body]) + "\n", self.schema), parameters)


def load_statements(
    folder: Path, methods: Iterable[str], schema: str = SCHEMA, parts: Path | None = None
) -> Mapping[str, Statement]:
    """Every `*.sql` of the folder by its stem; stems and methods must have the same names.

    Args:
        folder: The folder.
        methods: The names of the methods.
        schema: The schema of the log.
        parts: The folder of files that are only included; None: `part` below `folder`.

    Raises:
        QueryFileError: Lists each file that is missing, unknown or malformed.
    """
    files, others = _files(folder), _files(parts or folder / "part")
    expected = set(methods)
    faults = [f"{name}.sql: missing" for name in sorted(expected - files.keys())]
    faults += [f"part/{name}.sql: has a namesake" for name in sorted(files.keys() & others.keys())]
    statements = {}
    for name in files:
        if name not in expected:
            faults.append(f"{name}.sql: no method of this name")
            continue
        try:
            statements[name] = _load(name, others | files, schema)
        except ValueError as error:
            faults.append(f"{name}.sql: {error}")
    if faults:
        raise QueryFileError("; ".join(faults))
    return statements


def _files(folder: Path) -> dict[str, File]:
    return {path.stem: File(path) for path in sorted(folder.glob("*.sql"))}


def _load(name: str, files: Mapping[str, File], schema: str) -> Statement:
    """The statement of a file. Raises ValueError: what is wrong with the file."""
    header, lines = read_file(name, files)
    if missing := {"Columns", "Index"} - header.fields.keys():
        raise ValueError(f"has no line {' and no line '.join(sorted(missing))} in its header")
    check(lines, header.parameters)
    columns = columns_of(header, lambda one: files[one].content[0] if one in files else None)
    return Statement(name, schema, columns, header, tuple(lines))


def _numbered(header: Iterable[str], renamed: Mapping[str, str]) -> Iterator[str]:
    """The header of a shape, without the parameters that the shape lacks."""
    for line in header:
        found = _PARAMETER_LINE.fullmatch(line)
        if found is None:
            if not line.startswith("-- switch "):
                yield line
        elif found[1] in renamed:
            yield f"-- ${renamed[found[1]]} {found[2]}"


def _written(line: Line) -> str:
    marks = [*sorted(line.wanted), *(f"not {name}" for name in sorted(line.unwanted))]
    return f"{line.text}  -- if {', '.join(marks)}" if marks else line.text
