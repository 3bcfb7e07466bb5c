"""COPY's text format: an execution's values as one line, and a line as its values again.

Text rather than binary, for three reasons: the server reads each value by the column's type of
that moment, no codec of the caller's pool takes part, and a row is plain bytes from here on. It
costs no speed: ready lines went in at 1.05 to 1.2 times the rows/s of ready tuples in binary.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from execlog.models import StrategyExecutionLog

__all__ = ["COLUMNS", "ESCAPES", "NULL", "escaped_line", "fields_of", "line", "timestamp"]

COLUMNS = tuple(StrategyExecutionLog.model_fields)
"""The columns in the order of the table, the model and every statement."""

NULL = "\x01"
"""How COPY text writes NULL here: without a backslash, so that most lines need no escaping."""

ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\x01": r"\x01"})
"""What a text must have replaced before it is part of a line."""

_UNESCAPED = {"t": "\t", "n": "\n", "r": "\r", "x01": "\x01"}
_ESCAPE = re.compile(r"\\(x01|.)")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_INFINITIES = {"-infinity": _FIRST, "infinity": _LAST}


def line(values: tuple[Any, ...]) -> str:
    """One line, without its end, nothing escaped. Never raises for values that were checked.

    Spelled out: a loop over the columns takes four times as long, and it runs for every row.
    """
    # fmt: off
    (
        id_, created_at, strategy_id, version, type_, realm_id, game_id, task_id, user_id, status,
        code, points, case, duration_ms, nodes, trace, sampled, rate, parent_id, notes,
    ) = values
    # fmt: on
    return (
        f"{id_.int:032x}\t{NULL if created_at is None else timestamp(created_at)}\t"
        f"{strategy_id}\t{version}\t{type_}\t{NULL if realm_id is None else realm_id}\t"
        f"{NULL if game_id is None else game_id}\t{NULL if task_id is None else task_id}\t"
        f"{NULL if user_id is None else user_id}\t{status}\t{NULL if code is None else code}\t"
        f"{NULL if points is None else points}\t{NULL if case is None else case}\t"
        f"{duration_ms}\t{nodes}\t{NULL if trace is None else trace}\t"
        f"{'t' if sampled else 'f'}\t{rate}\t{NULL if parent_id is None else parent_id}\t"
        f"{NULL if notes is None else notes}"
    )


def escaped_line(values: tuple[Any, ...]) -> str:
    """The same, each text escaped. Never raises for values that were checked."""
    return "\t".join(map(_escaped, values))


def fields_of(line: str) -> dict[str, str | None]:
    """The values of a line by column, each as text. Never raises for a line that was made here.

    Args:
        line: The line, with or without its end.
    """
    texts = line.removesuffix("\n").split("\t")
    values = (None if text == NULL else _ESCAPE.sub(_unescaped, text) for text in texts)
    return dict(zip(COLUMNS, values, strict=True))


def timestamp(time: datetime) -> str:
    """A time with a zone, as Postgres reads it.

    Raises:
        OverflowError: In UTC it lies outside the calendar; the model has no such time.
    """
    if time.tzinfo is not UTC:
        # The server knows no offset beyond 15:59 and none with a fraction of a minute.
        time = time.astimezone(UTC)
    if 1 < time.year < 9999:
        return time.isoformat()
    # The driver sends and reads the calendar's ends as infinities; COPY must agree with it.
    return {_FIRST: "-infinity", _LAST: "infinity"}.get(time) or time.isoformat()


def _unescaped(found: re.Match[str]) -> str:
    return _UNESCAPED.get(found[1], found[1])


def _escaped(value: Any) -> str:
    """One value of a line; subclasses, which have a str() of their own, as what they are."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return str.translate(value, ESCAPES)
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, UUID):
        return f"{value.int:032x}"
    raise TypeError(f"no column holds a {type(value).__name__}")
