"""The accounts of all recorders: how the executions that they were offered ended."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import asyncpg

from execlog.db.rows import aware
from execlog.models import Model

__all__ = ["AccountTotal", "RecorderAccount", "account_of", "total_of", "whole_hours"]

_SILENT = timedelta(minutes=2)
_TIMES = ("started_at", "last_seen", "closed_at", "last_dropped_at", "server_time")


class RecorderAccount(Model):
    """The account of one recorder, or of several together, in whole hours of the server's clock.

    Always: offered + recovered = sampled_out + rejected + dropped + written + pending.

    An execution that one process left in a file and another took over is pending in the account of
    the first and recovered in that of the other: over all recorders about as many wait as the sum
    of pending less that of recovered (of one that was killed some more may lie in files).

    A recorder tells the store with each batch, and once a minute if there is none. Of one whose
    process was killed the account is as of `last_seen`: what it was offered later is unknown.

    Attributes:
        recorder_id: Made by each recorder, in each process anew.
        host: The machine of its process.
        pid: Its process.
        application: The application_name of its connection, or the name of its program.
        started_at: When it was made, by the clock of its machine.
        last_seen: When it told its account last, by the server's clock, also after the window.
        closed_at: When it was closed, with nothing pending but what is spooled; None: not yet, as
            far as it is known.
        state: "closed"; "alive" if it was seen within two minutes; "open" if it was not: its
            process was killed, can't reach the store, or closed without reaching it.
        offered: Calls of `record` until it was closed, with those pending when the window began.
        recovered: Executions of another process that it took over.
        sampled_out: Ok runs that the sampler did not choose.
        rejected: Refused, by reason: see `RecorderStats`.
        dropped: Accepted and then lost, by reason.
        written: Stored, each once.
        pending: Waiting at the end of the window, or when it was last seen.
        spooled: How many of these lay in files. They outlive the process: the next recorder with
            the same folder stores them, and counts them as recovered; this account is not told.
        last_dropped_at: When it last dropped one in the window, by the clock of its machine.
        most_missing: 0 if it is closed; else how many executions are missing at most if its process
            is gone: as many as its memory can hold; what is spooled is not missing. What it dropped
            for want of room after `last_seen`, while the log was away, is not in it.
    """

    recorder_id: UUID
    host: str
    pid: int
    application: str
    started_at: datetime
    last_seen: datetime
    closed_at: datetime | None
    state: Literal["closed", "alive", "open"]
    offered: int
    recovered: int
    sampled_out: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    written: int
    pending: int
    spooled: int
    last_dropped_at: datetime | None
    most_missing: int


class AccountTotal(Model):
    """The sum over recorders: the counts of `RecorderAccount`."""

    offered: int
    recovered: int
    sampled_out: int
    rejected: dict[str, int]
    dropped: dict[str, int]
    written: int
    pending: int


def account_of(found: asyncpg.Record) -> RecorderAccount:
    """The model of a row of `recorder_account.sql`. Never raises."""
    fields = dict(found.items())
    for name in _TIMES:
        if fields[name] is not None:
            fields[name] = aware(fields[name])
    for name in ("rejected", "dropped"):
        fields[name] = _less(_counts(fields[name]), _counts(fields.pop(f"earlier_{name}")))
    now, capacity = fields.pop("server_time"), fields.pop("capacity")
    closed = fields["closed_at"] is not None
    # One that is seen in the time to come was seen before the server's clock was set back.
    silent = abs(now - fields["last_seen"]) > _SILENT
    if not fields["dropped"]:
        fields["last_dropped_at"] = None
    return RecorderAccount(
        **fields,
        state="closed" if closed else "open" if silent else "alive",
        most_missing=0 if closed else max(fields["pending"] - fields["spooled"], capacity),
    )


def total_of(accounts: Iterable[RecorderAccount]) -> AccountTotal:
    """The sum of these accounts. Never raises."""
    sums: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    for one in accounts:
        for name in ("offered", "recovered", "sampled_out", "written", "pending"):
            sums[name] += getattr(one, name)
        if one.rejected or one.dropped:
            rejected.update(one.rejected)
            dropped.update(one.dropped)
    return AccountTotal(
        offered=sums["offered"],
        recovered=sums["recovered"],
        sampled_out=sums["sampled_out"],
        rejected=dict(rejected),
        dropped=dict(dropped),
        written=sums["written"],
        pending=sums["pending"],
    )


def whole_hours(
    since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """The window widened to whole hours of UTC: its first instant, and its last one. Never raises.

    Args:
        since: Its begin; None: open.
        until: Its end, which is included; None: open.
    """
    hour: Mapping[str, Any] = {"minute": 0, "second": 0, "microsecond": 0}
    first = None if since is None else since.astimezone(UTC).replace(**hour)
    if until is None:
        return first, None
    last = until.astimezone(UTC).replace(minute=59, second=59, microsecond=999_999)
    return first, last


def _counts(text: str | None) -> dict[str, int]:
    """The counts by reason; mostly there are none, which is told without a parser."""
    return {} if text is None or text == "{}" else dict(json.loads(text))


def _less(counts: Mapping[str, int], earlier: Mapping[str, int]) -> dict[str, int]:
    if not counts and not earlier:
        return {}
    reasons = sorted({*counts, *earlier})
    left = {why: counts.get(why, 0) - earlier.get(why, 0) for why in reasons}
    return {why: count for why, count in left.items() if count}
