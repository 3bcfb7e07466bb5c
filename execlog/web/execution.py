"""The page of one execution: why it ended so, which node failed, where the time went."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypedDict

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog import context
from execlog.db.slices import finished
from execlog.db.traces import read_object
from execlog.display.columns import others
from execlog.display.format import number
from execlog.display.json_head import head
from execlog.display.trace_tree import FAULTS, compact
from execlog.errors import ExeclogError
from execlog.models import StrategyExecutionLog
from execlog.repository.breakdown import MOST_COUNTED
from execlog.repository.repository import Reads
from execlog.web import queries
from execlog.web.archived import no_execution
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.stored import text_of, trace_of
from execlog.web.view import View
from execlog.web.waterfall import Row, waterfall

__all__ = ["execution"]

_LONGEST_INPUT = 20_000  # characters that are shown
_LONGEST_FACT = 300  # characters of a value in a link, or of what a failed node says
_NEAR, _WIDE = timedelta(hours=1), timedelta(hours=12)
_COUNT_SECONDS = 0.1
_ENDED = {"ok": "ran", "error": "failed", "timeout": "timed out", "limit": "hit a limit"}


class _Scoped(TypedDict):
    """The strategy of an execution, and the realms that its page is about."""

    strategy_id: str
    realm_id: Collection[str] | None


async def execution(reader: Reader, request: Request) -> Response:
    """One execution, with the waterfall of its trace.

    Raises:
        InvalidArgument: A parameter is malformed.
        HTTPException: 404, there is none that the scope sees; 403, the realm is not in the scope.
        ExeclogError: The log can't be read.
    """
    asked = query(queries.ExecutionPage, request)
    view = View.of(request, "execution", asked.since, asked.until)
    scope, parts = view.scope, Parts()
    realms = scope.realm(view.realm)
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.get(id=asked.id)
        # An execution out of scope is reported as missing.
        if found is None or not scope.sees(found.strategy_id, found.realm_id):
            raise HTTPException(
                404, no_execution(await reader.archived(log, view.since, view.until))
            )
        of: _Scoped = {"strategy_id": found.strategy_id, "realm_id": realms}
        before = log.list_executions(**of, status="failed", before=found, limit=1, payloads=False)
        earlier = await parts.take("the failure before", before)
        later = await parts.take("the failure after", log.next_failure(**of, after=found))
        links = _Links(view, found)
        alike = await _alike(log, links, found, of)
    trace = await finished(
        waterfall(
            trace_of(found),
            found.duration_ms,
            values=scope.inputs,
            has_failed=found.status != "ok",
        ),
    )
    given = text_of(found, "input") if scope.inputs else None
    parts.got += 1
    return await parts.page(
        "execution.html",
        view,
        one=found,
        ended=_ENDED.get(found.status, "ended"),
        reason=found.case_name if found.status == "ok" else found.error_code,
        earlier=earlier[0] if earlier else None,
        later=later,
        alike=alike,
        links=links,
        tracing=_tracing(request, found),
        others=others(found),
        trace=trace,
        told=_told(trace.faults[0], found.error_message) if trace.faults else [],
        attributes=_attributes(text_of(found, "attributes"), links),
        given=None if given is None else head(given, _LONGEST_INPUT),
    )


class _Links:
    """Links to other executions: over the page's window if that holds the execution.

    Else over the hours around it: a link to a page without it would be of no use.
    """

    def __init__(self, view: View, one: StrategyExecutionLog) -> None:
        self._view, self._one = view, one

    def to(self, *, of_strategy: bool = True, **own: Any) -> str | None:
        """The executions with these values, of the same strategy or of all.

        None: a value is empty, so that it is no filter, or too long for a link.
        """
        if any(value is None or not 0 < len(str(value)) <= _LONGEST_FACT for value in own.values()):
            return None
        asked = {"id": self._one.strategy_id, **own} if of_strategy else own
        view, at = self._view, self._one.created_at
        if at is None:
            return view.link("executions", **asked, all_times=True)
        if view.since is not None and view.until is not None and view.since <= at <= view.until:
            return view.link("executions", **asked)
        return self.near(_WIDE, **asked)

    def near(self, length: timedelta, **own: Any) -> str:
        """The executions with these values, so long before and after."""
        window = _around(self._one, length)
        if window is None:
            return self._view.link("executions", **own, all_times=True)
        return self._view.within("executions", *window, **own)


@dataclass(frozen=True)
class _Alike:
    """The executions of a strategy that failed in the same way.

    Attributes:
        words: What they have in common.
        others: How many others there are, in words; None: they were not counted in time.
        link: The link to them.
    """

    words: str
    others: str | None
    link: str


def _around(one: StrategyExecutionLog, length: timedelta) -> tuple[datetime, datetime] | None:
    """So long before and after; None: it has no time, or the calendar ends there."""
    if one.created_at is None:
        return None
    try:
        return one.created_at - length, one.created_at + length
    except OverflowError:
        return None


async def _alike(
    log: Reads, links: _Links, one: StrategyExecutionLog, of: _Scoped
) -> _Alike | None:
    """The executions that failed like this one; None: it did not fail, or has no time."""
    window = _around(one, _NEAR)
    if one.status == "ok" or window is None:
        return None
    same: dict[str, Any] = {"status": one.status}
    if one.error_code:
        same = {"error_code": one.error_code, "status": "failed"}
    more = None
    with contextlib.suppress(ExeclogError):  # the link alone is of use too
        count = await log.count_executions(
            **of, since=window[0], until=window[1], **same, timeout=_COUNT_SECONDS
        )
        is_counted = of["realm_id"] is None or one.realm_id in of["realm_id"]
        count_others = count - 1 if is_counted else count
        more = f"more than {number(MOST_COUNTED)}" if count > MOST_COUNTED else number(count_others)
    link = links.near(_NEAR, id=one.strategy_id, **same)
    return _Alike(one.error_code or one.status, more, link)


def _tracing(request: Request, one: StrategyExecutionLog) -> str | None:
    """The link to the distributed trace in the tracing system; None: there is none."""
    url: str | None = request.app.state.trace_url
    if url is None or one.trace_id is None:
        return None
    return url.replace("{trace_id}", one.trace_id.hex)


def _told(row: Row, message: str | None) -> list[tuple[str, str]]:
    """What a failed node says of its failure, unless the run's message says it too."""
    return [
        (name, text[:_LONGEST_FACT])
        for name, text in row.node.facts
        if name in FAULTS and text not in (message or "")
    ]


def _attributes(text: str | None, links: _Links) -> list[tuple[str, str, str | None]]:
    """Names, values and links to the executions that have them too.

    They are one text if another client stored more than the recorder lets through.
    """
    if text is None:
        return []
    if len(text) > _LONGEST_INPUT:
        return [("attributes", text, None)]
    found = [(name, compact(value)) for name, value in read_object(text).items()]
    return [
        (name, value, links.to(attr=f"{name}={value}") if _is_filter(name, value) else None)
        for name, value in found
    ]


def _is_filter(name: str, value: str) -> bool:
    return value != "" and context.is_attribute(name, value)
