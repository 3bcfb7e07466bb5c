"""Rules of zen-engine: a run that fails is stored with its input, the node that failed, and why.

EXECLOG_DSN=postgresql://... python zen_rules.py < events.jsonl
"""

import json
import os
import sys
from typing import Any

import zen

import execlog

CHECK = "export const handler = (it) => { if (it.points < 0) throw Error('negative'); return it }"
NODES = [
    {"id": "event", "name": "event", "type": "inputNode"},
    {
        "id": "points",
        "name": "points",
        "type": "expressionNode",
        "content": {"expressions": [{"id": "1", "key": "points", "value": "amount / 10"}]},
    },
    {"id": "check", "name": "check", "type": "functionNode", "content": {"source": CHECK}},
    {"id": "answer", "name": "answer", "type": "outputNode"},
]
EDGES = [
    {"id": f"{source}-{target}", "sourceId": source, "targetId": target, "type": "edge"}
    for source, target in [("event", "points"), ("points", "check"), ("check", "answer")]
]

graphs = {"loyalty": {"nodes": NODES, "edges": EDGES}}
engine = zen.ZenEngine({"loader": {"type": "static", "content": graphs}})
recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


class NodeError(Exception):
    """A node failed; the text says why."""


def score(event: dict[str, Any]) -> float:
    """One run of the graph. Raises NodeError."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL_FULL", input=event
    ) as run:
        try:
            answer = engine.evaluate("loyalty", event, {"trace": True})
        except RuntimeError as error:
            # Of a run that fails the engine gives the node and the reason, as JSON; a backtrace
            # of its own may follow after a blank line.
            problem = json.loads(str(error).partition("\n\n")[0])
            run.trace = [{"node": problem.get("nodeId"), "problem": problem.get("source")}]
            run.nodes_executed = 1
            raise NodeError(problem.get("source") or problem["type"]) from None
        steps = sorted(answer["trace"].values(), key=lambda step: step["order"])
        run.trace = [{"node": step["name"], "output": step["output"]} for step in steps]
        run.nodes_executed, run.points = len(steps), answer["result"]["points"]
    return float(answer["result"]["points"])


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(score(json.loads(line)))
        except NodeError as error:
            print(f"failed: {error}")
