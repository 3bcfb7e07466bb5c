"""The command that serves the dashboard."""

from __future__ import annotations

import logging
import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import typer

from execlog import InvalidArgument
from execlog.cli.options import ArchiveToRead, Dsn, Schema
from execlog.cli.server import dsn_of
from execlog.db.sqltext import SCHEMA
from execlog.display.tables import is_colourless

__all__ = ["PORT", "Port", "serve", "serve_pages"]

PORT = 8000
"""The default address."""

Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, help="The port; 0: any that is free.")
]
"""The port, for a command that serves."""

_BACKLOG = 128


def serve(
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Port = PORT,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            envvar="EXECLOG_TOKEN",
            help=(
                "The password that a viewer's browser asks for, at least 16 characters. Other users"
                " see arguments in the list of processes: rather set the variable."
            ),
        ),
    ] = None,
    trace_url: Annotated[
        str | None,
        typer.Option(
            "--trace-url",
            envvar="EXECLOG_TRACE_URL",
            help="Where a tracing system shows a trace: https://tempo.example/trace/{trace_id}.",
        ),
    ] = None,
    archive: ArchiveToRead = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Serve the dashboard: read-only pages and JSON, to this machine unless there is a token.

    Example: execlog serve --port 8000
    """
    if token is None:  # typer reads an empty variable as none, and it is a mistake
        token = os.environ.get("EXECLOG_TOKEN")
    serve_pages(
        dsn, schema, host=host, port=port, token=token, trace_url=trace_url, archive=archive
    )


def serve_pages(
    dsn: str | None,
    schema: str = SCHEMA,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    first: str = "",
    trace_url: str | None = None,
    archive: Path | None = None,
) -> None:
    """Serves the pages until Ctrl-C, and prints the address of the page `first`.

    Raises:
        typer.BadParameter: The token is empty or short, or missing for an address that others
            reach; or the address of traces is none.
        ExeclogError: The DSN or the schema's name is invalid.
        OSError: It can't listen there.
    """
    try:
        import uvicorn

        from execlog.web import create_app, with_token
        from execlog.web.loopback import is_loopback
    except ImportError:
        sys.exit("execlog: serving needs its extra: pip install 'execlog[web]'")
    if token == "":
        raise typer.BadParameter("is empty (an unset variable?)", param_hint="--token")
    if token is None and not is_loopback(host):
        problem = f"{host!r} is not this machine alone: give a token too"
        raise typer.BadParameter(problem, param_hint="--host")
    try:
        authorize = None if token is None else with_token(token)
    except InvalidArgument as error:
        raise typer.BadParameter(error.problem, param_hint="--token") from None
    try:
        app = create_app(
            dsn_of(dsn), authorize=authorize, schema=schema, trace_url=trace_url, archive=archive
        )
    except InvalidArgument as error:
        if error.argument != "trace_url":
            raise
        raise typer.BadParameter(error.problem, param_hint="--trace-url") from None
    logging.getLogger("execlog").addHandler(logging.StreamHandler())
    config = uvicorn.Config(
        app,
        log_level="warning",
        use_colors=sys.stderr.isatty() and not is_colourless(),
        # The client is the peer of the connection: anybody can set a header.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=3,
    )
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=_BACKLOG) as listening:
        where = listening.getsockname()
        shown = f"[{where[0]}]" if ":" in where[0] else where[0]
        print(f"execlog: http://{shown}:{where[1]}/{first} (Ctrl-C ends it)", file=sys.stderr)
        uvicorn.Server(config).run(sockets=[listening])
