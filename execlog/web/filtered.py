"""The pages that take all filters: the executions behind a number, and what they have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from execlog.display.format import shown
from execlog.display.timeparse import compact
from execlog.errors import ExeclogError, InvalidArgument
from execlog.models import StrategyExecutionLog
from execlog.repository.breakdown import BY, MOST_COUNTED
from execlog.repository.filters import Filters, needs_window
from execlog.repository.groups import Breakdown
from execlog.repository.node_times import NEWEST
from execlog.repository.repository import Reads
from execlog.web import queries
from execlog.web.cursors import Cursor
from execlog.web.filters import ADDED, added, chips, filter_of, filters_of, label
from execlog.web.live import Question
from execlog.web.newest import follow
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.suggestions import suggested
from execlog.web.view import View

__all__ = ["breakdown", "executions", "values_of"]

_GROUPS = 50
_SAMPLE = 50  # rows, and failures, whose values are suggested
_ABSENT_SECONDS = 2.0
_COUNT_SECONDS = 0.1
_OF_THE_PAGE = ("all_times", "format", "spreadsheet")
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
    async with reader.snapshot() as log:
        place = None
        if asked.before is None:  # before the rows are read
            place = await follow(reader, log, view, Question(strategies, filters))
        rows = await parts.take(
            "executions",
            log.list_executions(
                **window, **filters, before=asked.after(), limit=asked.size, payloads=False
            ),
        )
        archived = await reader.archived(log, view.since, view.until)
        absent: list[str] = []
        if rows == [] and asked.before is None and view.scope.is_whole:
            absent = await _absent(log, filters, window)
        known = await values_of(log, view, filters, asked.id, rows or ())
        total = await _total(log, asked, rows, **window, **filters)
    return await parts.page(
        "executions.html",
        view,
        archived=archived,
        id=asked.id,
        asked=asked,
        has_index=has_index,
        rows=rows,
        absent=absent,
        total=total,
        MOST_COUNTED=MOST_COUNTED,
        data=_data(view),
        following=_following(view, rows, asked.size),
        follow=place,
        most_rows=asked.size,
        **_shared(view, known),
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
        archived = await reader.archived(log, view.since, view.until)
        known = await values_of(log, view, filters, asked.id)
    return await parts.page(
        "breakdown.html",
        view,
        archived=archived,
        id=asked.id,
        by=asked.column,
        order=asked.ranked,
        columns=[*_COLUMNS, "node"],
        groups=groups,
        most=_GROUPS,
        newest=NEWEST,
        highest=_highest(groups or ()),
        filter_of=filter_of,
        **_shared(view, known),
    )


def _shared(view: View, known: Sequence[str]) -> dict[str, Any]:
    """What `filters.html` needs."""
    return {"chips": list(chips(view)), "ADDED": ADDED, "label": label, "suggestions": known}


async def values_of(
    log: Reads,
    view: View,
    filters: Filters,
    strategy: str | None,
    rows: Sequence[StrategyExecutionLog] | None = None,
) -> list[str]:
    """The values that the form of filters suggests: of the newest rows and the newest failures.

    Failures are looked for if an index finds them. Raises InvalidArgument; without an answer there
    are none.

    Args:
        log: The log.
        view: The page's view.
        filters: What is asked for.
        strategy: The strategy that is asked for; None: all of the scope.
        rows: The newest rows, if the page has read them; None: they are read here.
    """
    asked: dict[str, Any] = {"since": view.since, "until": view.until, **filters}
    asked |= {"strategy_id": view.strategies(strategy), "limit": _SAMPLE, "payloads": False}
    found = list(rows or ())
    try:
        if rows is None:
            found += await log.list_executions(**asked)
        if filters.keys() <= {"realm_id"}:
            found += await log.list_executions(**asked, status="failed")
    except InvalidArgument:
        raise
    except ExeclogError:
        pass  # the form takes any value without
    return suggested(view, found)


async def _total(
    log: Reads,
    asked: queries.ExecutionsPage,
    rows: Sequence[StrategyExecutionLog] | None,
    **wanted: Any,
) -> int | None:
    """How many executions there are; None: more than are shown, and not counted in time."""
    if rows is None or (asked.before is None and len(rows) < asked.size):
        return None if rows is None else len(rows)
    with contextlib.suppress(ExeclogError):
        return await log.count_executions(**wanted, timeout=_COUNT_SECONDS)
    return None


def _data(view: View) -> dict[str, str]:
    """The links to the rows that are shown as data: the same page of the same window.

    The window of a page that follows its list ends at the time of the click.
    """
    ends = {"since": view.since, "until": None if view.is_live else view.until}
    window = {name: compact(time) for name, time in ends.items() if time is not None}
    fixed = replace(view, window=window)
    own = {name: values for name, values in view.own.items() if name not in _OF_THE_PAGE}
    forms: dict[str, dict[str, Any]] = {"CSV": {"format": "csv", "spreadsheet": True}, "JSON": {}}
    return {name: fixed.link("api/executions", **own, **form) for name, form in forms.items()}


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
