"""Answers of DuckDB about the runs of files and those of the log, which are handed over to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from execlog.archive.asking import (
    asked_of,
    batches,
    newest_first,
    one_list,
    switches_of,
    time_of,
)
from execlog.archive.attributes import value_pattern
from execlog.archive.reading import Reach
from execlog.db.rows import Row

__all__ = ["MOST_OF_LOG", "card", "grouped", "groups", "points", "sampled"]

MOST_OF_LOG = 100_000
"""The most runs of the log that are handed over; they take some 60 MB."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NUMBERS = ("status", "duration_ms", "points", "weight")
_OF_CARD = (*_NUMBERS, "error_code", "case_name", "nodes_executed")
_OF_GROUPS = (*_NUMBERS, "value", "user_id", "seen")
_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")
# What a card from rollups has beside.
_NO_ROLLUPS = {
    "durations": None,
    "bars": None,
    "points": None,
    "points_below": None,
    "other_errors": 0,
    "other_cases": 0,
    "rows_from": None,
    "versions_from": None,
}


async def card(reach: Reach, log: Sequence[Row], **scope: Any) -> dict[str, Any]:
    """The row of a card, as `sql/metrics.sql` has it.

    Args:
        reach: The files.
        log: The runs of the log, in pieces.
        scope: The values of the log's statement.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    given = _given(log, _OF_CARD)
    [found] = await reach.read("card", reach.listed, **asked_of(scope), **given)
    return {**_with_percentiles(found), **_NO_ROLLUPS}


async def groups(
    reach: Reach,
    log: Sequence[Row],
    *switches: str,
    attribute: str | None,
    order: str,
    limit: int,
    **values: Any,
) -> list[dict[str, Any]]:
    """The rows of a breakdown, as `sql/breakdown.sql` has them.

    Args:
        reach: The files.
        log: The runs of the log, in pieces, with the value of each.
        switches: The switches of the log's statement.
        attribute: The key of the attribute that it is by.
        order: What the groups are sorted by.
        limit: How many groups are wanted.
        values: The values of the filters.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    given = _given(log, _OF_GROUPS)
    found = await grouped(
        reach, given, *switches, attribute=attribute, order=order, limit=limit, **values
    )
    return [_with_percentiles(one) for one in found]


async def grouped(
    reach: Reach,
    given: Mapping[str, Any],
    *switches: str,
    attribute: str | None,
    order: str,
    limit: int,
    **values: Any,
) -> list[dict[str, Any]]:
    """The rows of the statement `breakdown` of files; percentiles as a list.

    Args:
        reach: The files.
        given: The runs that are given, by parameter; empty: none.
        switches: The switches of the log's statement.
        attribute: The key of the attribute that it is by.
        order: What the groups are sorted by.
        limit: How many groups are wanted.
        values: The values of the filters.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    own = {one for one in switches if one.startswith("by_")} - {"by_strategy_id"}
    own |= switches_of(switches) | {"details", "slowest_first"}.intersection(switches)
    found = await reach.read(
        "breakdown",
        reach.listed,
        *own,
        **asked_of(values),
        **(given or _given([], _OF_GROUPS)),
        attribute_pattern=None if attribute is None else value_pattern(attribute),
        order=order,
        limit=limit,
    )
    return [{**one, **_times(one)} for one in found]


async def points(reach: Reach, log: Sequence[Row], **scope: Any) -> list[dict[str, Any]]:
    """The bars of points, as `sql/count_by_points.sql` has them.

    Args:
        reach: The files.
        log: The runs of the log, in pieces.
        scope: The values of the log's statement.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    given = _given(log, ("points",))
    return await reach.read("count_by_points", reach.listed, **asked_of(scope), **given)


async def sampled(
    reach: Reach, found: Sequence[Row], *switches: str, limit: int, **values: Any
) -> Sequence[Row]:
    """The newest rows of a sample, newest first: of those that the log has and of files.

    Args:
        reach: The files.
        found: The newest of the log.
        switches: The switches of the statement of files.
        limit: How many are wanted.
        values: The values of the log's statement.

    Raises:
        ArchiveError: A file is missing or damaged.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    rows = list(found)
    for some in batches(reach.listed):
        if len(rows) >= limit and time_of(rows[limit - 1]) > some[0].last_at:
            break
        more = await reach.read("sample", some, *switches, **asked_of(values), limit=limit)
        rows = sorted([*rows, *more], key=newest_first, reverse=True)[:limit]
    return rows


def _given(log: Sequence[Row], names: Sequence[str]) -> dict[str, str]:
    """The columns of the log's runs, as the statements take them."""
    return {f"given_{name}": one_list(row[name] for row in log) for name in names}


def _with_percentiles(found: dict[str, Any]) -> dict[str, Any]:
    rest = {name: value for name, value in found.items() if name != "values_ms"}
    values = found["values_ms"] or (None,) * len(_PERCENTILES)
    return {**rest, **dict(zip(_PERCENTILES, values, strict=True))}


def _times(found: dict[str, Any]) -> dict[str, datetime | None]:
    seen = {name: found[name] for name in ("first_seen", "last_seen")}
    return {
        name: None if at is None else _EPOCH + timedelta(microseconds=at)
        for name, at in seen.items()
    }
