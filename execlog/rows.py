"""Executions on their way to the server and back: checked, as text, as arguments, as models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from operator import itemgetter
from types import NoneType
from typing import Any
from uuid import UUID

import asyncpg
from pydantic import ValidationError
from pydantic_core import from_json

from execlog.copytext import COLUMNS, escaped_line, line
from execlog.errors import InvalidArgument
from execlog.models import LARGEST, LONGEST_KEY, StrategyExecutionLog, invalid_argument

__all__ = ["CheckedRows", "checked", "from_record", "row_arguments"]

_TEXT_OR_NULL = (str, NoneType)
# What a line writes as it is. A value of another type goes through the model's validator first,
# which converts it or says what is wrong.
_TYPES: dict[str, tuple[type, ...]] = {
    "id": (UUID, asyncpg.pgproto.pgproto.UUID),  # the second is what the driver reads
    "created_at": (datetime, NoneType),
    "strategy_id": (str,),
    "strategy_version": (int,),
    "strategy_type": (str,),
    "status": (str,),
    "points": (float, NoneType),
    "duration_ms": (float,),
    "nodes_executed": (int,),
    "trace": (list, NoneType),
    "sampled": (bool,),
    "sample_rate": (float,),
}
_ALLOWED = tuple(_TYPES.get(column, _TEXT_OR_NULL) for column in COLUMNS)
_KEYS = ("strategy_id", "realm_id", "status", "error_code", "case_name")
_RANGED = (
    "created_at",
    "strategy_version",
    "points",
    "duration_ms",
    "nodes_executed",
    "sample_rate",
)
_COLUMN_SET = set(COLUMNS)
_TRACE = COLUMNS.index("trace")

_set = object.__setattr__  # pydantic's own way around a frozen model
_validate = StrategyExecutionLog.__pydantic_validator__.validate_python
_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
_values = itemgetter(*COLUMNS)
_texts = itemgetter(*(n for n, types in enumerate(_ALLOWED) if str in types), _TRACE)
_ranged = itemgetter(*map(COLUMNS.index, _RANGED))
_keys = itemgetter(*map(COLUMNS.index, _KEYS))
_SPECIAL = re.compile(r"[\\\t\n\r\x01]")
_INT32 = 2**31
_ROWS_AT_ONCE = 500
_CHARACTERS_AT_ONCE = 256 * 1024
_SAFE_DEPTH = 190  # the parser stops at 200
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
# The types of rows that were right. At most 2 ** (nullable columns + 1) entries.
_known_types: set[tuple[type, ...]] = set()


@dataclass(frozen=True)
class CheckedRows:
    """Rows that can be stored: their values, each trace as text already.

    `plain` says that no text among them holds a character which COPY would take for its own.
    """

    values: list[tuple[Any, ...]]
    plain: bool

    def copy_text(self) -> bytes:
        """The rows as COPY text. Never raises."""
        if self.plain:
            return "\n".join([*map(line, self.values), ""]).encode()
        return "\n".join([*map(_line, self.values), ""]).encode()


def checked(rows: Sequence[object]) -> Iterator[CheckedRows]:
    """The rows, checked, a few at a time: an event loop is kept for a few milliseconds each.

    Raises:
        InvalidArgument: A row that can't be stored; names it and its field: `rows[3].points`.
    """
    found: list[tuple[Any, ...]] = []
    size = first = 0
    for place, row in enumerate(rows):
        try:
            values = _storable(row)
        except InvalidArgument as error:
            raise _at(f"rows[{place}]", error) from error.__cause__
        found.append(values)
        size += len(values[_TRACE] or "")
        if len(found) == _ROWS_AT_ONCE or size >= _CHARACTERS_AT_ONCE:
            yield _text_checked(found, rows, first)
            found, size, first = [], 0, place + 1
    if found:
        yield _text_checked(found, rows, first)


def _text_checked(found: list[tuple[Any, ...]], rows: Sequence[object], first: int) -> CheckedRows:
    """All text of these rows at once: neither half a surrogate pair nor NUL has a place in it."""
    text = "".join(filter(None, chain.from_iterable(map(_texts, found))))
    try:
        text.encode()
    except UnicodeEncodeError:
        text = "\0"
    if "\0" not in text:
        return CheckedRows(found, plain=_SPECIAL.search(text) is None)
    # The slow check knows which row and which field it is.
    for place in range(first, first + len(found)):
        row_arguments(rows[place], f"rows[{place}]")
    raise InvalidArgument("rows", "hold what is not text")


def row_arguments(row: object, where: str) -> tuple[Any, ...]:
    """One row as the arguments of `insert_row`, in the order of the columns.

    Raises:
        InvalidArgument: It can't be stored; names `where` and the field.
    """
    try:
        values = _checked(row)
        trace = values[_TRACE]
        if trace is None:
            return values
        text = _trace_text(trace)
        try:
            text.encode()
        except UnicodeEncodeError:
            problem = "holds half of a surrogate pair, which is not text"
            raise InvalidArgument("trace", problem) from None
    except InvalidArgument as error:
        raise _at(where, error) from error.__cause__
    return (*values[:_TRACE], text, *values[_TRACE + 1 :])


def from_record(record: asyncpg.Record) -> StrategyExecutionLog:
    """The model of a row that was read, its trace as text. Never raises for a row of the table.

    It is not validated again, for a sixth of the time: the table's constraints are the model's.
    """
    fields = dict(record)
    if fields["trace"] is not None:
        fields["trace"] = _trace(fields["trace"])
    created_at = fields["created_at"]
    if created_at is not None and created_at.tzinfo is None:
        # The driver reads the infinities as the calendar's ends, and these without a zone.
        fields["created_at"] = created_at.replace(tzinfo=UTC)
    model = StrategyExecutionLog.__new__(StrategyExecutionLog)
    _set(model, "__dict__", fields)
    _set(model, "__pydantic_fields_set__", _COLUMN_SET)
    _set(model, "__pydantic_extra__", None)
    _set(model, "__pydantic_private__", None)
    return model


def _at(where: str, error: InvalidArgument) -> InvalidArgument:
    return InvalidArgument(".".join(filter(None, (where, error.argument))), error.problem)


def _checked(row: object) -> tuple[Any, ...]:
    """The row's values after the model's own validation, a model built around it included."""
    fields = row.__dict__ if isinstance(row, StrategyExecutionLog) else row
    if not isinstance(fields, Mapping):
        raise InvalidArgument("", f"must be a StrategyExecutionLog, not {type(row).__name__}")
    try:
        model = _validate(dict(fields))
    except ValidationError as error:
        raise invalid_argument(error) from error
    values: tuple[Any, ...] = _values(model.__dict__)
    return values


def _storable(row: object) -> tuple[Any, ...]:
    """The row's values, the trace as text.

    A quick look finds almost all of them to be right; for the others the model's own validator
    converts them or says what is wrong.
    """
    values = _values_of(row)
    types = tuple(map(type, values))
    if types not in _known_types:
        if all(map(tuple.__contains__, _ALLOWED, types)):
            _known_types.add(types)
        else:
            values = _checked(row)
    if not _in_range(values):
        values = _checked(row)
    if values[_TRACE] is None:
        return values
    return (*values[:_TRACE], _trace_text(values[_TRACE]), *values[_TRACE + 1 :])


def _in_range(values: tuple[Any, ...]) -> bool:
    """Whether numbers, time and keys surely are within the model's bounds."""
    created_at, version, points, duration_ms, nodes, rate = _ranged(values)
    strategy_id, realm_id, status, code, case = _keys(values)
    characters = len(strategy_id) + len(status) + len(realm_id or "") + len(code or "")
    return (
        0.0 <= duration_ms <= LARGEST
        and (points is None or -LARGEST <= points <= LARGEST)
        and 0 <= nodes < _INT32
        and -_INT32 <= version < _INT32
        and 0.0 < rate <= 1.0
        and strategy_id != ""
        and (characters + len(case or "")) * 4 <= LONGEST_KEY
        and (
            created_at is None
            or (1 < created_at.year < 9999 and created_at.utcoffset() is not None)
        )
    )


def _values_of(row: object) -> tuple[Any, ...]:
    """The values as they are, where the row looks like a model that its validator has seen."""
    if not isinstance(row, StrategyExecutionLog) or len(row.__dict__) != len(COLUMNS):
        return _checked(row)
    try:
        values: tuple[Any, ...] = _values(row.__dict__)
    except KeyError:
        return _checked(row)
    return values


def _trace(text: str) -> list[Any]:
    try:
        trace: list[Any] = from_json(text)
    except ValueError:
        # Another client stored what no parser here reads (nesting, digits): better its text.
        return [text]
    return trace


def _trace_text(trace: list[Any]) -> str:
    try:
        text = _to_json(trace)
    except (ValueError, TypeError, RecursionError) as error:
        problem = "is not JSON: it holds NaN, an infinity, itself, or a type that JSON lacks"
        raise InvalidArgument("trace", problem) from error
    if "\\u0000" in text and _JSON_NUL.search(text):
        raise InvalidArgument("trace", "holds a NUL character")
    # What is stored must be readable. Only a text with this many brackets can be too deep for it.
    if text.count("[") + text.count("{") > _SAFE_DEPTH:
        try:
            from_json(text)
        except ValueError as error:
            raise InvalidArgument("trace", "is nested too deeply") from error
    return text


def _line(values: tuple[Any, ...]) -> str:
    """One line of rows of which some must be escaped."""
    special = _SPECIAL.search("".join(filter(None, _texts(values))))
    return escaped_line(values) if special else line(values)
