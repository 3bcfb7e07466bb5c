"""The newest traces of failed and of slow runs, of the log and of files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from execlog.archive.asking import Held, asked_of, batches, newest_first, switches_of, time_of
from execlog.archive.reading import Reach
from execlog.db.rows import Row

__all__ = ["traced"]


async def traced(
    reach: Reach,
    found: Sequence[Row],
    *switches: str,
    newest: int,
    most_bytes: int,
    slower_than_ms: float | None,
    **values: Any,
) -> list[dict[str, Any]]:
    """Runs with traces, newest first, as `sql/node_times.sql` has them.

    The text is None of traces that are too long, or for which newer ones leave no bytes. In files a
    trace has the bytes of its text, in the log those that it takes there.

    Args:
        reach: The files.
        found: The runs of the log.
        switches: The switches of the log's statement.
        newest: How many failed runs are read at most, and how many slow ones.
        most_bytes: The most bytes of all traces together.
        slower_than_ms: Longer runs are slow; None: there are none.
        values: The other values of the log's statement.

    Raises:
        ArchiveError: A file is missing or damaged, or memory does not suffice.
        QueryRejected: The role is subject to row level security.
        StoreUnavailable: It takes too long.
    """
    asked = {
        **asked_of(values),
        "newest": newest,
        "most_bytes": most_bytes,
        "trace_bytes": values["trace_bytes"],
        "slower_than_ms": slower_than_ms,
    }
    kinds = {
        is_failed: [row for row in found if row["is_failed"] is is_failed]
        for is_failed in (True, False)
    }
    for some in batches(reach.listed):
        if all(_suffice(rows, newest, some) for rows in kinds.values()):
            break
        more = await reach.read("traced", some, *switches_of(switches), **asked)
        for is_failed, rows in kinds.items():
            both = [*rows, *(row for row in more if row["is_failed"] is is_failed)]
            kinds[is_failed] = sorted(both, key=newest_first, reverse=True)[:newest]
    rows = sorted([*kinds[True], *kinds[False]], key=newest_first, reverse=True)
    return _within(rows, most_bytes, slower_than_ms)


def _suffice(rows: Sequence[Row], newest: int, some: Sequence[Held]) -> bool:
    """Whether there are enough, all of them newer than these files."""
    return len(rows) >= newest and time_of(rows[newest - 1]) > some[0].last_at


def _within(
    rows: Sequence[Row], most_bytes: int, slower_than_ms: float | None
) -> list[dict[str, Any]]:
    kept, size = [], 0
    for row in rows:
        size += row["bytes"]
        trace = row["trace"] if size <= most_bytes else None
        kept.append({**dict(row), "trace": trace, "slower_than_ms": slower_than_ms})
    return kept
