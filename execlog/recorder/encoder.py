"""Turns the arguments of `record` into a line of COPY text.

The fast path writes an execution with usual values. Everything else - a text to be escaped, a value
to be converted, repaired or refused - is left to the slow path, which ends in the model's own
validator.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from execlog import context
from execlog.db import traces, values
from execlog.db.copy_format import COLUMNS, checked_line, line, timestamp, timestamp_of
from execlog.db.rows import validated
from execlog.ids import FastUUID, uuid7, uuid7_bytes
from execlog.models import StrategyExecutionLog
from execlog.recorder.fitting import Fitting

__all__ = ["Encoded", "Encoder", "with_texts"]

_TRACE = COLUMNS.index("trace")
_INPUT = COLUMNS.index("input")

Encoded = tuple[UUID, bytes, tuple[str, ...]]
"""The execution's id, its line with its end, and the changes made, each as a word to count by."""

_TEXTS = (
    "strategy_id",
    "realm_id",
    "external_game_id",
    "external_task_id",
    "external_user_id",
    "error_code",
    "case_name",
    "parent_strategy_id",
)
_READERS = {
    **dict.fromkeys(_TEXTS, values.text),
    **dict.fromkeys(("strategy_version", "nodes_executed"), values.integer),
    **dict.fromkeys(("duration_ms", "points", "sample_rate"), values.number),
    "sampled": values.flag,
}
_FIELDS = StrategyExecutionLog.model_fields
# The model takes both names.
_READERS |= {str(_FIELDS[name].alias): reader for name, reader in _READERS.items()}

_TEXT_REPAIRED = "text_repaired"
_TRACE_CUT = "trace_cut"
_TRACE_REPAIRED = "trace_repaired"
_TRACE_LEFT_OUT = "trace_left_out"


class _Unusual(Exception):
    """What `fast_path` made of the trace; a generator in the trace is used up by then."""

    def __init__(self, text: str | None, replaced: bool) -> None:
        super().__init__()
        self.text = text
        self.replaced = replaced


class Encoder:
    """Encodes executions.

    Args:
        trace_limit: The most entries of a trace that are kept, from its head.
        trace_bytes: The most bytes of its JSON text that are kept, in whole entries from its head.
        input_bytes: The most bytes of an input's JSON text; a longer one is left out.
    """

    def __init__(self, *, trace_limit: int, trace_bytes: int, input_bytes: int = 65_536) -> None:
        """Takes the limits. Never raises."""
        self._trace_limit = trace_limit
        self._trace_bytes = trace_bytes
        self._array_room = trace_bytes // 2  # a digit and a comma for each element
        self._fitting = Fitting(input_bytes)

    def encode(self, now: int, fields: dict[str, Any]) -> Encoded:
        """The line of an execution.

        Args:
            now: The clock, in nanoseconds since 1970.
            fields: The arguments of `record` that were given.

        Raises:
            InvalidArgument: It can't be stored, nor repaired; names the field.
        """
        try:
            return self.fast_path(now, **fields)
        except Exception:  # of any kind: the execution is unusual
            return self.slow_path(now, fields)

    def fast_path(
        self,
        now: int,
        strategy_id: str,
        strategy_version: int,
        strategy_type: str,
        status: str,
        duration_ms: float,
        nodes_executed: int,
        realm_id: str | None = None,
        external_game_id: str | None = None,
        external_task_id: str | None = None,
        external_user_id: str | None = None,
        error_code: str | None = None,
        points: float | None = None,
        case_name: str | None = None,
        trace: list[Any] | None = None,
        parent_strategy_id: str | None = None,
        notes: str | None = None,
        id: UUID | None = None,
        created_at: datetime | None = None,
        sampled: bool = False,
        sample_rate: float = 1.0,
        trace_id: UUID | str | int | None = None,
        error_message: Any = None,
        input: Any = None,
        attributes: dict[str, Any] | None = None,
    ) -> Encoded:
        """The line of an execution with usual values.

        Raises:
            Exception: Of any kind: it is unusual; `slow_path` decides.
        """
        altered: tuple[str, ...] = ()
        text = None
        if trace is not None:
            if len(trace) > self._trace_limit:
                notes = _joined(notes, _cut_note(len(trace), self._trace_limit))
                trace, altered = trace[: self._trace_limit], (_TRACE_CUT,)
            if not isinstance(trace, list):
                raise TypeError
            text, replaced = traces.lenient_text(trace, self._array_room)
            # At most four bytes for a character: most traces need not be encoded.
            if text is None or (len(text) * 4 > self._trace_bytes and self._is_too_long(text)):
                raise _Unusual(text, replaced)
            if replaced:
                altered = (*altered, _TRACE_REPAIRED)
        try:
            if created_at is None:
                written = timestamp_of(now)
            elif created_at.utcoffset() is not None:
                written = timestamp(created_at)
            else:
                raise ValueError
            raw = uuid7_bytes(now) if id is None else id.bytes
            # fmt: off
            encoded = line(
                raw.hex(), written, strategy_id, strategy_version, strategy_type, realm_id,
                external_game_id, external_task_id, external_user_id, status, error_code, points,
                case_name, duration_ms, nodes_executed, text, sampled, sample_rate,
                parent_strategy_id, notes,
                None if trace_id is None else context.trace_id(trace_id).hex,
                None if error_message is None else context.error_message(error_message),
                None if input is None else self._fitting.usual_input(input),
                None if attributes is None else self._fitting.usual_attributes(attributes),
            )
            # fmt: on
            return FastUUID(raw), encoded, altered
        except Exception as error:
            if text is None:
                raise
            raise _Unusual(text, _TRACE_REPAIRED in altered) from error

    def _is_too_long(self, text: str) -> bool:
        return len(text) > self._trace_bytes or (
            not text.isascii() and len(text.encode()) > self._trace_bytes
        )

    def slow_path(self, now: int, fields: dict[str, Any]) -> Encoded:
        """The line of any execution, repaired if need be; eight times the work of `fast_path`.

        If it is called in the handler of an error of `fast_path`, the trace is not encoded again.

        Raises:
            InvalidArgument: It can't be stored, nor repaired; names the field.
        """
        altered = []
        fields = dict(fields)
        fitted = self._fitting.fit(fields)
        given = {name: _plain(name, value) for name, value in fields.items()}
        for name, value in fields.items():
            if issubclass(type(value), str) and str.__ne__(value, given[name]):
                altered.append(_TEXT_REPAIRED)
        if given.get("id") is None:
            given["id"] = uuid7()
        if given.get("created_at") is None:
            given["created_at"] = datetime.fromtimestamp(now / 1e9, UTC)
        trace_text = None
        if given.get("trace") is not None:
            trace_text, note, change = self._repaired_trace(given["trace"])
            if note and isinstance(given.get("notes"), str | None):
                given["notes"] = _joined(given.get("notes"), note)
            altered += change
        for note in fitted.notes:
            if isinstance(given.get("notes"), str | None):
                given["notes"] = _joined(given.get("notes"), note)
        altered += fitted.altered
        given |= {"trace": None, "trace_id": fitted.trace_id, "error_message": fitted.error_message}
        row = list(validated(given))
        row[_TRACE], row[_INPUT:] = trace_text, (fitted.input, fitted.attributes)
        return row[0], checked_line(tuple(row)), tuple(dict.fromkeys(altered))

    def _repaired_trace(self, trace: object) -> tuple[str | None, str, list[str]]:
        """The trace as JSON text, a note on what is missing from it, and the changes made."""
        left_out = None, "trace left out: it is no list of JSON values", [_TRACE_LEFT_OUT]
        head, entries = self._head(trace)
        if head is None:
            return left_out
        room = self._array_room
        unusual = sys.exception()
        if isinstance(unusual, _Unusual):
            text, replaced = unusual.text, unusual.replaced
        else:
            text, replaced = traces.lenient_text(head, room) if type(head) is list else (None, True)
        if text is None:
            mended = traces.mended(head, room)
            text = None if mended is None else traces.lenient_text(mended, room)[0]
        if text is None:
            return left_out
        altered = [_TRACE_REPAIRED] if replaced else []
        kept = len(head)
        if self._is_too_long(text):
            text, kept = traces.shortened(text, self._trace_bytes)
        if kept == entries:
            return text, "", altered
        return text, _cut_note(entries, kept), [*altered, _TRACE_CUT]

    def _head(self, trace: Any) -> tuple[list[Any] | tuple[Any, ...] | None, int]:
        """The entries that may be kept, and how many there are in all; None if it is no list."""
        try:
            head = trace[: self._trace_limit]
            if not isinstance(trace, list | tuple):
                found = values.array(head, self._array_room)
                head = None if found is None else found[0]
            return head, len(trace)
        except Exception:  # a type of the engine's own may raise anything
            return None, 0


def with_texts(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with ids as the text that is stored, as a mask expects them. Never raises."""
    return fields | {name: values.text(fields[name]) for name in _TEXTS if name in fields}


def _plain(name: str, value: Any) -> Any:
    """The value as the model wants it, if it can be converted."""
    if issubclass(type(value), str):
        return traces.mended_text(value)
    reader = _READERS.get(name)
    return value if reader is None else reader(value)


def _cut_note(entries: int, kept: int) -> str:
    return f"trace truncated: {entries} -> {kept} entries"


def _joined(notes: str | None, note: str) -> str:
    return notes + "; " + note if notes else note
