"""The trace of an execution as JSON text that Postgres stores and that can be read back.

Two ways in: `strict_text` for the repository refuses what JSON lacks; `lenient_text` for the
recorder, whose caller can't be bothered, writes something in its place.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import from_json, to_json

from execlog.errors import InvalidArgument

__all__ = ["lenient_text", "mended", "mended_text", "read", "strict_text"]

_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode
_JSON_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_SAFE_DEPTH = 190  # the parser stops at 200
_MENDED_DEPTH, _MENDED_VALUES = 100, 20_000  # a graph with cycles has paths without number
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def strict_text(trace: list[Any]) -> str:
    """The trace as it is.

    Raises:
        InvalidArgument: It holds something that JSON or Postgres lacks, or could not be read back.
    """
    try:
        text = _to_json(trace)
    except (ValueError, TypeError, RecursionError) as error:
        problem = "is not JSON: it holds NaN, an infinity, itself, or a type that JSON lacks"
        raise InvalidArgument("trace", problem) from error
    if _holds_nul(text):
        raise InvalidArgument("trace", "holds a NUL character")
    if not _is_readable(text):
        raise InvalidArgument("trace", "is nested too deeply")
    return text


def lenient_text(trace: list[Any]) -> str | None:
    """The trace, NaN and infinities as null; None where it must be `mended` first. Never raises.

    Times, decimals, sets and the like become text and lists, as pydantic writes them; of an object
    that it does not know only its type's name is kept.
    """
    try:
        text = to_json(trace, inf_nan_mode="null", fallback=_type_name).decode()
    except BaseException as error:
        # The serialiser is Rust: a dict that another thread changes meanwhile makes it panic, which
        # is no Exception.
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            return None
        raise
    return None if _holds_nul(text) or not _is_readable(text) else text


def mended(trace: Sequence[Any]) -> list[Any] | None:
    """A copy of a trace that `lenient_text` takes; None where it can't be read. Never raises.

    NUL and half surrogate pairs become U+FFFD; what is nested in itself or too deeply is cut.
    """
    try:
        left = [_MENDED_VALUES]
        return [_mended(entry, (id(trace),), left) for entry in trace]
    except Exception:  # a type of the engine's own may raise anything
        return None


def mended_text(text: str) -> str:
    """The text with U+FFFD where it holds what Postgres can't store. Never raises."""
    # Two halves that were written apart are one character; a half alone is replaced.
    return (
        text.encode("utf-16", "surrogatepass")
        .decode("utf-16", "replace")
        .replace("\0", _REPLACEMENT)
    )


def read(text: str) -> list[Any]:
    """The trace of a stored text; the text itself in a list where no parser here reads it.

    Never raises.
    """
    try:
        trace: list[Any] = from_json(text)
    except ValueError:
        # Another client stored it: too deep, or with too many digits.
        return [text]
    return trace


def _holds_nul(text: str) -> bool:
    return "\\u0000" in text and _JSON_NUL.search(text) is not None


def _is_readable(text: str) -> bool:
    # Only a text with this many brackets can be too deep.
    if text.count("[") + text.count("{") > _SAFE_DEPTH:
        try:
            from_json(text)
        except ValueError:
            return False
    return True


def _mended(value: Any, above: tuple[int, ...], left: list[int]) -> Any:
    """The value as plain JSON.

    `above` are the ids of the containers that hold it, `left[0]` is how many values may follow.
    """
    left[0] -= 1
    if isinstance(value, str):
        return mended_text(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if not isinstance(value, Mapping | list | tuple):
        return _type_name(value)
    if id(value) in above or len(above) == _MENDED_DEPTH or left[0] < 0:
        return "..."
    inside = (*above, id(value))
    if isinstance(value, Mapping):
        return {_mended_key(key): _mended(held, inside, left) for key, held in value.items()}
    return [_mended(entry, inside, left) for entry in value]


def _mended_key(key: object) -> str:
    if isinstance(key, str):
        return mended_text(key)
    return str(key) if key is None or type(key) in (bool, int, float) else _type_name(key)


def _type_name(value: object) -> str:
    return f"<{type(value).__name__}>"
