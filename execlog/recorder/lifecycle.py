"""The recorder's life in an event loop: its tasks, from start to close."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from execlog.errors import InvalidArgument
from execlog.recorder.buffer import Buffer
from execlog.recorder.connection import Link
from execlog.recorder.flusher import Delivery
from execlog.recorder.log_reporter import Reporter
from execlog.recorder.maintenance_task import Upkeep

__all__ = ["Background"]

_END_SECONDS = 1.0


class Background:
    """Keeps a delivery, a reporter and the upkeep running in one event loop.

    A loop that was closed is forgotten, and the next one that asks takes its place; one that is
    alive is not. A task that somebody cancelled is begun again when there is something to do.

    Args:
        buffer: What is closed and opened again.
        link: Whose connection dies with a loop.
        delivery: What runs.
        reporter: What runs beside it.
        upkeep: What runs beside them; None: nothing.
    """

    def __init__(
        self,
        buffer: Buffer,
        link: Link,
        delivery: Delivery,
        reporter: Reporter,
        upkeep: Upkeep | None,
    ) -> None:
        """Takes the parts; nothing is started. Never raises."""
        self._buffer = buffer
        self._link = link
        self._delivery = delivery
        self._reporter = reporter
        self._runs = [delivery.run, reporter.run]
        if upkeep is not None:
            self._runs.append(upkeep.run)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begins, in the running event loop, also after it has stopped for good.

        Raises:
            InvalidArgument: It was closed, or it runs in another event loop.
        """
        if self._closing is not None:
            raise InvalidArgument("recorder", "was closed; make another one")
        self._join("start")
        if self._delivery.stopped is not None:
            self._delivery.attach()
            self._buffer.close("")
        self._revive()

    async def flush(self, seconds: float) -> bool:
        """Waits until what is pending now is settled; False where the time was not enough.

        Raises:
            InvalidArgument: It runs in another event loop.
        """
        if self._closing is not None and self._closing.done():
            return True
        self._join("flush")
        if self._closing is None:
            self._revive()
        try:
            async with asyncio.timeout(seconds):
                await self._delivery.until_settled()
        except TimeoutError:
            return False
        return True

    async def close(self, seconds: float) -> None:
        """Refuses what comes, waits so long for what is pending, and drops the rest.

        Raises:
            InvalidArgument: It runs in another event loop.
        """
        self._join("aclose")
        if self._closing is not None:
            await asyncio.wait([self._closing], timeout=seconds)
            return
        self._buffer.close("closed")
        self._revive()
        closing = self._closing = asyncio.get_running_loop().create_future()
        dead = False
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._delivery.until_settled()
        except GeneratorExit:
            dead = True  # the event loop died long ago; what is pending may be another's by now
            raise
        finally:
            if not dead:
                await self._end(closing)

    def wake(self) -> None:
        """Has the event loop look at the buffer. From any thread. Never raises."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: see `_join`
                self._loop.call_soon_threadsafe(self._on_wake)

    def is_new(self) -> bool:
        """Whether it was neither started nor closed. Never raises."""
        return self._loop is None and self._closing is None

    def is_alive(self) -> bool:
        """Whether what is recorded is being stored. Never raises."""
        return (
            self._loop is not None
            and self._loop.is_running()
            and self._closing is None
            and self._delivery.stopped is None
            and bool(self._tasks)
            and not self._tasks[0].done()
        )

    def _join(self, action: str) -> None:
        """Belongs to the running loop from now on, unless it lives in another one.

        Raises InvalidArgument.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise InvalidArgument(action, "the recorder runs in another event loop")
            # Its connection died with it; what was pending is still here.
            self._link.close()
            if self._closing is not None and not self._closing.done():
                self._closing = None  # it died while closing: once more
        self._loop, self._tasks = loop, []
        self._delivery.attach()

    def _revive(self) -> None:
        """Begins the tasks that don't run, in the running loop; none where it stopped for good."""
        if self._delivery.stopped is not None:
            return
        tasks: list[asyncio.Task[None] | None] = [*self._tasks] or [None] * len(self._runs)
        self._tasks = [
            self._begin(run) if task is None or task.done() else task
            for run, task in zip(self._runs, tasks, strict=True)
        ]

    def _begin(self, run: Callable[[], Coroutine[Any, Any, None]]) -> asyncio.Task[None]:
        task = asyncio.create_task(run(), name=f"execlog {run.__qualname__}")
        task.add_done_callback(self._on_end)
        return task

    def _on_end(self, task: asyncio.Task[None]) -> None:
        """A task has ended: callers that wait for what it did need another one, at once."""
        if task not in self._tasks:
            return  # it was meant to end
        if not task.cancelled():
            task.exception()  # seen: asyncio would print it, and it may hold row data
        if self._delivery.is_awaited():
            self._revive()
        else:
            self._buffer.wake_on_next()

    def _on_wake(self) -> None:
        if self._closing is None:
            self._revive()
            self._delivery.wake()

    async def _end(self, closing: asyncio.Future[None]) -> None:
        """The tasks end, and then nothing is pending any more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=_END_SECONDS)
        finally:
            if self._closing is closing:  # else the event loop died, and another one closes it
                self._delivery.give_up("closed")
                self._reporter.report()
                closing.set_result(None)
