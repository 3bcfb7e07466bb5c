"""A server that can be stopped, killed, frozen and started again, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import unquote

import asyncpg

from execlog.embedded import EmbeddedPostgres
from tests.types import Connection


class Outage:
    """A durable server of one's own, at one address through kills and restarts."""

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self._settings = settings
        # Not below a long TMPDIR: a socket's path has 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="execlog-", dir="/tmp")
        self._socket = Path(self._folder.name, "socket")
        self._server: EmbeddedPostgres | None = None
        self.dsn = f"postgresql://postgres@/postgres?host={self._socket}"

    def __enter__(self) -> Outage:
        Path(self._folder.name).chmod(0o755)
        try:
            self.start()
        except BaseException:
            self._folder.cleanup()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.thaw()
        self.stop()
        self._folder.cleanup()

    def start(self) -> None:
        self._server = EmbeddedPostgres(
            Path(self._folder.name, "data"), settings=self._settings
        ).start()
        self._socket.unlink(missing_ok=True)
        self._socket.symlink_to(unquote(self._server.dsn.partition("host=")[2]))

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._server = None

    def kill(self) -> None:
        """The postmaster gone at once, with its backends: what a crash looks like."""
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.stop()

    def freeze(self) -> None:
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _processes(self) -> list[int]:
        """The postmaster and its children."""
        if self._server is None or self._server.pid is None:
            return []
        children = Path(f"/proc/{self._server.pid}/task/{self._server.pid}/children")
        try:
            return [self._server.pid, *map(int, children.read_text().split())]
        except OSError:
            return [self._server.pid]

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()

    async def configure(self, name: str, value: str | None) -> None:
        """Sets a server setting for everybody, or takes it back."""
        async with self.connection() as connection:
            if value is None:
                await connection.execute(f"alter system reset {name}")
            else:
                await connection.execute(f"alter system set {name} = '{value}'")
            await connection.execute("select pg_reload_conf()")
        await asyncio.sleep(0.2)  # until every process has read it
