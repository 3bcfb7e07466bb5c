"""Answers as data: the models' dumps as JSON, JSON lines or CSV, always in UTF-8."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from execlog.cli.options import Output
from execlog.display.format import is_formula, is_harmless
from execlog.models import Model

__all__ = ["csv_writer", "jsonl_writer", "print_model", "print_models", "print_text"]

Writer = Callable[[Model], object]

# Characters that a text in a table does not need: control characters but tab and the ends of lines,
# and the marks that turn the direction of text.
_STEERING = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def print_models(
    kind: type[Model], models: Sequence[Model], output: Output, *, spreadsheet: bool = False
) -> None:
    """The models' dumps in the form `output`, except `table`. Raises OSError.

    Args:
        kind: The models' class; if there are no models, CSV has its header.
        models: The models.
        output: The form.
        spreadsheet: For CSV: see `csv_writer`.
    """
    if output is Output.json:
        _print_json([_dump(model) for model in models])
        return
    write = jsonl_writer() if output is Output.jsonl else csv_writer(kind, spreadsheet=spreadsheet)
    for model in models:
        write(model)


def print_model(model: Model, output: Output, *, spreadsheet: bool = False) -> None:
    """As `print_models`, but JSON is an object, not a list of one. Raises OSError."""
    if output is Output.json:
        _print_json(_dump(model))
    else:
        print_models(type(model), [model], output, spreadsheet=spreadsheet)


def print_text(text: str) -> None:
    """A text for another program, such as SQL. Raises OSError."""
    _take_utf8()
    print(text, end="")


def jsonl_writer() -> Writer:
    """Prints a model as one line of JSON. Never raises; the writer returned raises OSError."""
    _take_utf8()
    if sys.stdout.isatty():
        return lambda model: _print_json(_dump(model), indent=None)
    # It takes a third of the time, which counts for millions.
    return lambda model: print(model.model_dump_json(by_alias=True))


def csv_writer(kind: type[Model], *, spreadsheet: bool = False) -> Writer:
    r"""Prints a model as one line of CSV; the header is printed now. Raises OSError.

    Characters that control a terminal are written as \uXXXX, all others unchanged. In a cell that
    is JSON this escape means the same character.

    Args:
        kind: The models' class.
        spreadsheet: Put an apostrophe before each text that a spreadsheet would execute.
    """
    _take_utf8()
    writer = csv.writer(_Lines(sys.stdout.isatty()))
    writer.writerow(field.alias for field in kind.model_fields.values())
    cell = _safe_cell if spreadsheet else _cell
    return lambda model: writer.writerow(map(cell, _dump(model).values()))


@dataclass(frozen=True)
class _Lines:
    """The file of a CSV writer: ends lines with a line feed, and escapes control characters.

    The writer's own lines end with CR LF, so that it quotes both characters in a text.
    """

    on_terminal: bool

    def write(self, line: str) -> int:
        text = _STEERING.sub(_escape, line.removesuffix("\r\n"))
        if self.on_terminal:
            text = "".join(one if _is_shown(one) else _escaped(one) for one in text)
        return sys.stdout.write(text + "\n")


def _take_utf8() -> None:
    """Makes standard output UTF-8, without translation of line ends."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _dump(model: Model) -> dict[str, Any]:
    return model.model_dump(by_alias=True, mode="json")


def _print_json(value: object, indent: int | None = 2) -> None:
    """JSON with control characters escaped."""
    _take_utf8()
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    if sys.stdout.isatty():
        text = "".join(one if one == "\n" or is_harmless(one) else _escaped(one) for one in text)
    print(text)


def _cell(value: object) -> object:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _safe_cell(value: object) -> object:
    """The same for a spreadsheet; a negative number is no formula, and stays."""
    runs = isinstance(value, str) and is_formula(value)
    return f"'{value}" if runs else _cell(value)


def _is_shown(character: str) -> bool:
    """Whether a terminal may show it: a carriage return would overwrite the line."""
    return character in "\t\n" or is_harmless(character)


def _escaped(character: str) -> str:
    """The character as JSON escapes it."""
    return json.dumps(character)[1:-1] if ord(character) > 0xFFFF else f"\\u{ord(character):04x}"


def _escape(found: re.Match[str]) -> str:
    return _escaped(found[0])
