"""A Celery task. A child of the prefork pool ends by `os._exit`: a signal of Celery's comes first.

EXECLOG_DSN=postgresql://... celery --app celery_task worker   # of any pool
"""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_shutdown

import execlog

app = Celery("scores")
app.config_from_envvar("CELERY_CONFIG_MODULE")
recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


@worker_process_shutdown.connect
def close(**_: object) -> None:
    """Stores what is pending; without it each child loses its last fifth of a second."""
    recorder.close()


@app.task
def score(event: dict[str, Any]) -> str:
    """One run of the strategy."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return str(run.id)
