"""Masks: removes from an execution what must not be stored, before it leaves the process.

A mask fails closed: if it can't be applied to a value, the value is removed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import NoneType
from typing import Any, Final, TypeAlias, get_args

from pydantic import TypeAdapter, ValidationError

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.models import StrategyExecutionLog, invalid_argument

__all__ = ["INPUT_MASKED", "Mask", "Replacement", "Rules", "with_note"]

Replacement: TypeAlias = str | int | float | bool | Callable[[Any], Any] | None
"""What replaces a value: None removes it, a callable computes the replacement."""

Rules: TypeAlias = Iterable[str] | Mapping[str, Replacement]
"""The paths to remove, or each path with its replacement."""

_Change: TypeAlias = Callable[[Any], Any]
_Tree: TypeAlias = "dict[str, _Tree] | _Change"

INPUT_MASKED = "input masked"
"""The note of an execution whose input is not what the strategy was given."""

_FIELDS = StrategyExecutionLog.model_fields
_MASKABLE = {
    column
    for column, field in _FIELDS.items()
    if NoneType in get_args(field.annotation) and column not in ("created_at", "stored_at")
}
_NESTED = {"trace": list, "input": object, "attributes": dict}
_REMOVED: Final = object()
_TEXT = frozenset({str})
_PLAIN = frozenset({bool, int, float, NoneType})  # a subclass may be encoded as anything
_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")
# How JSON writes the keys of an object that are no str in Python.
_OTHER_KEY = re.compile(r"-?[0-9][-+.0-9e]*|true|false|null|NaN|-?Infinity")
_DEEPEST = 200  # no trace that is nested more deeply can be stored

_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False).encode


class Mask:
    """Removes or replaces columns and parts of trace, input and attributes. Threads can share one.

    A path is a column's name (`notes`) or continues into trace, input or attributes
    (`trace/*/input/card`, `input/email`): a step
    is a key, the decimal index of an element, or `*` for every element or key; `~1` and `~0` stand
    for / and ~ in a key; a leading slash is allowed. A shorter path has priority over longer ones,
    a step by name over `*`. An object loses the key of a removed value; elsewhere it becomes None.
    Other replacements apply to values other than None. If a callable raises, or its result can't
    be stored, the value is removed; it must not change its argument.

    If a path continues into a value that it can't enter (a text, a tuple in place of the trace, a
    list for a key's step), that value becomes None. Numbers, booleans and None hold nothing and
    stay.
    """

    def __init__(self, rules: Rules) -> None:
        """Compiles the rules. Raises InvalidArgument, which names the path that can't be masked."""
        tree: dict[str, _Tree] = {}
        for path, replacement in _pairs(rules):
            steps = _steps(path)
            _grow(tree, steps, _change(path, steps, replacement), path)
        changes = []
        for column, below in tree.items():
            change = _compiled(below)
            if isinstance(below, dict):
                change = partial(_within, change, _NESTED[column])
            # The model takes both names, so both must be masked.
            changes += [(name, change) for name in {column, _FIELDS[column].alias or column}]
        self._changes = tuple(changes)

    def __call__(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The fields of one execution, masked; the argument is not changed. Never raises."""
        masked = dict(fields)
        for name, change in self._changes:
            value = masked.get(name)
            if value is not None:
                try:
                    new = change(value)
                    masked[name] = None if new is _REMOVED else new
                except Exception:
                    masked[name] = None
        return masked


def with_note(given: Mapping[str, Any], masked: dict[str, Any]) -> dict[str, Any]:
    """The masked fields, with a note if the input is another: it can't be replayed.

    Never raises.

    Args:
        given: The fields as they were given.
        masked: The same, masked.
    """
    before, after = given.get("input"), masked.get("input")
    try:
        # A tuple, of which a mask makes a list, counts as another: that only costs a replay.
        is_same = before is after or bool(before == after)
    except Exception:  # a type of the engine's own may raise anything
        is_same = False
    notes = masked.get("notes")
    if is_same or not isinstance(notes, str | None):
        return masked
    return {**masked, "notes": f"{notes}; {INPUT_MASKED}" if notes else INPUT_MASKED}


def _pairs(rules: Rules) -> Iterable[tuple[str, Replacement]]:
    if isinstance(rules, Mapping):
        return rules.items()
    if isinstance(rules, (str, bytes, bytearray)) or not isinstance(rules, Iterable):
        raise InvalidArgument("mask", validation.must_be("paths or a mapping of paths", rules))
    return ((path, None) for path in rules)


def _steps(path: object) -> list[str]:
    """The column and the steps below it, each as the text that is compared."""
    if not isinstance(path, str):
        raise InvalidArgument("mask", f"a path {validation.must_be('a string', path)}")
    column, *below = steps = path.removeprefix("/").split("/")
    if path == "":
        problem = "a path is empty"
    elif "" in steps:
        problem = f"{path} has an empty step"
    elif column not in _FIELDS:
        problem = f"{path} can't be masked: no column has this name"
    elif column not in _MASKABLE:
        problem = f"{path} can't be masked: every execution has this column"
    elif below and column not in _NESTED:
        problem = f"{path} can't be masked: only trace, input and attributes have something below"
    elif re.search(r"~(?![01])", path):
        problem = f"{path} has a ~ that is neither ~0 nor ~1"
    elif len(below) > _DEEPEST:
        problem = f"{path} has more than {_DEEPEST} steps"
    else:
        return [step.replace("~1", "/").replace("~0", "~") for step in steps]
    raise InvalidArgument("mask", problem)


def _change(path: str, steps: list[str], replacement: Replacement) -> _Change:
    """The change of a value at the end of the path."""
    if replacement is None:
        return _remove
    hold: _Change = _scalar
    if len(steps) == 1:
        column: TypeAdapter[Any] = TypeAdapter(_FIELDS[steps[0]].annotation)  # type: ignore[arg-type]
        hold = column.validate_python
    if isinstance(replacement, (str, int, float)):
        try:
            return partial(_replace, hold(replacement))
        except ValidationError as error:
            problem = invalid_argument(error).problem
        except ValueError:
            problem = "is not JSON: NaN, an infinity, or no text"
        raise InvalidArgument("mask", f"{path} can't hold its replacement, which {problem}")
    if not callable(replacement):
        problem = f"a {type(replacement).__name__} can't replace anything"
        raise InvalidArgument("mask", f"{path} can't be masked: {problem}")
    return partial(_answer, replacement, hold)


def _remove(value: Any) -> Any:
    return _REMOVED


def _replace(replacement: Any, value: Any) -> Any:
    return None if value is None else replacement


def _answer(replacement: _Change, hold: _Change, value: Any) -> Any:
    if value is None:
        return None
    try:
        return hold(replacement(value))
    except Exception:
        return _REMOVED


def _scalar(value: Any) -> Any:
    """The value, if jsonb can hold it and it contains no others. Raises TypeError."""
    if not isinstance(value, (str, int, float, NoneType)):
        raise TypeError
    if isinstance(value, str) and "\0" in value:
        raise ValueError
    _to_json(value).encode()
    return value


def _grow(tree: dict[str, _Tree], steps: list[str], change: _Change, path: str) -> None:
    """Adds a rule to the tree, unless a shorter one covers it."""
    for step in steps[:-1]:
        below = tree.setdefault(step, {})
        if not isinstance(below, dict):
            return
        tree = below
    found = tree.get(steps[-1], change)
    if not isinstance(found, dict) and found is not change:
        raise InvalidArgument("mask", f"{path} has more than one replacement")
    tree[steps[-1]] = change


def _merged(named: _Tree, every: _Tree) -> _Tree:
    """One tree for a value that both a name and `*` match."""
    if not isinstance(named, dict) or not isinstance(every, dict):
        return every if isinstance(named, dict) else named
    both = {step: _merged(named[step], every[step]) for step in named.keys() & every.keys()}
    return {**every, **named, **both}


def _compiled(tree: _Tree) -> _Change:
    if not isinstance(tree, dict):
        return tree
    every = tree.get("*")
    names = {
        step: _compiled(below if every is None else _merged(below, every))
        for step, below in tree.items()
        if step != "*"
    }
    return partial(_below, _Steps.of(names, None if every is None else _compiled(every)))


@dataclass(frozen=True, slots=True)
class _Steps:
    """The changes of a value's parts: by name, and for all others (`every`)."""

    names: dict[str, _Change]
    every: _Change | None
    plain: tuple[tuple[str, _Change], ...] | None  # if only a str can be the key
    numbers: dict[int, _Change] | None  # if all steps are indexes of a list

    @classmethod
    def of(cls, names: dict[str, _Change], every: _Change | None) -> _Steps:
        known = every is None and not any(map(_OTHER_KEY.fullmatch, names))
        numbers = {int(name): change for name, change in names.items() if _NUMBER.fullmatch(name)}
        return cls(
            names,
            every,
            tuple(names.items()) if known else None,
            numbers if len(numbers) == len(names) else None,
        )

    def met(self, value: dict[Any, Any]) -> list[tuple[Any, _Change]]:
        """The keys that have a change; a key that is no str as JSON will write it."""
        names, every = self.names, self.every
        texts = ((key, key if isinstance(key, str) else json.dumps(key)) for key in value)
        changes = ((key, names.get(text, every)) for key, text in texts)
        return [(key, change) for key, change in changes if change is not None]


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # halves of a surrogate pair, which are joined when it is written
        return False
    return "\0" not in text  # which is replaced when it is written


def _within(change: _Change, kind: type, value: Any) -> Any:
    return change(value) if isinstance(value, kind) else None


def _below(steps: _Steps, value: Any) -> Any:
    """A copy of the value, with its parts changed.

    It is a copy even if nothing is changed: what another thread adds to the value before it is
    encoded has not been masked.
    """
    if isinstance(value, dict):
        entries = dict(value)
        # Other keys become text when they are encoded, and which text is not known here.
        if not _TEXT.issuperset(map(type, entries)) or not _is_text("".join(entries)):
            return None
        for key, change in steps.met(entries) if steps.plain is None else steps.plain:
            if key in entries:
                new = change(entries[key])
                if new is _REMOVED:
                    del entries[key]
                else:
                    entries[key] = new
        return entries
    if isinstance(value, (list, tuple)):
        return None if steps.numbers is None else _elements(steps, steps.numbers, list(value))
    return value if type(value) in _PLAIN else None


def _elements(steps: _Steps, numbers: dict[int, _Change], elements: list[Any]) -> list[Any]:
    every = steps.every
    if every is not None:
        changed = [
            numbers.get(place, every)(element) if numbers else every(element)
            for place, element in enumerate(elements)
        ]
        return [None if new is _REMOVED else new for new in changed]
    for place, change in numbers.items():
        if place < len(elements):
            new = change(elements[place])
            elements[place] = None if new is _REMOVED else new
    return elements
