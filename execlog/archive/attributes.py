"""Regular expressions that find attributes in the text of a flat object, as Postgres prints it.

A key in quotes with a colon behind it is nowhere else in such a text: within a value its quotes
would be escaped.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

__all__ = ["patterns", "value_pattern"]

_SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


def patterns(typed: str | None, texts: str | None) -> list[str]:
    """An expression for each attribute that must be there. Never raises for such objects.

    Args:
        typed: An object of keys to values of the same type, as JSON.
        texts: An object of keys to the texts of values, as JSON.
    """
    wanted = json.loads(typed or "{}", parse_int=Decimal, parse_float=Decimal)
    found = [_of_key(key, _typed(value)) for key, value in wanted.items()]
    return found + [_of_key(key, _of_text(text)) for key, text in json.loads(texts or "{}").items()]


def value_pattern(key: str) -> str:
    """An expression whose first group is the value of a key, as JSON. Never raises for a key."""
    return rf'{_plain(json.dumps(key))}: ("(?:[^"\\]|\\.)*"|[^",}}]+)[,}}]'


def _of_key(key: str, value: str) -> str:
    return f"{_plain(json.dumps(key))}: (?:{value})[,}}]"


def _typed(value: object) -> str:
    if isinstance(value, Decimal):
        return _number(value)
    return _plain(json.dumps(value, ensure_ascii=False))


def _of_text(text: str) -> str:
    """A text, or a number or a bool that is written so."""
    ways = [_plain(json.dumps(text, ensure_ascii=False))]
    if text in ("true", "false") or _NUMBER.fullmatch(text):
        ways.append(_plain(text))
    return "|".join(ways)


def _number(value: Decimal) -> str:
    """A number with as many zeros at its end as there may be; it has no exponent."""
    whole, _, rest = format(abs(value), "f").partition(".")
    whole, rest = whole.lstrip("0") or "0", rest.rstrip("0")
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}" + (rf"\.{rest}0*" if rest else r"(?:\.0+)?")


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\g<0>", text)
