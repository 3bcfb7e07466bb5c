"""Runs a recorder's tasks in an event loop, from start to close."""

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
    """Keeps a delivery, a reporter and the maintenance running in one event loop.

    A loop that was closed is forgotten, and the next loop in which it is used takes its place; a
    loop that is alive keeps it. A cancelled task is started again when there is something to do.

    Args:
        buffer: The buffer, which is closed and opened with it.
        link: The connection, which is closed with the loop.
        delivery: The delivery.
        reporter: The reporter.
        upkeep: The maintenance; None: none.
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
        """Starts the tasks in the running event loop, also after they had stopped for good.

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
        """Waits until what is pending now is settled; False if the time was not enough.

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
        """Refuses new executions, waits at most so long for pending ones, and drops the rest.

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
                    await self._delivery.sign_off()
        except GeneratorExit:
            dead = True  # the event loop died; a recorder in another loop may own what is pending
            raise
        finally:
            if not dead:
                await self._end(closing)

    def wake(self) -> None:
        """Has the event loop check the buffer. From any thread. Never raises."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: see `_join`
                self._loop.call_soon_threadsafe(self._on_wake)

    def is_new(self) -> bool:
        """Whether it was neither started nor closed. Never raises."""
        return self._loop is None and self._closing is None

    def is_alive(self) -> bool:
        """Whether recorded executions are being stored. Never raises."""
        return (
            self._loop is not None
            and self._loop.is_running()
            and self._closing is None
            and self._delivery.stopped is None
            and bool(self._tasks)
            and not self._tasks[0].done()
        )

    def _join(self, action: str) -> None:
        """Moves to the running loop, unless it runs in another one that is alive.

        Raises InvalidArgument.
        """
        loop = asyncio.get_running_loop()
        if self._loop is loop:
            return
        if self._loop is not None:
            if not self._loop.is_closed():
                raise InvalidArgument(action, "the recorder runs in another event loop")
            # Its connection died with the loop; what was pending is still here.
            self._link.close()
            if self._closing is not None and not self._closing.done():
                self._closing = None  # the loop died while closing: close again
        self._loop, self._tasks = loop, []
        self._delivery.attach()

    def _revive(self) -> None:
        """Starts the tasks that don't run, in the running loop; none if it stopped for good."""
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
        """A task has ended: callers that wait for its work need another one at once."""
        if task not in self._tasks:
            return  # this end was intended
        if not task.cancelled():
            task.exception()  # retrieved: asyncio would print it, and it may hold row data
        if self._delivery.is_awaited():
            self._revive()
        else:
            self._buffer.wake_on_next()

    def _on_wake(self) -> None:
        if self._closing is None:
            self._revive()
            self._delivery.wake()

    async def _end(self, closing: asyncio.Future[None]) -> None:
        """Ends the tasks and drops what is pending."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=_END_SECONDS)
        finally:
            if self._closing is closing:  # else the loop died, and another loop closes it
                self._delivery.give_up("closed")
                self._reporter.report()
                closing.set_result(None)
