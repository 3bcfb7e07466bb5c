"""Executions between client and server: checked, as text, as arguments, as models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import Any

import asyncpg
from pydantic import ValidationError

from execlog.db import traces, validation
from execlog.db.copy_format import COLUMNS, checked_line, line, timestamp
from execlog.errors import InvalidArgument
from execlog.models import Outlined, StrategyExecutionLog, invalid_argument

__all__ = [
    "Row",
    "aware",
    "aware_fields",
    "checked_values",
    "copy_lines",
    "from_record",
    "json_object",
    "json_objects",
    "outlined",
    "validated",
]

Row = asyncpg.Record | Mapping[str, Any]
"""A row that was read, or the same as JSON."""

_COLUMN_SET = set(COLUMNS)
_TRACE = COLUMNS.index("trace")
_ROWS_AT_ONCE = 500
_BYTES_AT_ONCE = 256 * 1024

_set = object.__setattr__  # pydantic's own way around a frozen model
_validate = StrategyExecutionLog.__pydantic_validator__.validate_python
_values = itemgetter(*COLUMNS)


def copy_lines(rows: Sequence[object]) -> Iterator[bytes]:
    """The rows as COPY text, in slices that hold the event loop for a few milliseconds each.

    Raises:
        InvalidArgument: A row that can't be stored; names it and its field: `rows[3].points`.
    """
    return _some_at_a_time((_copy_line(row, place) for place, row in enumerate(rows)), b"")


def json_objects(rows: Sequence[object]) -> Iterator[bytes]:
    """The rows as JSON objects, keyed by column, with commas between; in slices.

    Raises:
        InvalidArgument: A row that can't be stored; names it and its field: `rows[3].points`.
    """
    objects = (json_object(row, f"rows[{place}]").encode() for place, row in enumerate(rows))
    return _some_at_a_time(objects, b",")


def json_object(row: object, where: str) -> str:
    """A row as a JSON object, keyed by column.

    Raises:
        InvalidArgument: It can't be stored; names `where` and the field.
    """
    fields = dict(zip(COLUMNS, checked_values(row, where), strict=True))
    trace = fields.pop("trace")
    # Not escaped: a server with another encoding could not read the escapes.
    text = json.dumps(fields, default=_text, ensure_ascii=False)
    return text if trace is None else f'{text[:-1]}, "trace": {trace}}}'  # it is JSON already


def checked_values(row: object, where: str) -> tuple[Any, ...]:
    """The values of a row in the order of the columns, the trace as JSON text.

    Raises:
        InvalidArgument: It can't be stored; names `where` and the field.
    """
    try:
        values = validated(row)
        trace = values[_TRACE]
        if trace is None:
            return values
        text = traces.strict_text(trace)
        try:
            text.encode()
        except UnicodeEncodeError:
            problem = "holds half of a surrogate pair, which is not text"
            raise InvalidArgument("trace", problem) from None
    except InvalidArgument as error:
        raise _at(where, error) from error.__cause__
    return (*values[:_TRACE], text, *values[_TRACE + 1 :])


def outlined(record: asyncpg.Record) -> StrategyExecutionLog:
    """The model of a row that was read without payloads. Never raises for a row of the table."""
    return _model(Outlined, dict(record))


def from_record(record: asyncpg.Record) -> StrategyExecutionLog:
    """The model of a row that was read, its trace as text. Never raises for a row of the table.

    It is not validated again, which takes a sixth of the time: the table has the same checks.
    """
    fields = dict(record)
    if fields["trace"] is not None:
        fields["trace"] = traces.read(fields["trace"])
    return _model(StrategyExecutionLog, fields)


def aware(time: datetime | None) -> datetime | None:
    """A time that was read, in UTC. Never raises.

    The driver reads infinities as the calendar's ends, without a time zone.
    """
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)


def aware_fields(found: asyncpg.Record) -> dict[str, Any]:
    """The fields of a row, times in UTC. Never raises."""
    return {
        name: aware(value) if isinstance(value, datetime) else value
        for name, value in found.items()
    }


def validated(row: object) -> tuple[Any, ...]:
    """The row's values, validated by the model even if the row was built without that.

    Raises:
        InvalidArgument: It can't be stored; names the field.
    """
    fields = row.__dict__ if isinstance(row, StrategyExecutionLog) else row
    if not isinstance(fields, Mapping):
        raise InvalidArgument("", validation.must_be("a StrategyExecutionLog", row))
    try:
        model = _validate(dict(fields))
    except ValidationError as error:
        raise invalid_argument(error) from error
    values: tuple[Any, ...] = _values(model.__dict__)
    return values


def _model(kind: type[StrategyExecutionLog], fields: dict[str, Any]) -> StrategyExecutionLog:
    fields["created_at"] = aware(fields["created_at"])
    model = kind.__new__(kind)
    _set(model, "__dict__", fields)
    _set(model, "__pydantic_fields_set__", _COLUMN_SET)
    _set(model, "__pydantic_extra__", None)
    _set(model, "__pydantic_private__", None)
    return model


def _text(value: object) -> str:
    """The text of a value that JSON has no form for."""
    return timestamp(value) if isinstance(value, datetime) else str(value)


def _copy_line(row: object, place: int) -> bytes:
    try:
        return _usual_line(row)
    except Exception:  # of any kind: the row is unusual
        return checked_line(checked_values(row, f"rows[{place}]"))


def _some_at_a_time(texts: Iterable[bytes], separator: bytes) -> Iterator[bytes]:
    some: list[bytes] = []
    size = 0
    for text in texts:
        some.append(text)
        size += len(text)
        if len(some) == _ROWS_AT_ONCE or size >= _BYTES_AT_ONCE:
            yield separator.join(some)
            some, size = [], 0
    if some:
        yield separator.join(some)


def _at(where: str, error: InvalidArgument) -> InvalidArgument:
    return InvalidArgument(".".join(filter(None, (where, error.argument))), error.problem)


def _usual_line(row: object) -> bytes:
    """The fast path: the line of a model. Raises anything if a value needs a second look."""
    if not isinstance(row, StrategyExecutionLog) or len(row.__dict__) != len(COLUMNS):
        raise TypeError
    id_, created_at, *others = _values(row.__dict__)
    if created_at is not None and created_at.utcoffset() is None:
        raise ValueError
    place = _TRACE - 2
    if others[place] is not None:
        if not isinstance(others[place], list):
            raise TypeError
        others[place] = traces.strict_text(others[place])
    time = None if created_at is None else timestamp(created_at)
    return line(id_.hex, time, *others)
