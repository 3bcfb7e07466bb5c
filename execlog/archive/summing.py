"""Breakdowns of numbers that add up: those of the log and those of files, group by group."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from execlog.archive.asking import TooMuch
from execlog.archive.joined import grouped
from execlog.archive.reading import Reach
from execlog.db.rows import Row, aware_fields

__all__ = ["MOST_GROUPS_OF_EITHER", "sums"]

MOST_GROUPS_OF_EITHER = 50_000
"""The most groups of the log, and of files, that are added up."""

_SUMS = (
    *("runs", "failures", "failed_weight", "other_weight", "weight", "weight_squares"),
    *("duration_ms", "points"),
)
_NO_DETAILS = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms", "users"))


async def sums(
    reach: Reach, log: Sequence[Row], *switches: str, order: str, limit: int, **values: Any
) -> list[dict[str, Any]]:
    """The rows of a breakdown without details, as `sql/breakdown.sql` has them.

    Args:
        reach: The files.
        log: The groups of the log, all of them.
        switches: The switches of the log's statement.
        order: What the groups are sorted by.
        limit: How many groups are wanted.
        values: The other values of the log's statement.

    Raises:
        TooMuch: There are too many groups.
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    most = MOST_GROUPS_OF_EITHER
    found = await grouped(reach, {}, *switches, order="runs", limit=most + 1, **values)
    if max(len(log), len(found)) > most:
        raise TooMuch(f"breakdown: there are more than {most:,} groups: ask about fewer")
    are_numbers = "by_strategy_version" in switches
    return await asyncio.to_thread(_ordered, [*log, *found], order, limit, are_numbers)


def _ordered(
    rows: Iterable[Row], order: str, limit: int, are_numbers: bool
) -> list[dict[str, Any]]:
    total: dict[str | None, dict[str, Any]] = {}
    for row in rows:
        one = {**aware_fields(row), **_NO_DETAILS}
        mine = total.get(one["value"])
        total[one["value"]] = one if mine is None else _added(mine, one)

    def place(one: dict[str, Any]) -> tuple[float, bool, str | int]:
        value = one["value"]
        measure = one["failed_weight"] / one["weight"] if order == "error_rate" else one[order]
        return -measure, value is None, int(value or 0) if are_numbers else value or ""

    return sorted(total.values(), key=place)[:limit]


def _added(one: dict[str, Any], two: dict[str, Any]) -> dict[str, Any]:
    """Two groups of the same value as one."""
    added = {name: _sum(one[name], two[name]) for name in _SUMS}
    first = _seen(one["first_seen"], two["first_seen"])
    last = _seen(one["last_seen"], two["last_seen"])
    times = {"first_seen": min(first, default=None), "last_seen": max(last, default=None)}
    return {**one, **added, **times}


def _sum(one: Any, two: Any) -> Any:
    return two if one is None else one if two is None else one + two


def _seen(*times: datetime | None) -> list[datetime]:
    return [at for at in times if at is not None]
