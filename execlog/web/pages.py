"""The pages, by their paths: what each reads from the log, and passes to its template.

A page reads its parts one after the other in one snapshot; it says which of them are missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response

from execlog.web.compared import compare
from execlog.web.execution import execution
from execlog.web.explained import explain
from execlog.web.filtered import breakdown, executions
from execlog.web.overview import overview
from execlog.web.reading import Reader
from execlog.web.storage import storage
from execlog.web.strategy import strategy

__all__ = ["PAGES", "Page"]

Page = Callable[[Reader, Request], Awaitable[Response]]

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
