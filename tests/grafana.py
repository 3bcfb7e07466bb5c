"""What Grafana makes of a query of the board: first the variables, then the data source's macros.

As its documentation says: of a variable without a format the Postgres data source doubles each
single quote, puts each value between such quotes and joins them by commas. A value of one's own for
"All" is inserted as it is. Then come the interval, and each `$name(arguments)`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

__all__ = ["ALL", "interpolated", "query_of", "variables_of"]

ALL: Sequence[str] = ("$__all",)
_VARIABLE = re.compile(r"\$\{(\w+)\}")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")


def query_of(board: Mapping[str, Any], title: str) -> str:
    """The query of the panel of this title."""
    [found] = [one for one in board["panels"] if one["title"] == title]
    return str(found["targets"][0]["rawSql"])


def variables_of(board: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The variables that a query fills, by their names."""
    return {one["name"]: one for one in board["templating"]["list"] if one["type"] == "query"}


def interpolated(
    sql: str,
    board: Mapping[str, Any],
    since: datetime,
    until: datetime,
    *,
    interval_ms: int = 60_000,
    **chosen: Sequence[str],
) -> str:
    """The text that the server gets.

    Args:
        sql: The query.
        board: The dashboard, which says what "All" is.
        since: The begin of its window.
        until: Its end.
        interval_ms: What Grafana finds for the width of the panel.
        chosen: The values of variables that are not on "All".

    Raises:
        KeyError: The query names a variable or a macro that is not there.
    """
    known = variables_of(board)

    def variable(found: re.Match[str]) -> str:
        values = chosen.get(found[1], ALL)
        if values is ALL:
            return str(known[found[1]]["allValue"])
        return ",".join("'" + value.replace("'", "''") + "'" for value in values)

    first, last = (f"'{one.astimezone(UTC).isoformat()[:-6]}Z'" for one in (since, until))

    def macro(found: re.Match[str]) -> str:
        return {
            "__timeFrom": first,
            "__timeTo": last,
            "__timeFilter": f"{found[2].strip()} BETWEEN {first} AND {last}",
        }[found[1]]

    sql = _VARIABLE.sub(variable, sql).replace("$__interval_ms", str(interval_ms))
    return _MACRO.sub(macro, sql)
