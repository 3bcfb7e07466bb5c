"""DuckDB, kept to one folder and so much memory; its statements lie in `sql/archive`."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from execlog.db.files import folder
from execlog.db.sqltext import SCHEMA, filled, pieces
from execlog.errors import ArchiveError

__all__ = ["Engine", "duckdb", "opened"]

_CONFIG = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_MEMORY_MB = 512
_NICE = 10
_LONGEST_LINE = 2 * 2**20  # DuckDB's own limit, and the least

Answer = TypeVar("Answer")


def duckdb() -> ModuleType:
    """The module of that name, loaded on first use.

    Raises:
        ArchiveError: It is not installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise ArchiveError("an archive needs its extra: pip install 'execlog[archive]'") from error
    return duckdb


class Engine:
    """One connection to a DuckDB without a database of its own.

    Args:
        connection: The connection, its limits set.
        thread: The thread that works for it.
    """

    def __init__(self, connection: Any, thread: Executor) -> None:
        """Takes both. Never raises."""
        self._connection = connection
        self._thread = thread

    async def sent(self, name: str, words: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The first row of a statement's answer by column; empty if it has none.

        Args:
            name: The stem of its file.
            words: The values that are filled in.

        Raises:
            ArchiveError: DuckDB refuses; its message is left out if it could hold values of rows.
        """

        def answered() -> dict[str, Any]:
            with _explained(name):
                found = self._connection.execute(filled(_script(name), SCHEMA, words))
                row = found.fetchone()
                columns = [column[0] for column in found.description or ()]
            return dict(zip(columns, row, strict=True)) if row else {}

        return await self._apart(answered)

    async def _apart(self, work: Callable[[], Answer]) -> Answer:
        """The result of work in the thread; if we are cancelled, it is stopped first."""
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(loop.run_in_executor(self._thread, work))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._connection.interrupt()
            await asyncio.gather(task, return_exceptions=True)
            raise


@contextlib.asynccontextmanager
async def opened(
    place: Path, spill: Path, longest: int = _LONGEST_LINE, *, threads: int | None = None
) -> AsyncIterator[Engine]:
    """A DuckDB that reads and writes files of one folder only. Raises ArchiveError.

    On Linux its threads get a tenth of a processor that others want: writers go first.

    Args:
        place: The folder.
        spill: The folder in it for what does not fit into memory.
        longest: Bytes of the longest line that it must read.
        threads: How many threads it may use; None: half of the processors.
    """
    module = duckdb()
    memory = _MEMORY_MB + 16 * max(longest - _LONGEST_LINE, 0) // 2**20
    words = {
        "folder": str(place),
        "spill": str(spill),
        "memory": f"{memory}MB",
        "threads": str(threads or max((os.cpu_count() or 2) // 2, 1)),
    }

    def limited() -> Any:
        # DuckDB's own threads are begun here, and inherit the priority of this one.
        with _explained("limits"):
            connection = module.connect(":memory:", config=_CONFIG)
            for sql in pieces(_script("limits")):
                connection.execute(filled(sql, SCHEMA, words))
        return connection

    with ThreadPoolExecutor(1, "execlog-archive", initializer=_step_back) as thread:
        connection = await asyncio.get_running_loop().run_in_executor(thread, limited)
        try:
            yield Engine(connection, thread)
        finally:
            connection.close()


def _step_back() -> None:
    """Lowers the priority of this thread; on other systems that would be the whole process."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), max(own, _NICE))


@contextlib.contextmanager
def _explained(action: str) -> Iterator[None]:
    """Turns errors of DuckDB into ours; only those about files and memory tell no values."""
    module = duckdb()
    try:
        yield
    except (module.IOException, module.OutOfMemoryException) as error:
        said = str(error).splitlines()[0][:300]
        raise ArchiveError(f"{action}: {said}") from error
    except module.Error as error:
        raise ArchiveError(f"{action}: DuckDB refuses ({type(error).__name__})") from error


@functools.cache
def _script(name: str) -> str:
    return (folder("sql") / "archive" / f"{name}.sql").read_text()
