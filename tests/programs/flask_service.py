"""A Flask service. Nothing starts the recorder: the first execution of each worker does.

EXECLOG_DSN=postgresql://... gunicorn --preload --workers 2 flask_service:app   # of any class
"""

import os
from typing import Any

from flask import Flask, request

import execlog

recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])
app = Flask(__name__)


@app.post("/score")
def score() -> dict[str, Any]:
    """One run of the strategy."""
    event = request.get_json()
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return {"id": str(run.id), "points": run.points}
