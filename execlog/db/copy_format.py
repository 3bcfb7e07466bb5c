"""COPY's text format: an execution's values as one line, and a line as its values again.

Text rather than binary: the server parses each value by the column's present type, no codec of the
caller's pool takes part, and a row is plain bytes from here on. It costs no speed: ready text lines
were stored at 1.05 to 1.2 times the rows/s of ready binary tuples.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from execlog.models import LARGEST, LONGEST_KEY, StrategyExecutionLog

__all__ = [
    "COLUMNS",
    "NULL",
    "checked_line",
    "fields_of",
    "line",
    "timestamp",
    "timestamp_of",
]

COLUMNS = tuple(name for name in StrategyExecutionLog.model_fields if name != "stored_at")
"""The columns that are written, in the order of the table, the model and every statement.

The store itself sets `stored_at`.
"""

NULL = "\x01"
"""How COPY text writes NULL here: without a backslash, so that most lines need no escaping."""

_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r", "\x01": r"\x01"})
# The bytes that need escaping in a line, and NUL, which Postgres can't store.
_SPECIAL = b"\\\t\n\r\x01\0"
_INT32 = 2**31

_int_text, _float_text = int.__repr__, float.__repr__
_NUMBER_TEXT: dict[type, Callable[[Any], str]] = {int: _int_text, float: _float_text}
_UNESCAPED = {"t": "\t", "n": "\n", "r": "\r", "x01": "\x01"}
_ESCAPE = re.compile(r"\\(x01|.)")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_second = (-1, "")  # the last second that was written, and how


def line(
    id_hex: str,
    created_at: str | None,
    strategy_id: str,
    strategy_version: int,
    strategy_type: str,
    realm_id: str | None,
    external_game_id: str | None,
    external_task_id: str | None,
    external_user_id: str | None,
    status: str,
    error_code: str | None,
    points: float | None,
    case_name: str | None,
    duration_ms: float,
    nodes_executed: int,
    trace: str | None,
    sampled: bool,
    sample_rate: float,
    parent_strategy_id: str | None,
    notes: str | None,
    trace_id: str | None,
    error_message: str | None,
    input: str | None,
    attributes: str | None,
) -> bytes:
    """The fast path: one line, with its end, of a row that has the model's types and ranges.

    Column by column, checks included: it runs for every row, and a loop over the columns takes four
    times as long. Ids and time are text already; trace, input and attributes are JSON that
    holds no NUL, the message holds no secrets.

    Raises:
        Exception: Of any kind: the row is unusual, and the model's validator must decide.
    """
    texts = "".join(
        (
            strategy_id,
            strategy_type,
            "" if realm_id is None else realm_id,
            "" if external_game_id is None else external_game_id,
            "" if external_task_id is None else external_task_id,
            "" if external_user_id is None else external_user_id,
            status,
            "" if error_code is None else error_code,
            "" if case_name is None else case_name,
            "" if parent_strategy_id is None else parent_strategy_id,
            "" if notes is None else notes,
            "" if error_message is None else error_message,
        )
    ).encode()
    if (
        not strategy_id
        or not 0.0 <= duration_ms <= LARGEST
        or not (points is None or -LARGEST <= points <= LARGEST)
        or not 0 <= nodes_executed < _INT32
        or nodes_executed.__class__ is not int
        or not -_INT32 <= strategy_version < _INT32
        or strategy_version.__class__ is not int
        or not 0.0 < sample_rate <= 1.0
        or sampled.__class__ is not bool
    ):
        raise ValueError
    if len(texts) > LONGEST_KEY:
        for key in (strategy_id, realm_id, status, error_code, case_name):
            if key is not None and len(key.encode()) > LONGEST_KEY:
                raise ValueError
    if len(texts) != len(texts.translate(None, _SPECIAL)):
        if b"\0" in texts:
            raise ValueError
        # fmt: off
        (
            strategy_id, strategy_type, realm_id, external_game_id, external_task_id,
            external_user_id, status, error_code, case_name, parent_strategy_id, notes,
            error_message,
        ) = (  # type: ignore[assignment]
            None if text is None else str.translate(text, _ESCAPES)
            for text in (
                strategy_id, strategy_type, realm_id, external_game_id, external_task_id,
                external_user_id, status, error_code, case_name, parent_strategy_id, notes,
                error_message,
            )
        )
        # fmt: on
    return "\t".join(
        (
            id_hex,
            NULL if created_at is None else created_at,
            strategy_id,
            _int_text(strategy_version),
            strategy_type,
            NULL if realm_id is None else realm_id,
            NULL if external_game_id is None else external_game_id,
            NULL if external_task_id is None else external_task_id,
            NULL if external_user_id is None else external_user_id,
            status,
            NULL if error_code is None else error_code,
            NULL if points is None else _NUMBER_TEXT[points.__class__](points),
            NULL if case_name is None else case_name,
            _NUMBER_TEXT[duration_ms.__class__](duration_ms),
            _int_text(nodes_executed),
            NULL if trace is None else trace.replace("\\", "\\\\"),
            "t" if sampled else "f",
            "1.0" if sample_rate == 1.0 else _float_text(sample_rate),
            NULL if parent_strategy_id is None else parent_strategy_id,
            NULL if notes is None else notes,
            NULL if trace_id is None else trace_id,
            NULL if error_message is None else error_message,
            NULL if input is None else input.replace("\\", "\\\\"),
            (NULL if attributes is None else attributes.replace("\\", "\\\\")) + "\n",
        )
    ).encode()


def checked_line(values: tuple[Any, ...]) -> bytes:
    """The slow path: the same for values in column order that the model's validator accepted.

    Raises:
        TypeError: A value is of a type that no column holds.
    """
    return ("\t".join(map(_escaped, values)) + "\n").encode()


def fields_of(line: str) -> dict[str, str | None]:
    """The values of a line by column, each as text. Never raises for a line that was made here.

    Args:
        line: The line, with or without its end.
    """
    texts = line.removesuffix("\n").split("\t")
    values = (None if text == NULL else _ESCAPE.sub(_unescaped, text) for text in texts)
    return dict(zip(COLUMNS, values, strict=True))


def timestamp(time: datetime) -> str:
    """A time with a time zone, in the form that Postgres reads.

    Raises:
        OverflowError: In UTC it lies outside the calendar; the model has no such time.
    """
    if time.tzinfo is not UTC:
        # The server refuses an offset beyond 15:59 and one with a fraction of a minute.
        time = time.astimezone(UTC)
    if 1 < time.year < 9999:
        return time.isoformat()
    # The driver sends and reads the calendar's ends as infinities; COPY must agree with it.
    return {_FIRST: "-infinity", _LAST: "infinity"}.get(time) or time.isoformat()


def timestamp_of(now: int) -> str:
    """The same for the clock in nanoseconds since 1970, in the years 2 to 9998.

    Never raises.
    """
    global _second
    second, nanosecond = divmod(now, 1_000_000_000)
    known, prefix = _second
    if second != known:
        prefix = datetime.fromtimestamp(second, UTC).isoformat()[:19]
        # One assignment, so that another thread never sees one of the two without the other.
        _second = second, prefix
    return f"{prefix}.{str(nanosecond + 1_000_000_000)[1:7]}+00"


def _unescaped(found: re.Match[str]) -> str:
    return _UNESCAPED.get(found[1], found[1])


def _escaped(value: Any) -> str:
    """One value of a line; a subclass, which may have its own str(), as its base class."""
    if value is None:
        return NULL
    if isinstance(value, str):
        return str.translate(value, _ESCAPES)
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
