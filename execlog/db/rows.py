"""Executions between client and server: checked, as text, as arguments, as models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import attrgetter, itemgetter
from typing import Any

import asyncpg
from pydantic import ValidationError

from execlog import context
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
    "outlined",
    "validated",
]

Row = asyncpg.Record | Mapping[str, Any]
"""A row that was read, or the same as JSON."""

_FIELDS = set(StrategyExecutionLog.model_fields)
_JSON = ("trace", "input", "attributes")
_PLACES = tuple((COLUMNS.index(name), name) for name in _JSON)
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


def json_object(row: object, where: str) -> str:
    """A row as a JSON object, keyed by column.

    Raises:
        InvalidArgument: It can't be stored; names `where` and the field.
    """
    fields = dict(zip(COLUMNS, checked_values(row, where), strict=True))
    ready = {name: fields.pop(name) for name in _JSON}  # these are JSON already
    # Not escaped: a server with another encoding could not read the escapes.
    text = json.dumps(fields, default=_text, ensure_ascii=False)
    more = "".join(f', "{name}": {held}' for name, held in ready.items() if held is not None)
    return f"{text[:-1]}{more}}}"


def checked_values(row: object, where: str) -> tuple[Any, ...]:
    """The values of a row in the order of the columns; trace, input and attributes as JSON text.

    Raises:
        InvalidArgument: It can't be stored; names `where` and the field.
    """
    try:
        values = list(validated(row))
        for place, name in _PLACES:
            if values[place] is not None:
                values[place] = _checked_json(name, values[place])
    except InvalidArgument as error:
        raise _at(where, error) from error.__cause__
    return tuple(values)


def outlined(record: Row) -> StrategyExecutionLog:
    """The model of a row that was read without payloads. Never raises for a row of the table."""
    return _model(Outlined, dict(record))


def from_record(record: Row) -> StrategyExecutionLog:
    """The model of a row that was read, its JSON as text. Never raises for a row of the table.

    It is not validated again, which takes a sixth of the time: the table has the same checks.
    """
    fields = dict(record)
    if fields["trace"] is not None:
        fields["trace"] = traces.read(fields["trace"])
    if fields["input"] is not None:
        fields["input"] = traces.read_value(fields["input"])
    return _model(StrategyExecutionLog, fields)


def aware(time: datetime | None) -> datetime | None:
    """A time that was read, in UTC. Never raises.

    The driver reads infinities as the calendar's ends, without a time zone.
    """
    return time if time is None or time.tzinfo is not None else time.replace(tzinfo=UTC)


def aware_fields(found: Row) -> dict[str, Any]:
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
    if fields["attributes"] is not None:
        fields["attributes"] = traces.read_object(fields["attributes"])
    fields["created_at"] = aware(fields["created_at"])
    fields["stored_at"] = aware(fields["stored_at"])
    model = kind.__new__(kind)
    _set(model, "__dict__", fields)
    _set(model, "__pydantic_fields_set__", _FIELDS)
    _set(model, "__pydantic_extra__", None)
    _set(model, "__pydantic_private__", None)
    return model


def _text(value: object) -> str:
    """The text of a value that JSON has no form for."""
    return timestamp(value) if isinstance(value, datetime) else str(value)


def _checked_json(name: str, value: Any) -> str | None:
    """The JSON text of a column. Raises InvalidArgument: Postgres can't store it."""
    text = traces.strict_text(value, name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(name, "holds half of a surrogate pair, which is not text") from None
    return text


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
    if not isinstance(row, StrategyExecutionLog) or len(row.__dict__) != len(_FIELDS):
        raise TypeError
    id_, created_at, *others = _values(row.__dict__)
    if created_at is not None and created_at.utcoffset() is None:
        raise ValueError
    for place, usual in _USUAL:
        if others[place] is not None:
            others[place] = usual(others[place])
    time = None if created_at is None else timestamp(created_at)
    return line(id_.hex, time, *others)


def _trace(value: object) -> str:
    if not isinstance(value, list):
        raise TypeError
    return traces.strict_text(value, "trace")


def _attributes(value: dict[str, Any]) -> str:
    return context.attributes_text(context.attributes(value))


_USUAL: tuple[tuple[int, Callable[[Any], str]], ...] = tuple(
    (COLUMNS.index(name) - 2, usual)
    for name, usual in (
        ("trace", _trace),
        ("trace_id", attrgetter("hex")),
        ("error_message", context.error_message),
        ("input", partial(traces.strict_text, argument="input")),
        ("attributes", _attributes),
    )
)
