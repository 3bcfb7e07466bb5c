"""Decides whether the server's refusal is about a row, and about which of the rows sent."""

from __future__ import annotations

import re

from execlog.errors import ExeclogError

__all__ = ["blamed_row", "blames_a_row"]

# Classes of SQLSTATE that can blame a row without naming it: cardinality, data, integrity, view
# check, an exception of a trigger.
_ROW_CLASSES = frozenset({"21", "22", "23", "44", "P0"})
# Classes that blame no row, even if one is named: missing objects or rights, limits of the server,
# its state, and faults of its own or of another server. They pass or are repaired, and then the
# same rows are stored. All others, a trigger's own too, blame the row that they name.
_CONDITIONS = frozenset("08 0A 25 28 3D 3F 40 42 53 54 55 57 58 F0 HV XX".split())
# "COPY strategy_execution_log, line 7, column ..." in any language of the server.
_LINE = re.compile(r"^COPY \w+, \w+ (\d+)", re.MULTILINE)


def blames_a_row(error: ExeclogError) -> bool:
    """Whether other rows may be stored although these were refused. Never raises."""
    kind = (error.sqlstate or "")[:2]
    named = kind != "" and kind not in _CONDITIONS and _line(error) is not None
    return named or kind in _ROW_CLASSES


def blamed_row(error: ExeclogError, rows: int) -> int | None:
    """The index of the row that the server names; None if it names none. Never raises."""
    line = _line(error)
    return line - 1 if line is not None and 1 <= line <= rows else None


def _line(error: ExeclogError) -> int | None:
    found = _LINE.search(getattr(error.__cause__, "context", None) or "")
    return None if found is None else int(found[1])
