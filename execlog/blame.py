"""Which row it is that the server refuses, of those that were sent at once."""

from __future__ import annotations

import re

from execlog.errors import ExeclogError

__all__ = ["blamed_row", "blames_a_row"]

# Classes of SQLSTATE that blame a row: data, integrity, cardinality, view check, limits of the
# program, an exception of a trigger.
_ROW_CLASSES = frozenset({"21", "22", "23", "44", "54", "P0"})
# "COPY strategy_execution_log, line 7, column ..." in whatever language the server speaks.
_LINE = re.compile(r"^COPY \w+, \w+ (\d+)", re.MULTILINE)


def blames_a_row(error: ExeclogError) -> bool:
    """Whether other rows may be stored where these were refused. Never raises."""
    return (error.sqlstate or "")[:2] in _ROW_CLASSES


def blamed_row(error: ExeclogError, rows: int) -> int | None:
    """The place of the row that the server names, or of the only one; else None. Never raises."""
    found = _LINE.search(getattr(error.__cause__, "context", None) or "")
    if found is not None and 1 <= int(found[1]) <= rows:
        return int(found[1]) - 1
    return 0 if rows == 1 else None
