"""Whether a refusal of the server is about a row, and about which one of those sent at once."""

from __future__ import annotations

import re

from execlog.errors import ExeclogError

__all__ = ["blamed_row", "blames_a_row"]

# Classes of SQLSTATE that can blame a row: cardinality, data, integrity, view check, an exception
# of a trigger. Limits of the server (53, 54), its state (55, 57, 58) and faults of its own (XX) are
# conditions, which pass or have to be mended, and then the very same rows are stored.
_ROW_CLASSES = frozenset({"21", "22", "23", "44", "P0"})
# "COPY strategy_execution_log, line 7, column ..." in whatever language the server speaks.
_LINE = re.compile(r"^COPY \w+, \w+ (\d+)", re.MULTILINE)


def blames_a_row(error: ExeclogError) -> bool:
    """Whether other rows may be stored although these were refused. Never raises."""
    return (error.sqlstate or "")[:2] in _ROW_CLASSES


def blamed_row(error: ExeclogError, rows: int) -> int | None:
    """The place of the row that the server names; None if it names none. Never raises."""
    found = _LINE.search(getattr(error.__cause__, "context", None) or "")
    if found is not None and 1 <= int(found[1]) <= rows:
        return int(found[1]) - 1
    return None
