"""The lines of a file as executions, in the formats of several programs."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import IO, Any

from pydantic_core import from_json

from execlog import InvalidArgument, StrategyExecutionLog
from execlog.db.rows import checked_values

__all__ = ["Reader", "lines"]

_LONGEST_LINE = 256 * 1024 * 1024
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
# The namespace of ids that are made for lines without one.
_NAMESPACE = uuid.UUID("6b1f9a52-5f0d-5b7e-9c1e-3d6f0a7c2e41")
_COLUMNS = {
    name: column
    for column, field in StrategyExecutionLog.model_fields.items()
    for name in (column, field.alias)
}
_OF_THE_STORE = ("stored_at", "stored_xid")  # it sets them anew
_INTEGERS = ("strategy_version", "nodes_executed")
# Postgres' ISO format of a time, of any year.
_TIME = re.compile(
    r"(\d{4,})-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?[-+]\d\d(?::\d\d){0,2}( BC)?"
)
_INFINITE = {
    # As the driver reads them.
    "infinity": datetime.max.replace(tzinfo=UTC),
    "-infinity": datetime.min.replace(tzinfo=UTC),
}


def lines(file: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers; a line that is too long is cut.

    Raises:
        OSError: The file can't be read.
    """
    number = 0
    while line := file.readline(_LONGEST_LINE):
        number += 1
        rest = line
        while len(rest) == _LONGEST_LINE and not rest.endswith(b"\n"):
            rest = file.readline(_LONGEST_LINE)
        if line.strip():
            yield number, line


class Reader:
    """Makes executions of lines.

    Attributes:
        unrated: The number of sampled executions without a rate.
        cut: The number of executions with fields that were left out.
    """

    def __init__(self, *, sample_rate: float | None = None, ignore_unknown: bool = False) -> None:
        """Takes the rules for odd lines. Never raises.

        Args:
            sample_rate: The rate of sampled executions that have none.
            ignore_unknown: Leave out fields that no execution has.
        """
        self._sample_rate = sample_rate
        self._ignore_unknown = ignore_unknown
        self.unrated = self.cut = 0

    def execution(self, line: int, text: bytes) -> StrategyExecutionLog:
        """The execution of a line. Raises InvalidArgument: it is none, or can't be stored."""
        fields = _columns(_object(line, text))
        unknown = fields.keys() - _COLUMNS.keys() if self._ignore_unknown else set()
        for name in unknown:
            del fields[name]
        if "id" not in fields:
            made = uuid.uuid5(_NAMESPACE, f"{line} {text.strip().decode(errors='replace')}")
            fields["id"] = str(made)
        _translate(fields)
        unrated = fields.get("sample_rate") is None and fields.get("sampled") is True
        if fields.get("sample_rate") is None:
            fields["sample_rate"] = (self._sample_rate or 1.0) if unrated else 1.0
        found = StrategyExecutionLog(**fields)
        if found.trace is not None or found.input is not None:
            checked_values(found, "")  # the model does not check what is within them
        self.unrated += unrated and self._sample_rate is None
        self.cut += bool(unknown)
        return found


def _object(line: int, text: bytes) -> dict[str, Any]:
    """The object of a line. Raises InvalidArgument: it is none."""
    if len(text) == _LONGEST_LINE:
        raise InvalidArgument("", f"is longer than {_LONGEST_LINE:,} bytes")
    if line == 1 and text.startswith(_GZIP):
        raise InvalidArgument("", "is compressed: zcat FILE | execlog import -")
    try:
        fields = from_json(text.removeprefix(_BOM))
    except ValueError:
        raise InvalidArgument("", "can't be read as JSON") from None
    if not isinstance(fields, dict):
        raise InvalidArgument("", "is not a JSON object")
    return fields


def _columns(given: dict[str, Any]) -> dict[str, Any]:
    """The fields by their columns. Raises InvalidArgument: one has both spellings."""
    fields: dict[str, Any] = {}
    for name, value in given.items():
        column = _COLUMNS.get(name, name)
        if column in fields:
            raise InvalidArgument(column, "is there in both spellings")
        fields[column] = value
    return fields


def _translate(fields: dict[str, Any]) -> None:
    """Replaces other programs' spellings of values by the model's. Raises InvalidArgument."""
    fields["created_at"] = _time(fields.get("created_at"))
    for name in _OF_THE_STORE:
        fields.pop(name, None)
    for name in _INTEGERS:
        value = fields.get(name)
        if isinstance(value, float) and value.is_integer():
            fields[name] = int(value)
    if isinstance(fields.get("trace"), str):
        fields["trace"] = _trace(fields["trace"])


def _time(value: object) -> object:
    """A time in Postgres' format; other values unchanged. Raises InvalidArgument."""
    if not isinstance(value, str):
        return value
    found = _TIME.fullmatch(value)
    if found is None:
        return _INFINITE.get(value, value)
    try:
        if found[2] or len(found[1]) > 4:
            raise OverflowError
        return datetime.fromisoformat(value)
    except OverflowError:
        raise InvalidArgument("created_at", "lies outside the years 1 to 9999 in UTC") from None
    except ValueError:  # a month of 13
        return value


def _trace(text: str) -> object:
    """A trace given as JSON text; other texts unchanged. Never raises."""
    try:
        trace = from_json(text)
    except ValueError:
        return text
    return trace if trace is None or isinstance(trace, list) else text
