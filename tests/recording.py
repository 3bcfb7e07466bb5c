"""What the recorder's tests share: a server that can be taken away, a load, and the final sum."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import asyncpg

import execlog
from execlog import ExecutionRecorder, RecorderStats
from execlog.embedded import EmbeddedPostgres
from tests.rows import fields
from tests.types import Connection

TABLE = "execlog.strategy_execution_log"


class Outage:
    """A migrated server of a test's own, at one address through kills and restarts."""

    def __init__(self) -> None:
        # Not below a long TMPDIR: a socket's path has 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="execlog-", dir="/tmp")
        self._socket = Path(self._folder.name, "socket")
        self._server: EmbeddedPostgres | None = None
        self.dsn = f"postgresql://postgres@/postgres?host={self._socket}"

    def __enter__(self) -> Outage:
        Path(self._folder.name).chmod(0o755)
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.thaw()
        if self._server is not None:
            self._server.close()
        self._folder.cleanup()

    def start(self) -> None:
        self._server = EmbeddedPostgres(Path(self._folder.name, "data")).start()
        self._socket.unlink(missing_ok=True)
        self._socket.symlink_to(self._server.dsn.partition("host=")[2].replace("%2F", "/"))

    def kill(self) -> None:
        """The postmaster gone at once, with its backends: what a crash looks like."""
        assert self._server is not None
        for pid in self._processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.close()
        self._server = None

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


@contextmanager
def outage() -> Iterator[Outage]:
    with Outage() as server:
        yield server


async def until(condition: Callable[[], object], seconds: float = 10) -> None:
    """Returns when the condition holds; it may answer an awaitable. Fails after so many seconds."""
    for _ in range(int(seconds * 100)):
        found = condition()
        if await found if inspect.isawaitable(found) else found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


async def terminate_others(connection: Connection) -> int:
    """Ends every other client's backend; how many there were."""
    return len(
        await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()"
            " and datname = current_database()"
        )
    )


async def load(recorder: ExecutionRecorder, seconds: float, rate: int = 5000) -> None:
    """Records at this rate, one run of twenty a failure with a trace, for so many seconds."""
    clock = asyncio.get_running_loop().time
    begin, sent = clock(), 0
    while (passed := clock() - begin) < seconds:
        while sent < passed * rate:
            record(recorder, sent)
            sent += 1
        await asyncio.sleep(0.002)


def record(recorder: ExecutionRecorder, n: int, **changes: Any) -> object:
    usual: dict[str, Any] = {"nodes_executed": n % 1000, "notes": str(n)}
    if n % 20 == 0:
        usual |= {"status": "error", "error_code": "E1", "trace": [{"node": n}]}
    return recorder.record(**fields(**(usual | changes)))


def balanced(stats: RecorderStats) -> bool:
    """Whether what was offered is the sum of what became of it."""
    return stats.offered == (
        stats.sampled_out
        + sum(stats.rejected.values())
        + sum(stats.dropped.values())
        + stats.written
        + stats.pending_rows
    )


async def assert_sum(dsn: str, stats: RecorderStats) -> None:
    """Each execution that counts as written is there once, and no other is."""
    assert balanced(stats), stats
    connection = await asyncpg.connect(dsn)
    try:
        found = await connection.fetchrow(f"select count(*), count(distinct id) from {TABLE}")
    finally:
        await connection.close()
    assert found is not None
    assert (found[0], found[1]) == (stats.written, stats.written), stats


async def migrated(server: Outage) -> None:
    await execlog.migrate(server.dsn)
