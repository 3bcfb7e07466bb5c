"""Rebuilds the indexes of closed partitions: chooses the partitions, and rebuilds index by index.

Rows of many strategies come in turn, so the pages of an index by strategy split in the middle while
it grows, and stay half empty. Once its partition has closed, it is built anew, in order.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from execlog.admin.lease import Lease
from execlog.admin.partitions import Partition, Step
from execlog.admin.session import DRIVER_ERRORS

__all__ = ["LooseIndex", "loose_indexes", "rebuild", "rebuilds"]

_LATE = timedelta(hours=1)  # most rows that come late have come by then
_LEAST_BYTES = 2**20  # about 3,000 rows
_MOST_AT_ONCE = 8  # partitions; what is urgent must not wait for all of a backlog


class LooseIndex(NamedTuple):
    """An index of a closed partition that takes more room than it needs.

    Attributes:
        partition: The partition.
        name: The index.
        bytes: Its bytes on disk.
        leftover: Whether an interrupted rebuild left it, and no statement uses it.
    """

    partition: str
    name: str
    bytes: int
    leftover: bool


async def loose_indexes(lease: Lease, partitions: Sequence[Partition]) -> list[LooseIndex]:
    """Those of closed partitions, the smallest first. Raises as the driver does.

    Args:
        lease: The lease, whose connection and clock are used, in a transaction.
        partitions: The partitions that exist.
    """
    closed = [one.name for one in partitions if one.ours and one.ends <= lease.now - _LATE]
    return await _loose(lease, closed)


def rebuilds(
    partitions: Sequence[Partition], loose: Sequence[LooseIndex], going: Collection[str]
) -> list[Step]:
    """The steps of a plan: the newest partitions, eight at most. Never raises.

    Args:
        partitions: The partitions that exist.
        loose: The indexes that take more room than they need.
        going: Names of partitions that other steps remove or replace.
    """
    sizes: Counter[str] = Counter()
    for one in loose:
        # What was left is removed however small it is: late rows pay for it.
        sizes[one.partition] += _LEAST_BYTES if one.leftover else one.bytes
    wanted = [
        one for one in partitions if sizes[one.name] >= _LEAST_BYTES and one.name not in going
    ]
    newest: list[Partition] = sorted(wanted, key=_ends, reverse=True)
    return [Step("rebuild", one.name, one.begins, one.ends) for one in newest[:_MOST_AT_ONCE]]


async def rebuild(lease: Lease, partition: str) -> None:
    """Rebuilds the indexes of a partition that take more room than they need, one by one.

    Each is built beside the present one, so the disk needs room for the largest of them. Its
    session must be without a time limit for statements: no transaction can be around it.

    Args:
        lease: The lease; it is proved and renewed before each index.
        partition: The partition.

    Raises:
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    await _clear(lease, partition)
    for one in await _loose_of(lease, partition):
        if one.leftover:  # it is new: another process is at work
            continue
        words = {"index": one.name}
        await lease.send(["begin", "lift", "prove", "pack", "end"], words)
        try:
            await lease.send(["rebuild"], words)
        except DRIVER_ERRORS:
            with contextlib.suppress(*DRIVER_ERRORS):  # the next run tries again
                await _clear(lease, partition)
            raise
        # Also if another process has taken over meanwhile: it need not do the same again.
        async with lease.transaction():
            [found] = await lease.fetch("index_bytes", one.name)
            words["comment"] = f"Rebuilt: {found['bytes']} bytes."
            await lease.send(["note"], words)


async def _clear(lease: Lease, partition: str) -> None:
    """Removes what an interrupted rebuild left."""
    for one in await _loose_of(lease, partition):
        if one.leftover:
            await lease.send(["clear"], {"index": one.name})


async def _loose_of(lease: Lease, partition: str) -> list[LooseIndex]:
    async with lease.transaction():
        return await _loose(lease, [partition])


async def _loose(lease: Lease, names: list[str]) -> list[LooseIndex]:
    return [LooseIndex(*found) for found in await lease.fetch("loose", names)]


def _ends(one: Partition) -> datetime:
    return one.ends
