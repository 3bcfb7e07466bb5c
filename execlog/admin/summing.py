"""The numbers of the rows that are to go, of some pages at a time while others store."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from execlog.admin.lease import Lease
from execlog.admin.scripts import archiving_script
from execlog.admin.yielding import WORK_SECONDS, Yielding
from execlog.archive.part import Sums
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.sqltext import filled

__all__ = ["both", "summed"]

_LEAST = frozenset({"first_at", "least_points", "shortest"})
_MOST = frozenset({"last_at", "most_points", "longest", "most_bytes"})
Read = Callable[[int, int], Awaitable[Sums]]

_LEAST_PAGES = 32  # fewer take hardly less time: a statement has some of its own


async def summed(
    lease: Lease, look: Callable[[], Awaitable[None]], yielding: Yielding, words: Mapping[str, str]
) -> Sums:
    """The numbers of `sums.sql`, within a transaction of one snapshot. Raises as the driver does.

    While others store, a statement reads only as many pages as it can in a moment, and a pause
    follows. Once they stop, one statement reads what is left.

    Args:
        lease: The lease, whose connection is used.
        look: Looks whether others store, and tells `yielding`.
        yielding: Whether they do.
        words: The partition and the times.
    """
    pages = await _pages(lease, words) if yielding.is_busy else None
    if pages is None:
        return await (await _statement(lease, words, whole=True))(0, 0)
    read = await _statement(lease, words, whole=False)
    sums: Sums | None = None
    done, size = 0, _LEAST_PAGES
    while sums is None or done < pages:
        began = time.monotonic()
        last = done + size if yielding.is_busy else pages
        piece = await read(done, last)
        sums = piece if sums is None else both(sums, piece)
        done, took = last, time.monotonic() - began
        size = max(int(size * min(WORK_SECONDS / max(took, 1e-6), 2)), _LEAST_PAGES)
        await yielding.pause()
        if yielding.is_due:
            await look()
    return sums


def both(one: Sums, other: Sums) -> Sums:
    """The numbers of two sets of rows together. Never raises.

    Args:
        one: Those of one set.
        other: Those of another.
    """
    return {name: _joined(name, value, other[name]) for name, value in one.items()}


def _joined(name: str, one: Any, other: Any) -> Any:
    if one is None or other is None:
        return one if other is None else other
    if name in _LEAST:
        return min(one, other, key=_order)
    if name in _MOST:
        return max(one, other, key=_order)
    return int(one) + int(other)


def _order(value: Any) -> tuple[bool, Any]:
    """As both servers order numbers: NaN is above all others."""
    return (True, 0) if value != value else (False, value)


async def _pages(lease: Lease, words: Mapping[str, str]) -> int | None:
    """How many pages the partition has; None: it has partitions of its own, and no pages."""
    sql = filled(archiving_script("pages"), lease.schema, words)
    found: int | None = await lease.session.connection.fetchval(sql)
    return found


async def _statement(lease: Lease, words: Mapping[str, str], *, whole: bool) -> Read:
    """What reads the rows of all pages, or from one page on and before another."""
    own = {**words, "whole": "true" if whole else "false"}
    sql = filled(archiving_script("sums"), lease.schema, own)
    statement = await lease.session.connection.prepare(sql)

    async def read(first: int, last: int) -> Sums:
        # A limit of rows, as of fetchrow, would keep the server to one process.
        [found] = await statement.fetch((first, 0), (last, 0), timeout=LONGEST_SECONDS)
        return dict(found)

    return read
