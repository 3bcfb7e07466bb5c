"""The pages that take all filters: the executions behind a number, and what they have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.db import validation
from execlog.display.format import shown
from execlog.errors import ExeclogError
from execlog.models import StrategyExecutionLog
from execlog.repository.breakdown import BY
from execlog.repository.filters import Filters, needs_window
from execlog.repository.groups import Breakdown
from execlog.repository.node_times import NEWEST
from execlog.repository.repository import Reads
from execlog.web import queries
from execlog.web.filters import ADDED, added, chips, filter_of, filters_of, label
from execlog.web.live import Question
from execlog.web.newest import follow
from execlog.web.parts import Parts
from execlog.web.queries import Cursor, query
from execlog.web.reading import Reader
from execlog.web.view import View

__all__ = ["breakdown", "executions"]

_GROUPS = 50
_ABSENT_SECONDS = 2.0
_COLUMNS = tuple(name for name in BY if name != "trace_id")


async def executions(reader: Reader, request: Request) -> Response:
    """The executions behind a number, of one strategy or of all.

    Raises:
        InvalidArgument: A parameter is malformed, or a filter that it adds is none.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.ExecutionsPage, request)
    view = View.of(request, "executions", asked.since, asked.until, all_times=asked.all_times)
    if (link := added(view)) is not None:
        return _sent_to(link)
    filters = filters_of(request, view.scope, view.realm)
    strategies = view.strategies(asked.id)
    has_index = not needs_window(filters, strategy_id=strategies)
    if not has_index and asked.since is None:
        view = View.of(request, "executions", None, asked.until)
    window: dict[str, Any] = {"strategy_id": strategies, "since": view.since, "until": view.until}
    parts = Parts()
    size = validation.limit(asked.limit, 200)
    async with reader.snapshot() as log:
        place = None
        if asked.before is None:  # before the rows are read
            place = await follow(reader, log, view, Question(strategies, filters))
        rows = await parts.take(
            "executions",
            log.list_executions(
                **window, **filters, before=asked.after(), limit=size, payloads=False
            ),
        )
        absent: list[str] = []
        if rows == [] and asked.before is None and view.scope.is_whole:
            absent = await _absent(log, filters, window)
    return await parts.page(
        "executions.html",
        view,
        id=asked.id,
        asked=asked,
        has_index=has_index,
        rows=rows,
        absent=absent,
        following=_following(view, rows, size),
        follow=place,
        most_rows=size,
        **_shared(view),
    )


async def breakdown(reader: Reader, request: Request) -> Response:
    """The executions of a window by the values of a column or an attribute.

    Raises:
        InvalidArgument: A parameter is malformed, or a filter that it adds is none.
        HTTPException: 403, what it asks for is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.BreakdownPage, request)
    view = View.of(request, "breakdown", asked.since, asked.until)
    if (link := added(view)) is not None:
        return _sent_to(link)
    filters = filters_of(request, view.scope, view.realm)
    parts = Parts()
    async with reader.snapshot() as log:
        groups = await parts.take(
            "breakdown",
            log.breakdown(
                by=asked.column,
                strategy_id=view.strategies(asked.id),
                since=view.since,
                until=view.until,
                order=asked.ranked,
                limit=_GROUPS,
                **filters,
            ),
        )
    return await parts.page(
        "breakdown.html",
        view,
        id=asked.id,
        by=asked.column,
        order=asked.ranked,
        columns=[*_COLUMNS, "node"],
        groups=groups,
        most=_GROUPS,
        newest=NEWEST,
        highest=_highest(groups or ()),
        filter_of=filter_of,
        **_shared(view),
    )


def _shared(view: View) -> dict[str, Any]:
    return {"chips": list(chips(view)), "ADDED": ADDED, "label": label}


def _sent_to(link: str) -> Response:
    """A redirect to a page beside this one."""
    return Response(status_code=303, headers={"Location": link})


def _highest(groups: Sequence[Breakdown]) -> float:
    """The end of the scale of error rates: the highest end of an interval."""
    return max((one.error_rate_high for one in groups), default=0.0) or 1.0


async def _absent(log: Reads, filters: Filters, window: dict[str, Any]) -> list[str]:
    """The values that no execution of the window has, in words."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(ExeclogError):  # the page is complete without
        found = await log.list_absent(**window, **filters, timeout=_ABSENT_SECONDS)
    return [f"{label(name)} {shown(value)}" for name in found for value in found[name]]


def _following(view: View, rows: Sequence[StrategyExecutionLog] | None, size: int) -> str | None:
    """The link to the next page, if this one is full."""
    if not rows or len(rows) < size:
        return None
    return view.same(before=Cursor.after(rows[-1]))
