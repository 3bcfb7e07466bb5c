"""Runs a recorder's tasks in an event loop, the program's or its own, from start to close."""

from __future__ import annotations

import _thread
import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from execlog.errors import InvalidArgument
from execlog.recorder import process
from execlog.recorder.buffer import Buffer
from execlog.recorder.connection import Link
from execlog.recorder.flusher import Delivery
from execlog.recorder.log_reporter import Reporter
from execlog.recorder.loop_thread import LoopThread
from execlog.recorder.maintenance_task import Upkeep
from execlog.recorder.spool.row_file import RowFile
from execlog.recorder.spool.spool import Spool
from execlog.recorder.this_process import signals_left

__all__ = ["Background"]

T = TypeVar("T")

_END_SECONDS = 1.0
_SPOOL_SECONDS = 3.0  # a disk may be slow; files that it still holds are found stored later
_UNSTARTED_SECONDS = 5.0
_A_POOL = "is a pool, which belongs to its event loop: use `async with`, or a DSN"
_UNSTARTED = "executions wait: a recorder with a pool must be started in the pool's event loop"
_log = logging.getLogger("execlog.recorder")


class Background:
    """Keeps a delivery, a reporter and the maintenance running in one event loop.

    It is the loop in which it was started; if nothing started it, a thread with a loop of its own
    does from the first execution on, which a pool does not allow. A loop that was closed is
    forgotten, and the next one takes its place; a loop that is alive keeps it. A cancelled task is
    started again when there is something to do.

    Args:
        buffer: The buffer, which is closed and opened with it.
        link: The connection, which is closed with the loop.
        delivery: The delivery.
        reporter: The reporter.
        upkeep: The maintenance; None: none.
        spool: The files, which are opened and closed with it; None: there are none.
    """

    def __init__(
        self,
        buffer: Buffer,
        link: Link,
        delivery: Delivery,
        reporter: Reporter,
        upkeep: Upkeep | None,
        spool: Spool | None,
    ) -> None:
        """Takes the parts; nothing is started. Never raises."""
        self._buffer = buffer
        self._link = link
        self._delivery = delivery
        self._reporter = reporter
        self._spool = spool
        self._runs = [delivery.run, reporter.run]
        if upkeep is not None:
            self._runs.append(upkeep.run)
        # Whose loop it is, is decided under this lock. (Reentrant: a signal handler may record.)
        self._lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: LoopThread | None = None  # whose loop it is, if it is one of our own
        self._runner = 0  # the thread that runs the loop
        self._tasks: list[asyncio.Task[None]] = []
        self._closing: asyncio.Future[None] | None = None
        self._reminded = False
        self._forgotten_seconds: float | None = None

    def start(self) -> None:
        """Starts the tasks in the running event loop, also after they had stopped for good.

        Nothing is changed if they run in a thread of their own.

        Raises:
            InvalidArgument: It was closed, or it runs in another event loop.
        """
        self._check_open()
        if self._join("start"):
            return
        if self._delivery.stopped is not None:
            self._delivery.attach()
            self._buffer.close("")
        self._open_spool()
        self._revive()
        self._close_forgotten()

    def start_thread(self, action: str = "start") -> None:
        """Starts the tasks in a thread of their own, if they don't run in it already.

        Args:
            action: What the caller is about to do.

        Raises:
            InvalidArgument: It was closed, it runs in an event loop, or its target is a pool.
            RuntimeError: No thread can be started.
        """
        with self._lock:
            self._check_open()
            if self._loop is not None and not self._loop.is_closed():
                if self._thread is None:
                    raise InvalidArgument(action, "the recorder runs in an event loop")
                return
            if self._link.is_shared():
                raise InvalidArgument("target", _A_POOL)
            thread = LoopThread("execlog recorder", self._on_thread_end)
            self._thread = thread
            self._move_to(thread.loop)
        self._open_spool()
        thread.loop.call_soon_threadsafe(self.start)

    async def flush(self, seconds: float) -> bool:
        """Waits until what is pending now is settled; False if the time was not enough.

        Raises:
            InvalidArgument: It runs in another event loop that is not its own.
        """
        return await self._there("flush", self._flush(seconds))

    async def close(self, seconds: float) -> None:
        """Refuses new executions, waits at most so long for pending ones, and drops the rest.

        Raises:
            InvalidArgument: It runs in another event loop that is not its own.
        """
        await self._there("aclose", self._close(seconds))

    def flush_blocking(self, seconds: float) -> bool:
        """As `flush`, for callers that no event loop waits for.

        Raises:
            InvalidArgument: The caller's thread is the one that stores; or its target is a pool,
                and it was not started.
        """
        self._check_not_within("flush_blocking")
        if self._is_closed():
            return True
        self._ensure_loop("flush_blocking")
        future = self.flush_soon(seconds)
        if future is None:
            return False
        with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
            return future.result(seconds + _END_SECONDS)
        return False

    def close_blocking(self, seconds: float) -> None:
        """As `close`, for callers that no event loop waits for.

        Raises:
            InvalidArgument: The caller's thread is the one that stores; or its target is a pool,
                and it was not started.
        """
        self._check_not_within("close")
        if self._is_closed():
            return
        self._ensure_loop("close")
        future = self.close_soon(seconds)
        if future is not None:
            with contextlib.suppress(TimeoutError, concurrent.futures.CancelledError):
                future.result(seconds + 2 * _END_SECONDS)
        self.join(_END_SECONDS)

    def flush_soon(self, seconds: float) -> concurrent.futures.Future[bool] | None:
        """Begins a `flush`, from any thread; None if no loop runs it. Never raises."""
        return self._submit(self._flush(seconds))

    def close_soon(self, seconds: float) -> concurrent.futures.Future[None] | None:
        """Begins a `close`, from any thread; None if no loop runs it. Never raises."""
        return self._submit(self._close(seconds))

    def forget(self, seconds: float) -> None:
        """Begins a `close` in its own thread, once it has one: its program has lost the recorder.

        An event loop of the program's keeps it. From any thread. Never raises.
        """
        self._forgotten_seconds = seconds
        if self._thread is not None and self._closing is None:
            with contextlib.suppress(RuntimeError):  # the thread has ended
                self._thread.loop.call_soon_threadsafe(self._close_forgotten)

    def take_over(self) -> None:
        """Has a thread store what waits if no event loop does, because the process ends.

        Never raises.
        """
        loop = self._loop
        if self._is_closed() or self._is_elsewhere() or (loop is not None and not loop.is_closed()):
            return
        if self._buffer.account().pending_rows:
            with contextlib.suppress(InvalidArgument, RuntimeError):
                self.start_thread()

    def is_paused(self) -> bool:
        """Whether its event loop does not run, but could. Never raises."""
        loop = self._loop
        return (
            loop is not None
            and not (loop.is_running() or loop.is_closed())
            and not (self._is_closed() or self._is_elsewhere())
        )

    def resume(self, seconds: float) -> None:
        """Runs its paused event loop once more, to close it within these seconds. Never raises."""
        loop = self._loop
        if loop is None:
            return
        closing = self._close(seconds)
        with contextlib.suppress(RuntimeError):  # another thread runs it after all
            loop.run_until_complete(closing)
        closing.close()

    def join(self, seconds: float) -> None:
        """Waits for the end of its own thread, if it is closed; at most so long. Never raises."""
        if self._thread is not None and self._is_closed() and not self._thread.is_current():
            self._thread.join(seconds)

    def wake(self) -> None:
        """Has the event loop check the buffer. From any thread. Never raises."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._on_wake)
                return
        if self._closing is None:
            process.began(self)  # the process may end before the thread has begun
            try:
                # Not here: the caller's stack may be nearly full, and it must not wait.
                with signals_left():
                    _thread.start_new_thread(self._start_by_itself, ())
            except RuntimeError:  # the process ends, or has too many
                self._buffer.wake_on_next()

    def adopt(self, files: list[RowFile]) -> None:
        """Stores files that a dead process left. From any thread. Never raises."""
        self._buffer.adopt(files)
        self.wake()

    def is_new(self) -> bool:
        """Whether it was neither started nor closed. Never raises."""
        return self._loop is None and self._closing is None

    def runs_here(self) -> bool:
        """Whether the caller's thread is the one that stores. Never raises."""
        return self._runner == threading.get_ident()

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

    async def _there(self, action: str, work: Coroutine[Any, Any, T]) -> T:
        """What this answers in its own thread, if it has one, else here. Raises InvalidArgument."""
        try:
            elsewhere = not self._is_closed() and self._join(action)
        except InvalidArgument:
            work.close()
            raise
        if not elsewhere:
            return await work
        future = self._submit(work)
        if future is None:  # the thread ended meanwhile
            raise InvalidArgument("recorder", "its thread has ended; try again")
        return await asyncio.wrap_future(future)

    def _submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T] | None:
        loop = self._loop
        if loop is not None and (loop.is_running() or self._is_elsewhere()):
            with contextlib.suppress(RuntimeError):  # the loop was closed
                return asyncio.run_coroutine_threadsafe(work, loop)
        work.close()
        return None

    async def _flush(self, seconds: float) -> bool:
        if self._is_closed():
            return True
        if self._closing is None:
            self._revive()
        try:
            async with asyncio.timeout(seconds):
                await self._delivery.until_settled()
        except TimeoutError:
            return False
        return True

    async def _close(self, seconds: float) -> None:
        if self._is_closed():
            return
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
                    await self._delivery.until_safe()
                    await self._delivery.sign_off()
        except GeneratorExit:
            dead = True  # the event loop died; a recorder in another loop may own what is pending
            raise
        finally:
            if not dead:
                await self._end(closing)

    def _check_open(self) -> None:
        if self._closing is not None:
            raise InvalidArgument("recorder", "was closed; make another one")

    def _check_not_within(self, action: str) -> None:
        """Raises InvalidArgument: the call would wait for its own thread."""
        if self.runs_here() and self._loop is not None and self._loop.is_running():
            raise InvalidArgument(action, "waits for the event loop of this very thread")

    def _is_closed(self) -> bool:
        return self._closing is not None and self._closing.done()

    def _is_elsewhere(self) -> bool:
        """Whether it runs in a thread of its own, and the caller in another."""
        return (
            self._thread is not None and self._thread.is_alive() and not self._thread.is_current()
        )

    def _ensure_loop(self, action: str) -> None:
        if self._loop is None or self._loop.is_closed():
            with contextlib.suppress(RuntimeError):
                self.start_thread(action)

    def _start_by_itself(self) -> None:
        """An execution came, and nothing has started what would store it."""
        try:
            self.start_thread()
        except InvalidArgument:
            if not self._reminded:
                self._reminded = True
                timer = threading.Timer(_UNSTARTED_SECONDS, self._remind)
                timer.daemon = True
                with contextlib.suppress(RuntimeError):
                    timer.start()
        except RuntimeError:
            self._buffer.wake_on_next()

    def _on_thread_end(self) -> None:
        """Its own thread has ended: what still waits needs another one."""
        self._buffer.wake_on_next()
        if self._closing is None and self._buffer.account().pending_rows:
            self._start_by_itself()

    def _remind(self) -> None:
        if self._loop is None and self._closing is None:
            _log.warning(_UNSTARTED)

    def _close_forgotten(self) -> None:
        if self._thread is not None and self._forgotten_seconds is not None:
            self.close_soon(self._forgotten_seconds)

    def _open_spool(self) -> None:
        if self._spool is not None:
            self._spool.open()

    def _join(self, action: str) -> bool:
        """Moves to the running loop, unless it runs in another one that is alive.

        Returns:
            Whether it runs in a thread of its own, and the caller in another.

        Raises InvalidArgument: it runs in another event loop that is not its own.
        """
        loop = asyncio.get_running_loop()
        with self._lock:
            if self._is_elsewhere():
                return True
            if self._loop is not loop:
                if self._loop is not None and not self._loop.is_closed():
                    raise InvalidArgument(action, "the recorder runs in another event loop")
                self._thread = None
                self._move_to(loop)
            self._runner = threading.get_ident()
            return False

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            # Its connection died with the loop; what was pending is still here.
            self._link.close()
            if self._closing is not None and not self._closing.done():
                self._closing = None  # the loop died while closing: close again
        self._loop, self._tasks = loop, []
        self._delivery.attach()
        process.began(self)

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
                if self._spool is not None:
                    closed = asyncio.wrap_future(self._spool.close())
                    await asyncio.wait([closed], timeout=_SPOOL_SECONDS)
                closing.set_result(None)
                process.ended(self)
                if self._thread is not None:
                    self._thread.stop()
