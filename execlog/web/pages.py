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
from execlog.web import queries
from execlog.web.compared import compare
from execlog.web.execution import execution
from execlog.web.explained import explain
from execlog.web.filtered import breakdown, executions
from execlog.web.overview import overview
from execlog.web.parts import Parts
from execlog.web.queries import query
from execlog.web.reading import Reader
from execlog.web.strategy import strategy
from execlog.web.view import View

__all__ = ["PAGES", "Page"]

Page = Callable[[Reader, Request], Awaitable[Response]]


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
