"""Measures of runs of the log and of files together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from execlog.archive.asking import asked_of, one_list, switches_of
from execlog.archive.reading import Reach
from execlog.db.rows import Row

__all__ = ["percentiles", "summary"]


async def percentiles(
    reach: Reach, log: Sequence[Row], fractions: Sequence[float], *switches: str, **values: Any
) -> tuple[list[float], int]:
    """The weighed percentiles of all durations, and how many runs they are of.

    Args:
        reach: The files.
        log: The durations of the log, their weights and runs, in pieces.
        fractions: The fractions.
        switches: The switches of the log's statement.
        values: Its values.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    found = await reach.read(
        "duration_percentiles",
        reach.listed,
        *switches_of(switches),
        **asked_of(values),
        fractions=str([*fractions]),
        durations=one_list(row["duration_ms"] for row in log),
        weights=one_list(row["weight"] for row in log),
    )
    size = sum(row["runs"] for row in log) + (found[0]["runs"] if found else 0)
    return [row["value_ms"] for row in found], size


async def summary(reach: Reach, log: Row, **scope: Any) -> dict[str, Any]:
    """The log's summary with what files hold.

    Args:
        reach: The files.
        log: The log's row.
        scope: The values of the log's statement.

    Raises:
        ArchiveError: A file is missing or damaged.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    mine = dict(log)
    if not reach.listed:
        return mine
    [theirs] = await reach.read("duration_and_nodes_summary", reach.listed, **scope, realm_ids=None)
    if not theirs["count"]:
        return mine
    if not mine["count"]:
        mine |= {"duration_min_ms": theirs["duration_min_ms"]}
    count = mine["count"] + theirs["count"]
    duration = mine["duration_sum_ms"] + theirs["duration_sum_ms"]
    nodes = mine["nodes_avg"] * mine["count"] + theirs["nodes_sum"]
    return {
        "count": count,
        "duration_avg_ms": duration / count if duration > 1e-290 else 0.0,
        "duration_min_ms": min(mine["duration_min_ms"], theirs["duration_min_ms"]),
        "duration_max_ms": max(mine["duration_max_ms"], theirs["duration_max_ms"]),
        "duration_sum_ms": duration,
        "nodes_avg": nodes / count,
        "nodes_max": max(mine["nodes_max"], theirs["nodes_max"]),
        "points_sum": mine["points_sum"] + (theirs["points_sum"] or 0.0),
    }
