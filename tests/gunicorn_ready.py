"""Has each worker of gunicorn say that it has booted: before that, it may miss the signal to end.

The master would then kill it, with what it has in memory.
"""

from typing import Any


def post_worker_init(worker: Any) -> None:
    """Gunicorn calls it in each worker, once that handles signals and has the application."""
    worker.log.info("worker is ready")
