"""What does not run now, told from what never ran: one look at an index.

Within a scope: what a request may not see is as if it had never been stored.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from execlog.errors import ExeclogError, InvalidArgument
from execlog.repository.filters import Filters
from execlog.repository.repository import Reads
from execlog.web.view import View

__all__ = ["Quiet", "quiet_log", "quiet_strategy"]

_SECONDS = 2.0  # a realm has no index of all its runs: then it is left open
_HOUR, _SECOND = timedelta(hours=1), timedelta(seconds=1)


@dataclass(frozen=True)
class Quiet:
    """Something of which there is no run in a window.

    Attributes:
        strategy: The strategy; None: all that may be seen.
        realm: The realm; None: all that may be seen.
        known: Whether it ever ran, as far as may be seen; None: it was not found out in time.
        last: When it ran last; None: it is not known.
        link: The page around that time; None: there is none.
    """

    strategy: str | None
    realm: str | None
    known: bool | None
    last: datetime | None = None
    link: str | None = None


async def quiet_strategy(log: Reads, view: View, strategy: str) -> Quiet:
    """Whether a strategy that did not run in a window ever ran, and when it did last.

    Args:
        log: The page's snapshot.
        view: The page.
        strategy: The strategy.

    Raises:
        HTTPException: 403, the strategy or the realm is not in the scope.
    """
    wanted = {
        "strategy_id": view.scope.strategy(strategy),
        "realm_id": view.scope.realm(view.realm),
    }
    return await _looked_for(log, view, strategy, wanted)


async def quiet_log(log: Reads, view: View, filters: Filters) -> Quiet:
    """The same of all strategies that may be seen. Never raises.

    Args:
        log: The page's snapshot.
        view: The page.
        filters: The realms and versions that are asked for, within the scope.
    """
    wanted: dict[str, Any] = {"strategy_id": view.scope.strategies}
    for name in ("realm_id", "strategy_version"):
        wanted[name] = filters.get(name)
    return await _looked_for(log, view, None, wanted)


async def _looked_for(
    log: Reads, view: View, strategy: str | None, wanted: dict[str, Any]
) -> Quiet:
    found = Quiet(strategy, view.realm, None)
    try:
        async with asyncio.timeout(_SECONDS):
            rows = await log.list_executions(**wanted, limit=1, payloads=False)
            if not rows:
                # Rows that were removed by their age are in rollups still.
                kept = None
                if wanted["realm_id"] is None:
                    kept = await log.rank_together(**wanted)
                return _seen(found, view, kept is not None, kept.last_run if kept else None)
            return _seen(found, view, True, rows[0].created_at)
    except InvalidArgument:
        raise
    except (ExeclogError, TimeoutError):
        return found


def _seen(found: Quiet, view: View, known: bool, last: datetime | None) -> Quiet:
    page, own = ("", {}) if found.strategy is None else ("strategy", {"id": found.strategy})
    link = None
    if last is not None:
        with contextlib.suppress(OverflowError):  # an end of the calendar
            link = view.within(page, last - _HOUR, last + _SECOND, **own)
    return Quiet(found.strategy, found.realm, known, last, link)
