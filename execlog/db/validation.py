"""Checks the arguments of the public methods before anything is sent.

Each function returns the value to send or raises `InvalidArgument`, which names the argument.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from execlog.errors import InvalidArgument

__all__ = [
    "count",
    "flag",
    "fractions",
    "id_range",
    "identifier",
    "length",
    "limit",
    "must_be",
    "name",
    "number",
    "object_name",
    "one_of",
    "optional_text",
    "schema",
    "scope",
    "seconds",
    "server_timeout",
    "strategies",
    "text",
    "texts",
    "time",
    "versions",
    "window",
]

_NAMES = [vars(type)[part] for part in ("__name__", "__module__")]
_LONGEST_LENGTH = timedelta(days=365 * 1000)
_INT32 = 2**31
_LONGEST_NAME = 63  # bytes, for Postgres
_LONGEST_SECONDS = 1_000_000  # in milliseconds still an integer to Postgres


def must_be(wanted: str, value: object) -> str:
    """What is wrong with a value of another type. Never raises.

    Args:
        wanted: What it must be, such as "a datetime".
        value: The value; its type is named with its module if the wanted type has the same name.
    """
    # A class of another library may return anything for these.
    name, module = (part.__get__(type(value)) for part in _NAMES)
    is_wanted = re.search(rf"\b{re.escape(name)}\b", wanted)
    return f"must be {wanted}, not {f'{module}.{name}' if is_wanted else name}"


def text(argument: str, value: object) -> str:
    """A text that Postgres can hold.

    Raises:
        InvalidArgument: No string, a NUL character, or half of a surrogate pair.
    """
    if not isinstance(value, str):
        raise InvalidArgument(argument, must_be("a string", value))
    if "\0" in value:
        raise InvalidArgument(argument, "holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        problem = "holds half of a surrogate pair, which is not text"
        raise InvalidArgument(argument, problem) from None
    return value


def optional_text(argument: str, value: object) -> str | None:
    """A text, or None. Raises InvalidArgument: see `text`."""
    return None if value is None else text(argument, value)


def texts(argument: str, value: object) -> list[str] | None:
    """Distinct texts, also of a single one; None stays None.

    Raises:
        InvalidArgument: See `text`, for each; or it is no collection.
    """
    found = _several(argument, value, str, "a string or a list of strings")
    return None if found is None else list(dict.fromkeys(text(argument, one) for one in found))


def versions(argument: str, value: object) -> list[int] | None:
    """Distinct versions, also of a single one; None stays None.

    Raises:
        InvalidArgument: One is no integer, or none that the column can hold; or it is no
            collection.
    """
    wanted = "an integer or a list of integers"
    found = _several(argument, value, int, wanted)
    if found is None:
        return None
    for one in found:
        if isinstance(one, bool) or not isinstance(one, int):
            raise InvalidArgument(argument, must_be(wanted, one))
        if not -_INT32 <= one < _INT32:
            raise InvalidArgument(argument, "is beyond the 32 bits of a version")
    return list(dict.fromkeys(found))


def name(argument: str, value: object) -> str:
    """A text that is not empty. Raises InvalidArgument: see `text`; or it is empty."""
    found = text(argument, value)
    if found == "":
        raise InvalidArgument(argument, "is empty")
    return found


def strategies(argument: str, value: object) -> list[str] | None:
    """Distinct strategies, also a single one, whose name is not empty; None stays None.

    Raises:
        InvalidArgument: See `texts`; or the single one is empty.
    """
    return texts(argument, name(argument, value) if isinstance(value, str) else value)


def schema(value: object) -> str:
    """The name of a schema, of any characters: it is always quoted.

    Raises:
        InvalidArgument: See `name`; or Postgres would cut it or reserves it, or it could end a
            function's body.
    """
    return object_name("schema", value)


def object_name(argument: str, value: object) -> str:
    """The name of a schema or of a role. Raises InvalidArgument: see `schema`."""
    found = name(argument, value)
    if len(found.encode()) > _LONGEST_NAME:
        raise InvalidArgument(argument, f"is longer than {_LONGEST_NAME} bytes")
    if found.startswith("pg_"):
        raise InvalidArgument(argument, "begins with pg_, which Postgres reserves")
    if "\\" in found:
        # Its meaning within a quoted text depends on a setting of the server.
        raise InvalidArgument(argument, "holds a backslash")
    if re.search(r"\$\w*\$", found):
        raise InvalidArgument(argument, "holds $$ or the like, which ends a function in SQL")
    return found


def one_of(argument: str, value: object, choices: Sequence[str]) -> str:
    """One of the choices. Raises InvalidArgument: see `text`; or it is none of them."""
    found = text(argument, value)
    if found not in choices:
        raise InvalidArgument(argument, f"must be one of {', '.join(choices)}")
    return found


def identifier(argument: str, value: object) -> UUID:
    """A UUID, given as one or in its written form. Raises InvalidArgument: it is neither."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(text(argument, value))
    except ValueError:
        raise InvalidArgument(argument, "is not a UUID") from None


def id_range(argument: str, value: object) -> tuple[UUID, UUID]:
    """The ends of the ids that begin like this. Raises InvalidArgument: it has under 8 digits."""
    digits = text(argument, value).strip("{}").replace("-", "").lower()
    if not re.fullmatch("[0-9a-f]{1,32}", digits):
        raise InvalidArgument(argument, "is not a UUID")
    if len(digits) < 8:  # these are the digits of 65 seconds
        raise InvalidArgument(argument, "has fewer than 8 digits of a UUID")
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


def flag(argument: str, value: object) -> bool:
    """True or False. Raises InvalidArgument: it is neither."""
    if not isinstance(value, bool):
        raise InvalidArgument(argument, must_be("True or False", value))
    return value


def limit(value: object, largest: int) -> int:
    """The limit, clamped to 1..largest. Raises InvalidArgument: no integer (True is none)."""
    return min(max(_integer("limit", value), 1), largest)


def count(argument: str, value: object, *, least: int = 1) -> int:
    """An integer of at least this. Raises InvalidArgument: it is none, or smaller."""
    number = _integer(argument, value)
    if number < least:
        raise InvalidArgument(argument, f"must be at least {least}")
    return number


def number(argument: str, value: object) -> float | None:
    """A finite number, or None. Raises InvalidArgument: it is neither (True is none)."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(argument, must_be("a number", value))
    try:
        found = float(value)
    except OverflowError:
        found = math.inf
    if not math.isfinite(found):
        raise InvalidArgument(argument, "must be a finite number")
    return found


def window(since: object, until: object) -> tuple[datetime | None, datetime | None]:
    """Both ends of a time window, each included, None for an open one.

    Raises:
        InvalidArgument: No datetime, one without a time zone, or `since` after `until`.
    """
    begin, end = time("since", since), time("until", until)
    if begin is not None and end is not None and begin > end:
        raise InvalidArgument("since", "is later than until")
    return begin, end


def scope(strategy_id: object, since: object, until: object) -> dict[str, Any]:
    """A strategy and a window, under the names of a statement's parameters.

    Raises:
        InvalidArgument: See `name` and `window`.
    """
    begin, end = window(since, until)
    return {"strategy_id": name("strategy_id", strategy_id), "since": begin, "until": end}


def time(argument: str, value: object) -> datetime | None:
    """A datetime in UTC, or None. Raises InvalidArgument: no datetime, or one without a zone."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise InvalidArgument(argument, must_be("a datetime", value))
    if value.utcoffset() is None:
        raise InvalidArgument(argument, "has no time zone")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise InvalidArgument(argument, "lies outside the years 1 to 9999 in UTC") from None


def fractions(value: object) -> tuple[float, ...]:
    """The fractions of a percentile call, at least one, each within [0, 1].

    Raises:
        InvalidArgument: Not a list of such numbers.
    """
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise InvalidArgument("fractions", "must be a list of numbers from 0 to 1")
    numbers = tuple(value)
    for number in numbers:
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 <= number <= 1:
            raise InvalidArgument("fractions", "must be numbers from 0 to 1")
    if not numbers:
        raise InvalidArgument("fractions", "is empty")
    return tuple(float(number) for number in numbers)


def seconds(argument: str, value: object) -> float:
    """A number of seconds above 0. Raises InvalidArgument: it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArgument(argument, must_be("a number of seconds", value))
    if not 0 < value <= _LONGEST_SECONDS:
        raise InvalidArgument(argument, "must be above 0 and at most a million seconds")
    return float(value)


def length(argument: str, value: object) -> timedelta:
    """A length of time above 0. Raises InvalidArgument: it is none, or a thousand years."""
    if not isinstance(value, timedelta):
        raise InvalidArgument(argument, must_be("a timedelta", value))
    if not timedelta() < value < _LONGEST_LENGTH:
        raise InvalidArgument(argument, "must be above 0 and less than a thousand years")
    return value


def server_timeout(argument: str, value: object) -> str:
    """A number of seconds above 0 as a time limit of Postgres. Raises InvalidArgument."""
    # Rounded up: to Postgres 0 ms means no limit.
    return f"{math.ceil(seconds(argument, value) * 1000)}ms"


def _several(argument: str, value: object, single: type, wanted: str) -> Collection[Any] | None:
    """One value or several as a collection; None stays None. Raises InvalidArgument."""
    if value is None:
        return None
    if isinstance(value, single):
        return [value]
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Collection):
        raise InvalidArgument(argument, must_be(wanted, value))
    return value


def _integer(argument: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(argument, must_be("an integer", value))
    return value
