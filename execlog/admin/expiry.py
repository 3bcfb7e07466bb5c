"""Clears inputs that are too old: chooses the partitions, and clears each a few pages at a time.

Rows stay, and so do their places in the rollups. A partition that is done is marked by a comment on
its column, and looked at again only for rows that have come since.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from execlog.admin.lease import Lease
from execlog.admin.partitions import DEFAULT, Partition, Step
from execlog.db.connections import LONGEST_SECONDS

__all__ = ["expire", "expiries"]

_BEGIN = datetime.min.replace(tzinfo=UTC)
_MOST_AT_ONCE = 50  # partitions; the next runs do the rest of a backlog
_PAGES = 1024  # of a transaction: 8 MiB
_SHARE = 8  # an eighth is vacuumed at once, and the next one takes its room
_ALL_PAGES = 2**32 - 1


async def expiries(
    lease: Lease,
    partitions: Sequence[Partition],
    inputs_from: datetime | None,
    going: Collection[str],
) -> list[Step]:
    """The steps of a plan, the oldest first. Raises as the driver does.

    Args:
        lease: The lease, whose connection is used, in a transaction.
        partitions: The partitions that exist.
        inputs_from: The time from which inputs are kept; None: all are.
        going: Names of partitions that other steps remove or replace.
    """
    if inputs_from is None:
        return []
    steps: list[Step] = []
    for one in partitions:
        is_old = one.ours and one.bytes and one.ends <= inputs_from and one.name not in going
        if is_old and (one.cleared_before is None or await _has_late(lease, one)):
            steps.append(Step("expire", one.name, one.begins, one.ends))
    steps = steps[:_MOST_AT_ONCE]
    [found] = await lease.fetch("old_inputs", inputs_from, limit=LONGEST_SECONDS)
    if found["old"]:
        steps.append(Step("expire", DEFAULT, _BEGIN, inputs_from))
    return steps


async def expire(lease: Lease, words: Mapping[str, str], *, spread: bool) -> None:
    """Clears the inputs of a partition, or those of DEFAULT that are old enough.

    Its session must be without a time limit for statements: no transaction can be around it.

    Args:
        lease: The lease; it is proved and renewed in each transaction.
        words: The values that the scripts need of the step.
        spread: Whether the rows lie on other machines: then all are one transaction.

    Raises:
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    async with lease.transaction():
        [found] = await lease.fetch("to_clear", words["partition"])
    pages = found["pages"]
    part = max(_PAGES, pages // _SHARE)
    unvacuumed = 0
    for low, high in [(0, _ALL_PAGES)] if spread else _parts(pages):
        places = {"low": f"({low},0)", "high": f"({high},0)"}
        parts = ["begin", "lift", "prove", "expire", "prove", "end"]
        await lease.send(parts, {**words, **places}, alone=spread)
        unvacuumed += high - low
        if not spread and (unvacuumed >= part or high >= pages):
            await lease.send(["vacuum"], words)
            unvacuumed = 0
    if words["partition"] != DEFAULT:
        # Rows that come later have this transaction's number or a higher one.
        done = f"Cleared before transaction {found['before']} of relation {found['relation']}."
        await lease.send(["begin", "lift", "prove", "cleared", "end"], {**words, "comment": done})


def _parts(pages: int) -> Iterator[tuple[int, int]]:
    for low in range(0, pages, _PAGES):
        yield low, min(low + _PAGES, pages)


async def _has_late(lease: Lease, one: Partition) -> bool:
    [found] = await lease.fetch("late_inputs", one.begins, one.ends, one.cleared_before)
    is_late: bool = found["late"]
    return is_late
