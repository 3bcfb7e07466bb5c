"""Files that were replaced since they were listed, and what holds their rows now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from execlog.archive.asking import Held

__all__ = ["successors"]


def successors(listed: Iterable[Held], now: Sequence[Held]) -> dict[str, Held]:
    """The file that took the place of each one that is gone from the table, by its path.

    An erasure writes a file once more under the next number of its day, with as many rows of the
    same times. The log's own rows were read before it, so the times that it holds too are those of
    the old entry. Never raises; a file that could have two successors has none, nor has one whose
    failures were read from the log, if the log has one of them as ok by now: it is in both.

    Args:
        listed: Files as they were listed.
        now: All files of the same window, as they are listed now.
    """
    gone, new = defaultdict(list), defaultdict(list)
    before, after = {one.path: one for one in listed}, {one.path for one in now}
    for path, one in before.items():
        if path not in after:
            gone[_identity(one)].append(one)
    for one in now:
        if one.path not in before:
            new[_identity(one)].append(one)
    return {
        old.path: one._replace(in_log=old.in_log, failures_in_log=old.failures_in_log)
        for identity, [old, *others] in gone.items()
        if not others
        for one in new[identity]
        if len(new[identity]) == 1 and (one.ok_rows == old.ok_rows or not old.failures_in_log)
    }


def _identity(one: Held) -> tuple[str, datetime, datetime, int]:
    """What a file has in common with its successor, and hardly with any other."""
    return one.path.rpartition("/")[0], one.first_at, one.last_at, one.rows
