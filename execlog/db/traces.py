"""Trace and input of an execution as JSON text that Postgres stores and that can be read back.

Two ways in: `strict_text`, for the repository, refuses what JSON lacks; `lenient_text`, for the
recorder, which must not raise, replaces it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from execlog.db import values
from execlog.errors import InvalidArgument

__all__ = [
    "lenient_text",
    "mended",
    "mended_text",
    "read",
    "read_object",
    "read_value",
    "shortened",
    "strict_text",
]

_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
# Quoted texts are matched first and skipped: they may hold such words.
_NOT_FINITE = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SAFE_DEPTH = 190  # the parser stops at 200
_MENDED_DEPTH, _MENDED_VALUES = 100, 20_000  # a graph with cycles has infinitely many paths
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def strict_text(value: Any, argument: str) -> str:
    """The value as JSON, unchanged.

    Args:
        value: A trace, an input or attributes.
        argument: Which of them.

    Raises:
        InvalidArgument: It holds something that JSON or Postgres lacks, or could not be read back.
    """
    try:
        text = _to_json(value)
    except (ValueError, TypeError, RecursionError) as error:
        problem = "is not JSON: it holds NaN, an infinity, itself, or a type that JSON lacks"
        raise InvalidArgument(argument, problem) from error
    if _holds_nul(text):
        raise InvalidArgument(argument, "holds a NUL character")
    if not _is_readable(text):
        raise InvalidArgument(argument, "is nested too deeply")
    return text


def lenient_text(trace: Any, room: int) -> tuple[str | None, bool]:
    """The trace, NaN and infinities as null, and whether anything in it was replaced.

    Numbers of any library are written as numbers, arrays as lists; times, decimals, sets and the
    like as pydantic writes them; anything else as its type's name. The text is None if the trace
    must be `mended` first. Never raises.

    Args:
        trace: The trace, or another value.
        room: The most elements of all arrays together; an array beyond that is replaced.
    """
    foreign = None

    def stand_in(value: object) -> object:  # made only for a trace that needs it
        nonlocal foreign
        foreign = foreign or _Foreign(room)
        return foreign.stand_in(value)

    try:
        text = to_json(trace, inf_nan_mode="constants", fallback=stand_in).decode()
    except BaseException as error:
        if _is_of_the_trace(error):
            return None, True
        raise
    # A bracket has a partner: a short text can't be nested too deeply.
    if _holds_nul(text) or (len(text) > 2 * _SAFE_DEPTH and not _is_readable(text)):
        return None, True
    replaced = foreign is not None and foreign.replaced
    # The single character first: it is found ten times as fast.
    if ("N" in text and "NaN" in text) or ("I" in text and "Infinity" in text):
        finite = _NOT_FINITE.sub(_null, text)
        replaced, text = replaced or finite != text, finite
    return text, replaced


def mended(trace: Sequence[Any], room: int) -> list[Any] | None:
    """A copy of a trace that `lenient_text` takes; None if it can't be read. Never raises.

    NUL and half surrogate pairs become U+FFFD; what is nested in itself or too deeply is cut.

    Args:
        trace: The trace.
        room: The most elements of all arrays together; an array beyond that is replaced.
    """
    try:
        mender = _Mender(room)
        return [mender.mended(entry, (id(trace),)) for entry in trace]
    except BaseException as error:
        if _is_of_the_trace(error):
            return None
        raise


def shortened(text: str, limit: int) -> tuple[str, int]:
    """The head of a trace's text, in whole entries, and their number. Never raises.

    Args:
        text: What `lenient_text` answered.
        limit: The most bytes of UTF-8.
    """
    entries = read(text)
    size, kept = 1, 0
    for entry in entries:
        size += len(to_json(entry)) + 1  # a comma, or the last bracket
        if size > limit:
            break
        kept += 1
    return to_json(entries[:kept]).decode(), kept


def mended_text(text: str) -> str:
    """The text with U+FFFD where it holds what Postgres can't store. Never raises."""
    # Two halves of a pair in a row become one character; a half alone is replaced.
    return (
        str.encode(text, "utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .replace("\0", _REPLACEMENT)
    )


def read(text: str) -> list[Any]:
    """The trace of a stored text; a list with the text itself if no parser here reads it.

    Never raises.
    """
    try:
        trace: list[Any] = from_json(text)
    except ValueError:
        # Another client stored it: too deep, or with too many digits.
        return [text]
    return trace


def read_value(text: str) -> Any:
    """The value of a stored text; the text itself if no parser here reads it. Never raises."""
    try:
        return from_json(text)
    except ValueError:
        return text


def read_object(text: str) -> dict[str, Any]:
    """The object of a stored text; an object with the text itself if no parser here reads it.

    Never raises for an object.
    """
    found = read_value(text)
    return {"attributes": found} if isinstance(found, str) else found


def _null(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else "null"


def _holds_nul(text: str) -> bool:
    # The single character first: it is found ten times as fast, and most texts hold none.
    return "\\" in text and "\\u0000" in text and _JSON_NUL.search(text) is not None


def _is_readable(text: str) -> bool:
    # Only a text with this many brackets can be too deep.
    if text.count("[") + text.count("{") > _SAFE_DEPTH:
        try:
            from_json(text)
        except ValueError:
            return False
    return True


def _is_of_the_trace(error: BaseException) -> bool:
    # The serialiser is Rust: it panics if another thread changes a dict meanwhile, and a panic is
    # no Exception. KeyboardInterrupt and SystemExit must end the process.
    return not isinstance(error, KeyboardInterrupt | SystemExit)


class _Foreign:
    """Replaces the values of a trace that JSON has no form for."""

    def __init__(self, room: int) -> None:
        self._room = room
        self.replaced = False

    def stand_in(self, value: object) -> object:
        found = values.array(value, self._room)
        if found is not None:
            elements, size = found
            self._room -= size
            return elements
        plain = values.scalar(value)
        if plain is not None:
            return plain
        self.replaced = True
        return values.type_name(value)


class _Mender:
    """Copies a trace value by value."""

    def __init__(self, room: int) -> None:
        self._stand_in = _Foreign(room).stand_in
        self._left = _MENDED_VALUES

    def mended(self, value: Any, above: tuple[int, ...]) -> Any:
        """The value as plain JSON. `above` are the ids of the containers that hold it."""
        self._left -= 1
        try:
            if isinstance(value, str):
                return mended_text(value)
            if isinstance(value, Mapping | list | tuple):
                return self._container(value, above)
            if value is None or type(value) in (bool, float):
                return value if value is None or math.isfinite(value) else None
            if isinstance(value, int):
                short = int.bit_length(value) <= values.LONGEST_INTEGER
                return value if short else values.type_name(value)
            return self.mended(self._read_back([value])[0], (*above, id(value)))
        except BaseException as error:
            if _is_of_the_trace(error):
                return values.type_name(value)
            raise

    def _container(self, value: Any, above: tuple[int, ...]) -> Any:
        if id(value) in above or len(above) >= _MENDED_DEPTH or self._left < 0:
            return "..."
        inside = (*above, id(value))
        if isinstance(value, Mapping):
            return {self._key(key): self.mended(held, inside) for key, held in value.items()}
        return [self.mended(entry, inside) for entry in value]

    def _key(self, key: Any) -> str:
        if not isinstance(key, str):
            try:
                [key] = self._read_back({key: None})
            except BaseException as error:
                if _is_of_the_trace(error):
                    return values.type_name(key)
                raise
        return mended_text(key)

    def _read_back(self, value: Any) -> Any:
        """The value as `lenient_text` writes it, read back."""
        return from_json(to_json(value, inf_nan_mode="null", fallback=self._stand_in))
