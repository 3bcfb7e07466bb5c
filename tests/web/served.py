"""An application served on loopback by a real server, in the test's own loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["served"]

_TICK = 0.01
_CLOSE_SECONDS = 5


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    """The URL, without a slash at its end, at which the application answers meanwhile.

    The port is one that is free. The application is told when it begins and ends; what is still
    being answered at the end is waited for.
    """
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,  # of the test run's own
        access_log=False,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        while not server.started:
            if serving.done():
                await serving  # says why
                raise RuntimeError("the server ended before it began")
            await asyncio.sleep(_TICK)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving
