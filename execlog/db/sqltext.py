"""Fills in what SQL can't take as a parameter: the schema's name, and names from a script.

The files say `execlog.` and run unchanged in psql; `:"word"`, `:'word'` and `:word` are psql's
spelling of a quoted name, a quoted text and a piece of SQL. All are replaced in one pass, so what
is filled in is never searched again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["SCHEMA", "filled", "pieces", "quoted"]

SCHEMA = "execlog"
"""The schema that the files name."""

_NAME = re.compile(rf"\b{SCHEMA}\b")
_PARTS = re.compile(
    rf"""
      --[^\n]*                                    # a comment
    | (?<!:):(?P<quote>["'])(?P<word>\w+)(?P=quote)
    | '(?:[^']|'')*'                              # a text, which may hold the schema's name
    | (?<!:):(?P<bare>[a-z_]+)\b
    | {_NAME.pattern}
    """,
    re.VERBOSE,
)


def quoted(name: str) -> str:
    """A name as an identifier of SQL. Never raises."""
    return '"' + name.replace('"', '""') + '"'


def pieces(sql: str) -> list[str]:
    """The statements of a script, each to be sent by itself. Never raises.

    Our scripts have an empty line after each statement and none within one.
    """
    return [piece for piece in sql.split(";\n\n") if piece.strip()]


def filled(sql: str, schema: str, words: Mapping[str, str] | None = None) -> str:
    """The SQL for this schema, with these words.

    Args:
        sql: The text of a file.
        schema: The name of the schema; any name that `validation.schema` lets through.
        words: The values of `:"word"`, `:'word'` and `:word`; the last is inserted unquoted.

    Raises:
        KeyError: The text has a word that is not given.
    """
    name = SCHEMA if schema == SCHEMA else quoted(schema)

    def part(found: re.Match[str]) -> str:
        text, quote = found[0], found["quote"]
        if text.startswith("--"):
            return text
        if found["bare"]:
            return (words or {})[found["bare"]]
        if quote:
            word = (words or {})[found["word"]]
            return f"{quote}{word.replace(quote, quote * 2)}{quote}"
        if text.startswith("'"):
            return _NAME.sub(lambda _: name.replace("'", "''"), text)
        return name

    return _PARTS.sub(part, sql)
