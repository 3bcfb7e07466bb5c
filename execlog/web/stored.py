"""An execution as it was read, its JSON still text: for answers that need no values of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import Field
from pydantic_core import to_json

from execlog.db.rows import Row, aware
from execlog.display.format import is_formula
from execlog.display.trace_tree import compact
from execlog.models import StrategyExecutionLog

__all__ = ["Stored", "csv_list", "json_list", "json_of", "stored", "text_of", "trace_of"]

_PIECE = 64 * 1024  # characters that are escaped or encoded at once
_NEEDS_QUOTES = re.compile('[",\r\n]')
_JSON = ("trace", "input", "attributes")
_PAYLOADS = ("trace", "input")
_OTHERS = tuple(name for name in StrategyExecutionLog.model_fields if name not in _JSON)


class Stored(StrategyExecutionLog):
    """An execution whose JSON is None, because its texts are not parsed; dumps lack the texts."""

    trace_text: str | None = Field(None, exclude=True)
    input_text: str | None = Field(None, exclude=True)
    attributes_text: str | None = Field(None, exclude=True)


def stored(record: Row) -> Stored:
    """The model of a row that was read. Never raises for a row of the table."""
    fields = dict(record)
    for name in _JSON:
        fields[f"{name}_text"] = fields.pop(name)
    fields["created_at"] = aware(fields["created_at"])
    fields["stored_at"] = aware(fields["stored_at"])
    return Stored.model_construct(**fields)


def trace_of(one: StrategyExecutionLog) -> str | None:
    """The text of its trace; None if it has none, or it was not read. Never raises."""
    return text_of(one, "trace")


def text_of(one: StrategyExecutionLog, name: str) -> str | None:
    """The JSON text of a column; None if it has none, or it was not read. Never raises.

    Args:
        one: The execution.
        name: "trace", "input" or "attributes".
    """
    return getattr(one, f"{name}_text") if isinstance(one, Stored) else None


def json_of(one: StrategyExecutionLog) -> Iterator[bytes]:
    """The execution as its model dumps it, its JSON as Postgres wrote it, in pieces.

    A piece is small, however large the row is. Never raises.
    """
    long = [name for name in _OTHERS if _is_long(getattr(one, name))]
    yield one.model_dump_json(by_alias=True, exclude={*_JSON, *long}).removesuffix("}").encode()
    for name in long:
        yield f',"{StrategyExecutionLog.model_fields[name].alias}":"'.encode()
        yield from (to_json(piece)[1:-1] for piece in _pieces(getattr(one, name)))
        yield b'"'
    for name in _JSON:
        yield f',"{name}":'.encode()
        yield from (piece.encode() for piece in _pieces(text_of(one, name) or "null"))
    yield b"}"


def json_list(rows: Iterable[StrategyExecutionLog]) -> Iterator[bytes]:
    """Executions as `json_of` writes each. Never raises."""
    lead = b"["
    for one in rows:
        yield lead
        yield from json_of(one)
        lead = b","
    yield b"[]" if lead == b"[" else b"]"


def csv_list(
    rows: Iterable[StrategyExecutionLog], *, payloads: bool, spreadsheet: bool
) -> Iterator[bytes]:
    """Executions as CSV, as the command exports them: a header, then a line each, in pieces.

    An empty cell is no value; JSON is as Postgres wrote it. Never raises.

    Args:
        rows: The executions.
        payloads: Whether traces and inputs are among the columns.
        spreadsheet: Put an apostrophe before each text that a spreadsheet would execute.
    """
    fields = StrategyExecutionLog.model_fields.items()
    named = [(name, field) for name, field in fields if payloads or name not in _PAYLOADS]
    yield (",".join(field.alias or name for name, field in named) + "\r\n").encode()
    for one in rows:
        held = one.model_dump(mode="json", include=set(_OTHERS))
        lead = b""
        for name, _ in named:
            yield lead
            value = _json_cell(one, name) if name in _JSON else held[name]
            if spreadsheet and name not in _JSON and isinstance(value, str) and is_formula(value):
                value = f"'{value}"
            yield from _cell("" if value is None else str(value))
            lead = b","
        yield b"\r\n"


def _json_cell(one: StrategyExecutionLog, name: str) -> str | None:
    """The JSON text of a column; of a row without payloads only the attributes are JSON."""
    if isinstance(one, Stored) or one.attributes is None:
        return text_of(one, name)
    return compact(one.attributes) if name == "attributes" else None


def _cell(text: str) -> Iterator[bytes]:
    """A cell of CSV, in quotes if it needs them."""
    if not _NEEDS_QUOTES.search(text):
        yield text.encode()
        return
    yield b'"'
    yield from (piece.replace('"', '""').encode() for piece in _pieces(text))
    yield b'"'


def _is_long(value: object) -> bool:
    return isinstance(value, str) and len(value) > _PIECE


def _pieces(text: str) -> Iterator[str]:
    for begin in range(0, len(text), _PIECE):
        yield text[begin : begin + _PIECE]
