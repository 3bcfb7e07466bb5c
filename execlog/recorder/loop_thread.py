"""A daemon thread with an event loop of its own, for programs that have none to lend."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from execlog.recorder.this_process import signals_left

__all__ = ["LoopThread"]

_TAKEN = "with gevent one event loop at a time can run: use one recorder in a process"
_TAKEN_SECONDS = 5.0
_log = logging.getLogger("execlog.recorder")
_LAST_SECONDS = 2.0  # for tasks that are still at work when it is stopped


class LoopThread:
    """Runs an event loop until it is stopped; a process that ends does not wait for it.

    A new one that can't be started leaves nothing behind. SystemExit of a callback ends it.

    Args:
        name: The thread's name.
        on_end: Called at its end, when the loop is closed.

    Attributes:
        loop: The event loop.

    Raises:
        RuntimeError: No thread can be started: the process ends, or has too many.
    """

    def __init__(self, name: str, on_end: Callable[[], None]) -> None:
        """Starts the thread. Raises RuntimeError: see the class."""
        self._on_end = on_end
        self.loop: asyncio.AbstractEventLoop = _Loop()
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            with signals_left():
                self._thread.start()
        except RuntimeError:
            self.loop.close()
            raise

    def is_alive(self) -> bool:
        """Whether its loop runs, or is about to. Never raises."""
        return self._thread.is_alive() and not self.loop.is_closed()

    def is_current(self) -> bool:
        """Whether the caller runs in it. Never raises."""
        return self._thread is threading.current_thread()

    def stop(self) -> None:
        """Has it end when its tasks have; from any thread. Never raises."""
        with contextlib.suppress(RuntimeError):  # it has ended
            self.loop.call_soon_threadsafe(self._stopped.set)

    def join(self, seconds: float) -> None:
        """Waits for its end, at most so long. Never raises."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            if asyncio._get_running_loop() is not None:
                _log.warning(_TAKEN)
                time.sleep(_TAKEN_SECONDS)
                self.loop.close()
                return
            with (
                contextlib.suppress(SystemExit, KeyboardInterrupt),
                asyncio.Runner(loop_factory=lambda: self.loop) as runner,
            ):
                runner.run(self._until_stopped())
        finally:
            self._on_end()

    async def _until_stopped(self) -> None:
        await self._stopped.wait()
        if others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others, timeout=_LAST_SECONDS)
        await asyncio.sleep(0)  # their callers get the answers


class _Loop(asyncio.SelectorEventLoop):
    """A loop that finds addresses after the main thread's end too, and is not waited for.

    The usual one asks a pool of threads, which refuses as soon as the main thread has ended, though
    other threads go on, and which the process's end waits for, however long an answer takes.
    """

    # What the standard library says of the types of the arguments and of the answer differs from
    # version to version.
    async def getaddrinfo(self, *args: Any, **kwargs: Any) -> Any:
        return await self._in_thread(lambda: socket.getaddrinfo(*args, **kwargs))

    async def _in_thread(self, work: Callable[[], Any]) -> Any:
        found: asyncio.Future[Any] = self.create_future()

        def settle(outcome: Callable[[], None]) -> None:
            if not found.done():
                outcome()

        def run() -> None:
            try:
                answer = work()
            except Exception as error:
                problem = error
                outcome = lambda: found.set_exception(problem)  # noqa: E731
            else:
                outcome = lambda: found.set_result(answer)  # noqa: E731
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self.call_soon_threadsafe(settle, outcome)

        try:
            threading.Thread(target=run, name="execlog address", daemon=True).start()
        except RuntimeError:  # no thread can be started any more: then it is waited for here
            run()
        return await found
