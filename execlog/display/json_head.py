"""The beginning of a JSON text, laid out for people: however large it is, only that is read."""

from __future__ import annotations

import re

__all__ = ["head"]

_INDENT = "  "
_DEEPEST = 40  # levels that are indented
_SHORT = 72  # characters of a list or an object that stays on one line
# Atomic groups, since Python before 3.11.5 leaves a possessive one in the middle of what fails.
_TOKEN = re.compile(r'"[^"\\]*+(?>(?:\\.[^"\\]*+)*)"?|[\[\]{}:,]|[^\s"\[\]{}:,]+', re.DOTALL)
_FLAT = re.compile(r'[\[{](?>(?:[^"\[\]{}]++|"[^"\\]*+(?>(?:\\.[^"\\]*+)*)")*)[\]}]', re.DOTALL)
_GAP = re.compile(r"\s*+")


def head(text: str, longest: int) -> tuple[str, int]:
    """The first characters of a JSON text on lines of its own; and how many are left out.

    A list or an object that holds no other one and is short stays on one line. Numbers and texts
    are as they are stored. Never raises for JSON.

    Args:
        text: The text.
        longest: The most characters of it that are laid out.
    """
    cut = text[:longest]
    more = len(text) - len(cut)
    pieces: list[str] = []
    depth, at = 0, 0
    while (at := _after_gap(cut, at)) < len(cut):
        flat = _FLAT.match(cut, at, at + _SHORT) if depth or text[at] == "[" else None
        found = flat or _TOKEN.match(cut, at)
        if found is None:
            break
        part, at = found[0], found.end()
        if flat is not None:
            pieces.append(part)
        elif part in "[{":
            depth += 1
            if (end := _after_gap(cut, at)) < len(cut) and cut[end] in "]}":
                pieces.append(part + cut[end])
                depth, at = depth - 1, end + 1
            else:
                pieces.append(part + _line(depth))
        elif part in "]}":
            depth -= 1
            pieces.append(_line(depth) + part)
        else:
            pieces.append({",": "," + _line(depth), ":": ": "}.get(part, part))
    return "".join(pieces), more


def _line(depth: int) -> str:
    return "\n" + _INDENT * min(depth, _DEEPEST)


def _after_gap(text: str, at: int) -> int:
    found = _GAP.match(text, at)
    return found.end() if found else at
