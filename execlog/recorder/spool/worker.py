"""The thread that does a spool's slow work: nothing that may wait for a disk is done elsewhere."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from execlog.recorder.this_process import signals_left

__all__ = ["Worker"]

T = TypeVar("T")


class Worker:
    """Does jobs one after the other, in a daemon thread that the first job starts.

    Args:
        tick: Called now and then, between jobs.
        tick_seconds: The time from call to call.
    """

    def __init__(self, tick: Callable[[], None], tick_seconds: float) -> None:
        """Starts nothing. Never raises."""
        self._tick = tick
        self._tick_seconds = tick_seconds
        self._jobs: queue.SimpleQueue[tuple[Callable[[], Any], Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_stopped = False
        self._busy_since: float | None = None
        self._lock = threading.RLock()

    def submit(self, job: Callable[[], T]) -> concurrent.futures.Future[T]:
        """Has a job done after those before; here, if it has no thread any more. Never raises."""
        done: concurrent.futures.Future[T] = concurrent.futures.Future()
        if self._is_running():
            self._jobs.put((job, done))
        else:
            _do(job, done)
        return done

    def busy_seconds(self) -> float:
        """For how long the thread has been at a part of its job; 0: it is at none. Never raises."""
        since = self._busy_since
        return 0.0 if since is None else time.monotonic() - since

    def begin_part(self) -> None:
        """Has the next part of the present job begin, if this is the thread. Never raises."""
        if threading.current_thread() is self._thread:
            self._busy_since = time.monotonic()

    def stop(self) -> None:
        """Ends the thread after the jobs that it has. Never raises."""
        with self._lock:
            self._is_stopped = True
            self._jobs.put(None)

    def _is_running(self) -> bool:
        if self._is_stopped:
            return False
        if self._thread is not None and self._thread.is_alive():
            return True
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._run, name="execlog spool", daemon=True)
                try:
                    with signals_left():
                        thread.start()
                except RuntimeError:  # the process ends, or has too many
                    return False
                self._thread = thread
        return True

    def _run(self) -> None:
        due = time.monotonic() + self._tick_seconds
        while True:
            wait = due - time.monotonic()
            try:
                job = self._jobs.get(timeout=max(wait, 0))
            except queue.Empty:
                with contextlib.suppress(Exception):
                    self._tick()
                due = time.monotonic() + self._tick_seconds
                continue
            if job is None:
                return
            self._busy_since = time.monotonic()
            _do(*job)
            self._busy_since = None


def _do(job: Callable[[], T], done: concurrent.futures.Future[T]) -> None:
    # One that waits for it may have been cancelled; from here on it can't cancel the future.
    is_awaited = done.set_running_or_notify_cancel()
    try:
        answer = job()
    except BaseException as error:
        if is_awaited:
            done.set_exception(error)
    else:
        if is_awaited:
            done.set_result(answer)
