"""From the arguments of `record` to a line of COPY text.

An execution that is as it should be is written straight away. Whatever is unusual about the others
- a text to be escaped, a value to be converted, repaired or refused - is left to the careful way,
which ends in the model's own validator.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from execlog import traces
from execlog.copytext import COLUMNS, checked_line, line, timestamp, timestamp_of
from execlog.ids import FastUUID, uuid7, uuid7_bytes
from execlog.rows import validated

__all__ = ["Encoded", "Encoder"]

_TRACE = COLUMNS.index("trace")

Encoded = tuple[UUID, bytes, tuple[str, ...]]
"""The execution's id, its line with its end, and what was altered, each as a word to count by."""

_TEXT_REPAIRED = "text_repaired"
_TRACE_CUT = "trace_cut"
_TRACE_REPAIRED = "trace_repaired"
_TRACE_LEFT_OUT = "trace_left_out"


class Encoder:
    """Writes executions.

    Args:
        trace_limit: Entries of a trace that are kept, from its head.
        trace_bytes: Bytes of JSON text that are kept of a trace, in whole entries from its head.
    """

    def __init__(self, *, trace_limit: int, trace_bytes: int) -> None:
        """Takes the limits. Never raises."""
        self._trace_limit = trace_limit
        self._trace_bytes = trace_bytes

    def encode(self, now: int, fields: dict[str, Any]) -> Encoded:
        """The line of an execution.

        Args:
            now: The clock, in nanoseconds since 1970.
            fields: The arguments of `record` that were given.

        Raises:
            InvalidArgument: It can't be stored, nor repaired; names the field.
        """
        try:
            return self.usual(now, **fields)
        except Exception:  # all that is unusual ends here, in whatever way it shows
            return self.careful(now, fields)

    def usual(
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
    ) -> Encoded:
        """The line of an execution that is as it should be.

        Raises:
            Exception: Of any kind: it is unusual; `careful` can say more.
        """
        altered: tuple[str, ...] = ()
        text = None
        if trace is not None:
            if len(trace) > self._trace_limit:
                notes = _joined(notes, _cut_note(len(trace), self._trace_limit))
                trace, altered = trace[: self._trace_limit], (_TRACE_CUT,)
            text = traces.lenient_text(trace) if isinstance(trace, list) else None
            if text is None or self._is_too_long(text):
                raise ValueError
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
        )
        # fmt: on
        return FastUUID(raw), encoded, altered

    def _is_too_long(self, text: str) -> bool:
        return len(text) > self._trace_bytes or (
            not text.isascii() and len(text.encode()) > self._trace_bytes
        )

    def careful(self, now: int, fields: dict[str, Any]) -> Encoded:
        """The line of any execution, repaired where it must be; eight times the work of `usual`.

        Raises:
            InvalidArgument: It can't be stored, nor repaired; names the field.
        """
        altered = []
        given = {}
        for name, value in fields.items():
            given[name] = traces.mended_text(value) if isinstance(value, str) else value
            if given[name] != value:
                altered.append(_TEXT_REPAIRED)
        if given.get("id") is None:
            given["id"] = uuid7()
        if given.get("created_at") is None:
            given["created_at"] = datetime.fromtimestamp(now / 1e9, UTC)
        trace_text = None
        if given.get("trace") is not None:
            trace_text, note, change = self._careful_trace(given["trace"])
            if note and isinstance(given.get("notes"), str | None):
                given["notes"] = _joined(given.get("notes"), note)
            altered += change
        values = validated(given | {"trace": None})
        encoded = checked_line((*values[:_TRACE], trace_text, *values[_TRACE + 1 :]))
        return values[0], encoded, tuple(dict.fromkeys(altered))

    def _careful_trace(self, trace: object) -> tuple[str | None, str, list[str]]:
        """The trace as JSON text, a note on what is missing from it, and what was altered."""
        left_out = None, "trace left out: it is no list of JSON values", [_TRACE_LEFT_OUT]
        if not isinstance(trace, list | tuple):
            return left_out
        altered = []
        # The head first: what is cut off is not worth a look.
        head = trace[: self._trace_limit]
        entries = head if isinstance(head, list) else None
        text = traces.lenient_text(entries) if entries is not None else None
        if text is None:
            altered.append(_TRACE_REPAIRED)
            entries = traces.mended(head)
            text = traces.lenient_text(entries) if entries is not None else None
        if entries is None or text is None:
            return left_out
        kept = self._kept(entries)
        if kept == len(trace):
            return text, "", altered
        note = _cut_note(len(trace), kept)
        return traces.lenient_text(entries[:kept]), note, [*altered, _TRACE_CUT]

    def _kept(self, entries: list[Any]) -> int:
        """How many entries the limit of bytes leaves of a trace, from its head."""
        size = 1
        for place, entry in enumerate(entries):
            # Its brackets stand for the comma and the list's own.
            size += len((traces.lenient_text([entry]) or "").encode()) - 1
            if size > self._trace_bytes:
                return place
        return len(entries)


def _cut_note(entries: int, kept: int) -> str:
    return f"trace truncated: {entries} -> {kept} entries"


def _joined(notes: str | None, note: str) -> str:
    return notes + "; " + note if notes else note
