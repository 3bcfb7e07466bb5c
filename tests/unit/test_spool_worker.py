"""The thread that does a spool's slow work."""

from __future__ import annotations

import threading

from execlog.recorder.spool.worker import Worker


def test_callers_that_wait_no_more() -> None:
    """Their jobs are done all the same, and those after them."""
    worker = Worker(lambda: None, 60)
    begun, goes_on = threading.Event(), threading.Event()
    done: list[int] = []

    def wait() -> None:
        begun.set()
        goes_on.wait(5)

    under_way = worker.submit(wait)
    assert begun.wait(5)
    waiting = worker.submit(lambda: done.append(1))
    assert waiting.cancel()
    under_way.cancel()
    failing = worker.submit(lambda: 1 // 0)
    failing.cancel()
    last = worker.submit(lambda: done.append(2))
    worker.stop()
    goes_on.set()
    last.result(5)
    assert done == [1, 2]
