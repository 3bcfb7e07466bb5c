"""Values of other libraries as Python's own: numbers, arrays, and ids.

No library is known by name. A number is what has `__index__`, `__float__` or `.item()`, an array
what has `.tolist()`. If one of these raises, or returns something else, the value is neither.
"""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

__all__ = [
    "LONGEST_INTEGER",
    "array",
    "flag",
    "integer",
    "name_of",
    "number",
    "scalar",
    "text",
    "type_name",
]

LONGEST_INTEGER = 14_000
"""Bits of the longest integer that is accepted: the parser of JSON stops at 4,300 digits."""

_WAYS = ("__index__", "__float__", "item")
# A mock's `__float__` returns 1.0. A mock is recognized by having every attribute.
_NO_NAME = "execlog_asks_for_what_is_not_there"
# Kinds of numpy types that have a `__float__` and are no real numbers: complex, length, time.
_NO_NUMBERS = ("c", "m", "M")

_name_of = vars(type)["__name__"].__get__


def number(value: object) -> object:
    """The number that a value stands for, as one of Python's own types.

    Anything else, bools included, becomes a value that the model refuses: the model itself would
    convert whatever has a `__float__`. Never raises.
    """
    found = scalar(value)
    return type_name(value) if found is None and value is not None else found


def integer(value: object) -> object:
    """The same for a column of integers: a whole float is accepted too. Never raises."""
    found = number(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def flag(value: object) -> object:
    """The bool that a value stands for; else a value that the model refuses. Never raises."""
    found = scalar(value)
    return found if type(found) is bool or value is None else type_name(value)


def text(value: object) -> object:
    """The text of an id that is an integer or a UUID; else the value itself. Never raises."""
    found = scalar(value)
    try:
        if type(found) is int:
            return str(found)
        return str(UUID(int=value.int)) if isinstance(value, UUID) else value
    except BaseException:
        return value


def scalar(value: Any) -> bool | int | float | None:
    """The number or bool that a value stands for; None if it is neither. Never raises."""
    try:
        if hasattr(type(value), "dtype") and hasattr(type(value), "tolist"):
            value = _only_element(value)
        found = _own(value)
        if found is not None or hasattr(value, _NO_NAME):
            return found
    except BaseException:
        return None
    for name in _WAYS:
        try:
            way = getattr(type(value), name, None)
            found = None if way is None else _own(way(value))
        except BaseException:
            found = None
        if found is not None:
            return found
    return None


def array(value: Any, room: int) -> tuple[list[Any], int] | None:
    """The elements of an array as a list, and their number in all; None if it is no array.

    Never raises.

    Args:
        value: A value of any library.
        room: The most elements that it may have; None is returned for a larger array.
    """
    try:
        if not hasattr(type(value), "tolist"):
            return None
        shape = getattr(value, "shape", None)
        if shape == () or _kind(value) in _NO_NUMBERS[1:]:
            return None
        # The size first: an array of a terabyte may take no memory until it is a list.
        size = math.prod(shape) if isinstance(shape, tuple) else len(value)
        if type(size) is not int or not 0 <= size <= room:
            return None
        elements = value.tolist()
        return (elements, max(size, len(elements))) if type(elements) is list else None
    except BaseException:
        return None


def type_name(value: object) -> str:
    """The name of a value's type, which replaces a lost value. Never raises."""
    return f"<{name_of(value)}>"


def name_of(value: object) -> str:
    """The name of a value's type, whatever its metaclass says. Never raises."""
    return str(_name_of(type(value)))


def _only_element(value: Any) -> object:
    """The value of an array library's scalar, or of an array of one element.

    A numpy bool has the `__float__` 1.0, a masked element the `.item()` 0.0.
    """
    shape = value.shape
    if not isinstance(shape, tuple) or math.prod(shape) != 1:
        raise TypeError
    found = value.tolist()
    for _ in shape:
        if type(found) is not list:
            raise TypeError
        [found] = found
    if type(found) is not float and _kind(value) in _NO_NUMBERS:
        raise TypeError
    return found


def _kind(value: Any) -> object:
    return getattr(getattr(value, "dtype", None), "kind", None)


def _own(found: object) -> bool | int | float | None:
    """A number or bool, of exactly Python's own types."""
    if type(found) is float or type(found) is bool:
        return found
    if isinstance(found, int):
        whole = int.__index__(found)
        return whole if whole.bit_length() <= LONGEST_INTEGER else None
    return float.__float__(found) if isinstance(found, float) else None
