"""A plain script: a line of JSON in, an id out. Nothing starts or closes the recorder.

EXECLOG_DSN=postgresql://... python script.py < events.jsonl
"""

import json
import os
import sys
from typing import Any
from uuid import UUID

import execlog

recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


def score(event: dict[str, Any]) -> UUID:
    """One run of the strategy."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return run.id


if __name__ == "__main__":
    for line in sys.stdin:
        print(score(json.loads(line)), flush=True)
