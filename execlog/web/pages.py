"""The pages: what each reads from the log, and passes to its template.

A page reads its parts one after the other in one snapshot; it says which of them are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from execlog.admin.doctor import examined
from execlog.db.slices import finished
from execlog.db.traces import read_object
from execlog.display.columns import others
from execlog.display.json_head import head
from execlog.display.trace_tree import compact
from execlog.web import queries
from execlog.web.compared import compare
from execlog.web.explained import explain
from execlog.web.filtered import breakdown, executions
from execlog.web.overview import overview
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.rendering import render
from execlog.web.stored import text_of, trace_of
from execlog.web.strategy import strategy
from execlog.web.view import View
from execlog.web.waterfall import waterfall

__all__ = ["PAGES", "Page"]

Page = Callable[[Reader, Request], Awaitable[Response]]

_LONGEST_INPUT = 20_000  # characters that are shown


async def execution(reader: Reader, request: Request) -> Response:
    """One execution, with the waterfall of its trace."""
    asked = query(queries.ExecutionPage, request)
    view = View.of(request, "execution", asked.since, asked.until)
    scope = view.scope
    async with reader.snapshot(inputs=scope.inputs) as log:
        found = await log.get(id=asked.id)
    # An execution out of scope is reported as missing.
    if found is None or not scope.sees(found.strategy_id, found.realm_id):
        raise HTTPException(404, "No execution has this id.")
    trace = await finished(
        waterfall(trace_of(found), found.duration_ms, values=scope.inputs),
    )
    given = text_of(found, "input") if scope.inputs else None
    return await render(
        "execution.html",
        view,
        missing=[],
        one=found,
        others=others(found),
        trace=trace,
        attributes=_attributes(text_of(found, "attributes")),
        given=None if given is None else head(given, _LONGEST_INPUT),
    )


async def storage(reader: Reader, request: Request) -> Response:
    """The log itself: partitions, sizes, health."""
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
        day = log.recorder_account(since=datetime.now(UTC) - timedelta(days=1))
        accounts = await parts.take("recorders", day)
    found = examined(health, rollups, upkeep, accounts, schema=reader.schema) if health else ()
    findings = list(found)
    return await parts.page("storage.html", view, health=health, findings=findings, tables=tables)


PAGES: Sequence[tuple[str, Page]] = (
    ("/", overview),
    ("/strategy", strategy),
    ("/executions", executions),
    ("/breakdown", breakdown),
    ("/explain", explain),
    ("/compare", compare),
    ("/execution", execution),
    ("/storage", storage),
)


def _attributes(text: str | None) -> list[tuple[str, str]]:
    """Names and values; as a whole if another client stored more than the recorder lets through."""
    if text is None:
        return []
    if len(text) > _LONGEST_INPUT:
        return [("attributes", text)]
    return [(name, compact(value)) for name, value in read_object(text).items()]
