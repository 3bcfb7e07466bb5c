"""The thread of a spool does all its jobs, whatever becomes of those that wait for them."""

from __future__ import annotations

import threading
import time

import pytest

from execlog.recorder.spool.worker import Worker


def test_a_job_that_is_not_awaited_any_more_is_done_and_so_are_those_after_it() -> None:
    ticks = threading.Event()
    worker = Worker(ticks.set, 0.01)
    begun, go, done = threading.Event(), threading.Event(), []

    def first() -> None:
        begun.set()
        go.wait(5)
        done.append("first")

    running = worker.submit(first)
    waiting = worker.submit(lambda: done.append("second"))
    begun.wait(5)
    assert waiting.cancel()
    assert not running.cancel()
    go.set()
    assert worker.submit(lambda: threading.current_thread().name).result(5) == "execlog spool"
    assert done == ["first", "second"]
    assert ticks.wait(5)
    worker.stop()


def test_a_job_that_fails_stops_no_other() -> None:
    worker = Worker(lambda: None, 1.0)
    with pytest.raises(ZeroDivisionError):
        worker.submit(lambda: 1 // 0).result(5)
    assert worker.submit(lambda: 1).result(5) == 1
    worker.stop()


def test_how_long_it_is_at_a_job() -> None:
    """Not how long the job has waited for its turn."""
    worker = Worker(lambda: None, 60)
    assert worker.busy_seconds() == 0
    begun, go = threading.Event(), threading.Event()

    def job() -> None:
        begun.set()
        go.wait(5)

    worker.submit(job)
    last = worker.submit(worker.busy_seconds)
    begun.wait(5)
    time.sleep(0.05)
    assert worker.busy_seconds() >= 0.05
    go.set()
    assert last.result(5) < 0.05
    worker.stop()
