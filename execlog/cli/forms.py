"""Answers as data: the models' own dumps as JSON, JSON lines or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Sequence

from execlog.cli.options import Output
from execlog.cli.rendering import takes_unicode
from execlog.figures import is_harmless, shown
from execlog.models import Model

__all__ = ["csv_writer", "jsonl_writer", "print_model", "print_models"]

Writer = Callable[[Model], object]


def print_models(models: Sequence[Model], output: Output) -> None:
    """The models' dumps, as `output` says; `table` is not for this. Raises OSError."""
    if output is Output.json:
        _print_json([_dump(model) for model in models])
    elif models:
        write = jsonl_writer() if output is Output.jsonl else csv_writer(type(models[0]))
        for model in models:
            write(model)


def print_model(model: Model, output: Output) -> None:
    """As `print_models`, but in JSON an object and not a list of one. Raises OSError."""
    if output is Output.json:
        _print_json(_dump(model))
    else:
        print_models([model], output)


def jsonl_writer() -> Writer:
    """Prints a model as one line of JSON. Never raises; what it answers raises OSError."""
    if sys.stdout.isatty() or not takes_unicode():
        return lambda model: _print_json(_dump(model), indent=None)
    # A third of the time, which counts where there are millions.
    return lambda model: print(model.model_dump_json(by_alias=True))


def csv_writer(kind: type[Model]) -> Writer:
    """Prints a model as one line of CSV, after a header, which is printed now. Raises OSError."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(field.alias for field in kind.model_fields.values())
    on_terminal = sys.stdout.isatty()
    return lambda model: writer.writerow(
        _cell(value, on_terminal) for value in _dump(model).values()
    )


def _dump(model: Model) -> dict[str, object]:
    return model.model_dump(by_alias=True, mode="json")


def _print_json(value: object, indent: int | None = 2) -> None:
    """JSON that steers no terminal, and that any encoding can take."""
    text = json.dumps(value, ensure_ascii=not takes_unicode(), indent=indent)
    if sys.stdout.isatty():
        text = "".join(
            one if one == "\n" or is_harmless(one) else _json_escape(one) for one in text
        )
    print(text)


def _json_escape(character: str) -> str:
    return json.dumps(character)[1:-1] if ord(character) > 0x7F else f"\\u{ord(character):04x}"


def _cell(value: object, on_terminal: bool) -> object:
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return shown(value) if isinstance(value, str) and on_terminal else value
