"""The ASGI application: its paths, and its answers to errors."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import asyncpg
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from execlog.db import validation
from execlog.db.sqltext import SCHEMA
from execlog.errors import InvalidArgument
from execlog.web import problems
from execlog.web.access import ROOT, Authorize, Guard
from execlog.web.api import ENDPOINTS
from execlog.web.loopback import LoopbackOnly
from execlog.web.newest import newest
from execlog.web.openapi import document, prepared
from execlog.web.pages import PAGES
from execlog.web.reading import Reader
from execlog.web.rendering import prepare, render_problem

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    Pool = asyncpg.Pool[asyncpg.Record]

__all__ = ["create_app"]

_STATIC = Path(__file__).parent / "static"


def create_app(
    pool_or_dsn: Pool | str,
    *,
    authorize: Authorize | None = None,
    prefix: str = "",
    timeout: float = 5.0,
    schema: str = SCHEMA,
    trace_url: str | None = None,
    archive: str | os.PathLike[str] | None = None,
) -> Starlette:
    """The dashboard as an application of its own, to be served or mounted.

        app.mount("/runbook", execlog.web.create_app(pool, authorize=may_see))

    It reads in transactions that can't write, with at most half of the pool's connections.

    Args:
        pool_or_dsn: A pool, owned by the caller, or a DSN. A mounted application does not hear
            when the service ends: give it a pool, or call `app.state.reader.aclose()` yourself.
        authorize: Returns which realms and strategies a request may see (a `Scope`), or None for
            nothing; it may be a coroutine function. Without one only this machine is served: a
            request must come from a loopback address, name localhost or such an address as its
            host, and bear no trace of a proxy or of another site's page. Behind a proxy an
            `authorize` is needed: some proxies leave no trace.
        prefix: The path below which everything lies, for example "/runbook", if it is not mounted
            there.
        timeout: Seconds that one statement may take. A page has twice that, and leaves out what
            is not there by then.
        schema: The schema of the log.
        trace_url: Where the tracing system shows a distributed trace, for example
            "https://tempo.example/trace/{trace_id}": the page of an execution links to it, with
            the 32 hexadecimal digits of the trace id.
        archive: The folder of the archive: lists, executions and explanations are those of its
            files too. Without it pages say until when runs of their window are in files.

    Raises:
        InvalidArgument: An argument is of another type, `prefix` is no path, or `trace_url` no such
            address.
        ArchiveError: The extra for `archive` is not installed.
        QueryFileError: The install lacks SQL files, or has others.
    """
    if authorize is not None and not callable(authorize):
        raise InvalidArgument("authorize", "must be a function of a request")
    where = validation.text("prefix", prefix).rstrip("/")
    if where and (not where.startswith("/") or set(where) & set("{}?#")):
        raise InvalidArgument("prefix", 'must be a path such as "/runbook"')
    tracing = None if trace_url is None else _trace_url(trace_url)
    reader = Reader(pool_or_dsn, timeout, schema, archive)
    prepare()
    prepared()

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await reader.aclose()

    failed = functools.partial(_failed, where)
    routes = _routes(reader)
    if where:
        routes = [Route(where, _entered, methods=["GET"]), Mount(where, app=_Router(routes))]
    app = Starlette(
        middleware=[
            Middleware(Guard, authorize=authorize or LoopbackOnly(), refuse=failed),
        ],
        exception_handlers=dict.fromkeys(problems.ERRORS, failed),
    )
    app.router = _Router(routes, lifespan=lifespan)
    app.state.reader = reader
    app.state.trace_url = tracing
    return app


def _trace_url(value: object) -> str:
    """An address with a place for a trace id. Raises InvalidArgument."""
    url = validation.name("trace_url", value)
    before, place, after = url.partition("{trace_id}")
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web or "{" in parts.netloc or not url.isprintable() or " " in url:
        raise InvalidArgument("trace_url", "must be an address that begins with http(s)://")
    if not place or set(before + after) & set("{}"):
        problem = "must have {trace_id} once, and no other braces"
        raise InvalidArgument("trace_url", problem)
    return url


def _routes(reader: Reader) -> list[BaseRoute]:
    async def openapi(request: Request) -> Response:
        return JSONResponse(document(request.scope.get("root_path", "")))

    return [
        *(Route(path, _bound(page, reader), methods=["GET"]) for path, page in PAGES),
        Route("/live/executions", _bound(newest, reader), methods=["GET"]),
        Route("/api/openapi.json", openapi, methods=["GET"]),
        *(Route(f"/api{one.path}", _bound(one.read, reader), methods=["GET"]) for one in ENDPOINTS),
        Mount("/static", _Static(directory=_STATIC)),
    ]


class _Router(Router):
    """Redirects a path with a slash at its end to the path without.

    Starlette's own redirect goes to the scheme and host that the request names: to any site.
    """

    def __init__(self, routes: list[BaseRoute], **options: Any) -> None:
        super().__init__(routes, redirect_slashes=False, **options)

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"].removesuffix("/")
        found = {**scope, "path": path}
        has_slash = path != scope["path"] and not path.endswith("/")
        if has_slash and any(one.matches(found)[0] is Match.FULL for one in self.routes):
            name = quote(path.rpartition("/")[2])
            await _moved(f"../{name}", scope)(scope, receive, send)
        else:
            await super().not_found(scope, receive, send)


async def _entered(request: Request) -> Response:
    """Redirects a prefix to the overview, which lies below it."""
    return _moved(f"{quote(request.scope['path'].rpartition('/')[2])}/", request.scope)


def _moved(path: str, scope: Scope) -> Response:
    query = scope["query_string"].decode("latin-1")
    return Response(status_code=307, headers={"Location": f"{path}?{query}" if query else path})


class _Static(StaticFiles):
    """Files that a browser may cache and must revalidate; they are small, and sent whole."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def file_response(self, *args: Any, **options: Any) -> Response:
        response = super().file_response(*args, **options)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _bound(
    answer: Callable[[Reader, Request], Awaitable[Response]], reader: Reader
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await answer(reader, request)

    return endpoint


def _failed(prefix: str, request: Request, error: Exception) -> Response:
    """A problem, in the format that the request accepts."""
    # Not the path of `request.url`, which includes the host that the request names.
    path = request.scope["path"].removeprefix(request.scope[ROOT])
    if path.startswith(f"{prefix}/"):
        path = path.removeprefix(prefix)
    if path.startswith("/api/"):
        return problems.answer(error)
    problem = problems.problem_of(error)
    # With this prefix the style sheet is found from any path.
    root = "../" * max(path.count("/") - 1, 0)
    return render_problem(
        problem.status, problems.headers(error, problem), problem=problem, root=root
    )
