"""What was stored since a place, in the order of commits: none missed, none twice."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import pairwise
from typing import NamedTuple, Unpack
from uuid import UUID

import asyncpg

from execlog.db import validation
from execlog.db.slices import sliced
from execlog.errors import InvalidArgument, QueryRejected
from execlog.models import Model, StrategyExecutionLog
from execlog.repository.filters import Filters, conditions
from execlog.repository.questions import Questions

__all__ = ["MOST_AT_ONCE", "Following", "StoredPage", "checked_place"]

MOST_AT_ONCE = 1000
"""The most rows that one call looks at."""

_NO_ORDER = "list_stored: this log does not keep in which order rows are stored"
_NO_PLACE = "is no place that list_stored has returned"
_LARGEST_XID = 2**63 - 1
_OWN = ("upto", "current", "is_behind", "is_standby", "is_kept", "looked_at")
_LAST = ("last_xid", "last_id")


class StoredPage(Model):
    """Some of the executions that were stored since a place, and the place after them.

    Attributes:
        executions: Those that pass the filters, in the order of the transactions that stored them.
        place: Where the next call begins (`after`): a text, which may be kept and be used later.
        has_more: Whether the next call may find more at once.
        is_reset: Whether the server has not come as far as the place that was given: it was
            restored from an earlier state, say. The new place is its present.
    """

    executions: list[StrategyExecutionLog]
    place: str
    has_more: bool = False
    is_reset: bool = False


class Following(Questions):
    """Finds what was stored since the last call, whatever its time."""

    async def list_stored(
        self,
        *,
        after: str | None,
        strategy_id: str | Collection[str] | None = None,
        limit: int = 200,
        payloads: bool = False,
        **filters: Unpack[Filters],
    ) -> StoredPage:
        """The executions that were stored since a place, each once, in the order of commits.

        A row is found once its transaction is committed, in whichever order transactions begin and
        end; on a standby, once all that began before it have ended too. What maintenance moves or
        a user's erasure changes is not found again. A call reads no more than it looks at, however
        much was stored before; of a transaction of more than `limit` rows, it reads all its rows.

        Args:
            after: The place that the last call returned; None: the present, of which nothing is
                returned but the place.
            strategy_id: Only this strategy's, or those of several; None: all.
            limit: 1 to 1,000 rows that are looked at; those that the filters leave out count too,
                except those of other realms.
            payloads: As for `list_executions`.
            filters: See `Filters`.

        Raises:
            InvalidArgument: `after` is no such place, or as for `list_executions`.
            SchemaOutdated: The database is not migrated.
            StoreUnavailable: The server is away or out of time.
            QueryRejected: The server refuses, or the log does not keep this order: it is spread
                over a cluster.
        """
        wanted = conditions("list_stored", filters)
        names = validation.strategies("strategy_id", strategy_id)
        has_payloads = validation.flag("payloads", payloads)
        most = validation.limit(limit, MOST_AT_ONCE)
        place = _Place() if after is None else _place(validation.text("after", after))
        if self._spread:
            raise QueryRejected(_NO_ORDER)
        found, _ = await self._fetch_whole(
            "list_stored",
            *wanted.switches,
            *([] if has_payloads else ["bare", "no_input"]),
            **wanted.values,
            **place._asdict(),
            strategy_ids=names,
            limit=most,
        )
        first = found[0]
        if not first["is_kept"]:
            raise QueryRejected(_NO_ORDER)
        if first["is_behind"]:
            if first["is_standby"] and after is not None:  # it will come as far
                return StoredPage(executions=[], place=after)
            return StoredPage(executions=[], place=first["current"], is_reset=True)
        has_more = first["looked_at"] == most
        if has_more:
            place = place._replace(
                seen=place.seen or first["upto"],
                upto=first["upto"],
                after_xid=first["last_xid"],
                after_id=first["last_id"],
            )
        else:
            place = _Place(first["upto"])
        model = self._row if has_payloads else self._outlined
        rows = (_without_place(one) for one in found if one["id"] is not None)
        executions = await sliced(map(model, rows))
        return StoredPage(executions=executions, place=place.text, has_more=has_more)


class _Place(NamedTuple):
    """How far a reader is.

    Attributes:
        seen: All that this snapshot sees was returned; None: the present one.
        upto: The snapshot up to which pages go; None: the present one.
        after_xid: The transaction of the last row of the page before.
        after_id: The id of that row.
    """

    seen: str | None = None
    upto: str | None = None
    after_xid: str = "0"
    after_id: UUID = UUID(int=0)

    @property
    def text(self) -> str:
        if self.upto is None:
            return self.seen or ""
        return f"{self.seen} {self.upto} {self.after_xid} {self.after_id}"


def checked_place(text: str) -> str:
    """The text of a place, which was kept elsewhere. Raises InvalidArgument: it is none."""
    _place(validation.text("after", text))
    return text


def _place(text: str) -> _Place:
    """The place of a text. Raises InvalidArgument: it is none."""
    seen, *others = text.split(" ")
    if not _is_snapshot(seen) or len(others) not in (0, 3):
        raise InvalidArgument("after", _NO_PLACE)
    if not others:
        return _Place(seen)
    upto, xid, key = others
    if not _is_snapshot(upto) or not _is_xid(xid):
        raise InvalidArgument("after", _NO_PLACE)
    return _Place(seen, upto, xid, validation.identifier("after", key))


def _is_snapshot(text: str) -> bool:
    """Whether the server would read it: `xmin:xmax:` and, in order, those between them."""
    parts = text.split(":")
    if len(parts) != 3:
        return False
    numbers = [*parts[:2], *(parts[2].split(",") if parts[2] else [])]
    if not all(map(_is_xid, numbers)):
        return False
    low, high, *between = map(int, numbers)
    return (
        0 < low <= high
        and all(low <= one < high for one in between)
        and all(one < next for one, next in pairwise(between))
    )


def _is_xid(text: str) -> bool:
    return re.fullmatch("[0-9]{1,19}", text) is not None and int(text) <= _LARGEST_XID


def _without_place(record: asyncpg.Record) -> dict[str, object]:
    fields = dict(record)
    for name in (*_OWN, *_LAST):
        del fields[name]
    return fields
