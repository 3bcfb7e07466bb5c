"""What surrounds a run: the rules for its trace id, its error message and the caller's attributes.

The model refuses what breaks them; the recorder, which must not lose a run for it, leaves that out.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any
from uuid import UUID

__all__ = [
    "ATTRIBUTES_BYTES",
    "LONGEST_MESSAGE",
    "MOST_ATTRIBUTES",
    "attributes",
    "attributes_text",
    "error_message",
    "is_attribute",
    "trace_id",
    "without_secrets",
]

LONGEST_MESSAGE = 2000
"""The most characters of an error message."""

MOST_ATTRIBUTES = 32
"""The most keys of the attributes."""

ATTRIBUTES_BYTES = 4096
"""The most bytes of all attributes as JSON."""

_TRACE_ID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_KEY = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST_INTEGER = 4096  # digits; in bits it is less
_WORD = re.compile(r"\S+")
# The colon and slashes of a URL, as they are or percent-encoded. What may be a scheme is read once,
# from its first character on.
_URL = re.compile(
    r"(?<![A-Za-z0-9+.%-])[0-9+.%-]*([A-Za-z][A-Za-z0-9+.%-]*)(?:://|%3a%2f%2f)", re.IGNORECASE
)
_POSTGRES = re.compile(
    r"(postgres(?:ql)?(?:(?:\+|%2b)\w+)?)(?:://|%3a%2f%2f)",
    re.IGNORECASE,
)
_ENCODED = re.compile("%3a%2f%2f", re.IGNORECASE)
# What stands before a password: a part of libpq's form of a connection string, a key of JSON or of
# a dict, within a text of JSON too.
_BEFORE = r"""(\b(?>\w*?(?:passw(?:or)?d|pwd)\w*)[\\"']*(?>\s*(?:=>|[=:])\s*))"""
# In quotes it may hold spaces. A quote may be escaped or doubled, and the end may be missing.
_QUOTED = re.compile(
    _BEFORE
    + r"""\w?(?:\\+"[^"]*"?|\\+'[^']*'?|''[^'\s][^']*'{0,2}"""
    + r"""|'(?:[^'\\]|\\[\s\S]?|'')*(?:'|\Z)|"(?:[^"\\]|\\[\s\S]?|"")*(?:"|\Z))""",
    re.IGNORECASE,
)
_PASSWORD = re.compile(_BEFORE + r"(?!\[cut\](?!\w))\S+", re.IGNORECASE)
_CUT = "[cut]"
_to_json = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode


def trace_id(value: object) -> UUID:
    """The W3C trace id that a UUID, hexadecimal text, or OpenTelemetry's integer stands for.

    Raises:
        ValueError: It is malformed, or all zeros, which means that there is none.
    """
    if isinstance(value, str) and _TRACE_ID.fullmatch(value):
        value = UUID(value)
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**128:
        value = UUID(int=value)
    if isinstance(value, UUID) and value.__class__ is not UUID:
        value = UUID(int=value.int)  # a subclass may be written as anything
    if not isinstance(value, UUID):
        raise ValueError("is no trace id: a UUID, 32 hexadecimal digits, or an integer of 128 bits")
    if not value.int:
        raise ValueError("is all zeros, which is no trace id")
    return value


def error_message(text: str) -> str:
    """The message without secrets. Raises ValueError: it is longer than 2,000 characters."""
    if len(text) > LONGEST_MESSAGE:
        raise ValueError(f"is longer than {LONGEST_MESSAGE:,} characters")
    return without_secrets(text)[:LONGEST_MESSAGE]


def without_secrets(text: str, *, is_head: bool = False) -> str:
    """The text without connection strings, `user:password@` and passwords. Never raises.

    It reads word by word, in time that grows with the text's length and no faster.

    Args:
        text: The text.
        is_head: Whether it is the head of a longer one: half of a secret at its end is cut, too.
    """
    if is_head:
        return without_secrets(text + "@").removesuffix("@")
    lower = text.lower()
    has_password = "passw" in lower or "pwd" in lower
    if has_password:
        text = _QUOTED.sub(rf"\1{_CUT}", text)
    if "@" in text or "://" in text or "%3a%2f%2f" in lower:
        text = _WORD.sub(_harmless, text)
    if has_password:
        text = _PASSWORD.sub(rf"\1{_CUT}", text)
    return text


def attributes(given: dict[str, Any]) -> dict[str, Any]:
    """A copy of the attributes.

    Raises:
        ValueError: What is wrong with them, without their values.
    """
    if len(given) > MOST_ATTRIBUTES:
        raise ValueError(f"has more than {MOST_ATTRIBUTES} keys")
    for key, value in given.items():
        if not _KEY.fullmatch(key):
            raise ValueError("has a key that is not 1 to 64 letters, digits, _ . or -")
        if not is_attribute(key, value):
            raise ValueError("has a value that is no text, number or bool that Postgres can store")
    if len(attributes_text(given).encode()) > ATTRIBUTES_BYTES:
        raise ValueError(f"takes more than {ATTRIBUTES_BYTES:,} bytes of JSON")
    return dict(given)


def is_attribute(key: object, value: object) -> bool:
    """Whether these may be an attribute. Never raises."""
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        return False
    if isinstance(value, str):
        return "\0" not in value and _is_text(value)
    if isinstance(value, int):
        return int.bit_length(value) <= _LONGEST_INTEGER
    return isinstance(value, float) and math.isfinite(value)


def attributes_text(given: dict[str, Any]) -> str:
    """Attributes as JSON. Raises ValueError: a number is not finite."""
    return _to_json(given)


def _harmless(found: re.Match[str]) -> str:
    """The word without what grants access."""
    word = found[0]
    has_user = "@" in word or ("%40" in word and _ENCODED.search(word) is not None)
    url = (_URL if has_user else _POSTGRES).search(word)
    if url is not None:
        word = word[: url.start(1)] + _CUT
    name, at, rest = word.rpartition("@")
    colon = name.find(":")
    return f"{_CUT}@{rest}" if at and 0 < colon < len(name) - 1 else word


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
