"""An RQ job. Each runs in a forked child that ends by `os._exit`, so it stores before it returns.

EXECLOG_DSN=postgresql://... rq worker   # in this folder
"""

import os
from typing import Any

import execlog

recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


def score(event: dict[str, Any]) -> str:
    """One run of the strategy."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    recorder.flush_blocking()
    return str(run.id)
