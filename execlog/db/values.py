"""Values of other libraries as Python's own: their numbers and arrays, and what serves as an id.

No library is known here by its name. A number is what answers to `__index__`, `__float__` or
`.item()`, an array what answers to `.tolist()`. Any of these may raise anything and answer
anything: then it is no number and no array.
"""

from __future__ import annotations

import math
from typing import Any
from uuid import UUID

__all__ = ["LONGEST_INTEGER", "array", "flag", "integer", "number", "scalar", "text", "type_name"]

LONGEST_INTEGER = 14_000
"""Bits of the longest integer that is taken: the parser of JSON stops at 4,300 digits."""

_WAYS = ("__index__", "__float__", "item")
# To a mock's `__float__` the answer is 1.0. A mock is told by the attributes that it has: all.
_NO_NAME = "execlog_asks_for_what_is_not_there"
# Kinds of numpy's types that have a `__float__` and are no real numbers: complex, length, time.
_NO_NUMBERS = ("c", "m", "M")

_name_of = vars(type)["__name__"].__get__


def number(value: object) -> object:
    """The number that a value stands for, of Python's own types.

    Of what is no number, something that the model refuses: its own converter takes whatever has a
    `__float__`. A bool is none, of whatever library. Never raises.
    """
    found = scalar(value)
    return type_name(value) if found is None and value is not None else found


def integer(value: object) -> object:
    """The same for a column of integers: a float that is whole is one. Never raises."""
    found = number(value)
    return int(found) if isinstance(found, float) and found.is_integer() else found


def flag(value: object) -> object:
    """The bool that a value stands for; of others, what the model refuses. Never raises."""
    found = scalar(value)
    return found if type(found) is bool or value is None else type_name(value)


def text(value: object) -> object:
    """The text of what serves as an id: an integer or a UUID; else the value. Never raises."""
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
    """The elements of an array as a list, and how many they are in all; None if it is none.

    Never raises.

    Args:
        value: What may be an array, of whatever library.
        room: How many elements it may have at most; with more it is left alone.
    """
    try:
        if not hasattr(type(value), "tolist"):
            return None
        shape = getattr(value, "shape", None)
        if shape == () or _kind(value) in _NO_NUMBERS[1:]:
            return None
        # Its size is asked first: an array of a terabyte may take no memory until it is a list.
        size = math.prod(shape) if isinstance(shape, tuple) else len(value)
        if type(size) is not int or not 0 <= size <= room:
            return None
        elements = value.tolist()
        return (elements, max(size, len(elements))) if type(elements) is list else None
    except BaseException:
        return None


def type_name(value: object) -> str:
    """What stands for a value that is lost: its type's name. Never raises."""
    return f"<{_name_of(type(value))}>"


def _only_element(value: Any) -> object:
    """What an array library calls a scalar, or the element of an array of one.

    To `__float__` a bool of numpy is 1.0, and to `.item()` a masked element is 0.0.
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
