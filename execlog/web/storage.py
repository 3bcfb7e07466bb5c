"""The page of the log itself: whether it stores, who records, its sizes, what keeps it in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog.admin.accounted import by_weight, open_ones, sentence
from execlog.admin.doctor import examined
from execlog.display.format import number, size
from execlog.display.lengths import lasting
from execlog.repository.accounts import RecorderAccount
from execlog.repository.health import Health, StoredTable
from execlog.repository.repository import Reads
from execlog.web import queries
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.resting import rests
from execlog.web.trouble import silence, usual_gap
from execlog.web.view import View

__all__ = ["Arrival", "about", "storage"]

_DAY, _RECENT = timedelta(days=1), timedelta(hours=2)
_SHORTEST = timedelta(minutes=3)
_RECORDERS, _STRATEGIES = 20, 25
_FINE, _COARSE = 60, 48
_OF_ROLLUPS = "rollup"
# The findings that the page says in sections of their own.
_ELSEWHERE = frozenset({"size", "oldest run", "newest run", "last stored", "recorders"})


@dataclass(frozen=True)
class Arrival:
    """Whether the log stores.

    Attributes:
        last: When a run was stored last; None: none ever was.
        lasts: How long ago that is.
        is_silent: Whether that is a finding.
        why: What makes it one, or why it is none; empty if something was stored just now.
    """

    last: datetime | None
    lasts: timedelta
    is_silent: bool
    why: str


async def storage(reader: Reader, request: Request) -> Response:
    """The log itself: arrivals, recorders, health, sizes.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 403, the scope does not include all of the log.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.StoragePage, request)
    view = View.of(request, "storage", asked.since, asked.until)
    if not view.scope.is_whole:
        raise HTTPException(403, "The log itself is not yours to see.")
    parts = Parts()
    async with reader.snapshot() as log:
        health = await parts.take("health", log.health())
        rollups = await parts.take("rollups", log.rollup_state())
        upkeep = await parts.take("maintenance", log.maintenance_state())
        tables = await parts.take("tables", log.list_tables())
        day = log.recorder_account(since=view.now - _DAY)
        accounts = await parts.take("recorders", day)
        arrival = None
        if health is not None:
            arrival = await parts.take("the last hours", _arrival(log, health, accounts or ()))
    found = examined(health, rollups, upkeep, accounts, schema=reader.schema) if health else ()
    return await parts.page(
        "storage.html",
        view,
        health=health,
        arrival=arrival,
        findings=[one for one in found if one.about not in _ELSEWHERE],
        upkeep=upkeep,
        rollups=rollups,
        tables=tables,
        of_rollups=_bytes(tables or (), _OF_ROLLUPS),
        accounts=None if accounts is None else by_weight(accounts)[:_RECORDERS],
        recorders=len(accounts or ()),
        account=sentence(accounts) if accounts else None,
        lost=open_ones(accounts or ()),
        about=about,
        lasting=lasting,
    )


def about(rows: int | None) -> str:
    """The server's estimate of a number of rows: only an empty table has none. Never raises."""
    if rows is None:
        return "unknown"
    return f"~{number(rows)}" if rows else "0"


async def _arrival(
    log: Reads, health: Health, accounts: Sequence[RecorderAccount]
) -> Arrival | None:
    """When something was stored last, and whether that is long ago for this log.

    None: no run of it tells a time that has come.
    """
    now, newest = health.server_time, health.newest
    if newest is not None and newest > now:  # of a clock that is ahead
        rows = await log.list_executions(until=now, limit=1, payloads=False)
        newest = rows[0].created_at if rows else None
    times = [one for one in (health.last_stored, newest) if one is not None and one <= now]
    if not times:
        is_empty = health.newest is None and not health.undated_rows
        return Arrival(None, timedelta(0), False, "") if is_empty else None
    last = max(times)
    lasts = now - last
    if lasts < _SHORTEST:
        return Arrival(last, lasts, False, "")
    alive = [one for one in accounts if one.state == "alive"]
    waiting = sum(one.pending for one in alive)
    if waiting:
        which = "a recorder that is alive holds" if len(alive) == 1 else "recorders hold"
        runs = "run that is" if waiting == 1 else "runs that are"
        return Arrival(last, lasts, True, f"{which} {number(waiting)} {runs} not stored")
    if alive:
        one = len(alive) == 1
        who = (
            "a recorder is alive and was" if one else f"{len(alive):,} recorders are alive and were"
        )
        return Arrival(last, lasts, True, f"{who} offered nothing to store")
    is_silent, why = await _without_recorder(log, last, now)
    return Arrival(last, lasts, is_silent, why)


async def _without_recorder(log: Reads, last: datetime, now: datetime) -> tuple[bool, str]:
    """Whether a silence is longer than is usual, and what says so."""
    window: dict[str, Any] = {"since": now - _DAY, "until": now}
    ranks = await log.rank_strategies(**window, by="runs", limit=_STRATEGIES)
    series = []
    if ranks:
        names = [one.strategy_id for one in ranks]
        series.append(await log.activity(**window, strategy_id=names, buckets=_COARSE))
        recent = {**window, "since": now - _RECENT, "buckets": _FINE}
        series.append(await log.activity(**recent, strategy_id=names))
    usual, found = usual_gap(*series), silence(last, now, *series)
    if (usual is not None and found is None) or await rests(log, last, now):
        return False, "no recorder is alive, and this log has had such gaps before"
    if found is not None:
        return True, f"usually no gap is longer than {lasting(found.usual)}"
    if now - last < _DAY:
        return False, "no recorder is alive, and too few runs tell how often it stores"
    return True, "no recorder is alive"


def _bytes(tables: Sequence[StoredTable], kind: str) -> str | None:
    """What the tables of a kind take; None: there are none."""
    mine = [one.table_bytes + one.index_bytes for one in tables if one.kind == kind]
    return size(sum(mine)) if mine else None
