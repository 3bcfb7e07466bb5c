"""Rules of rule-engine: a run that fails is stored with its input, the rules up to that, and why.

EXECLOG_DSN=postgresql://... python rule_engine_rules.py < events.jsonl
"""

import json
import os
import sys
from typing import Any

import rule_engine

import execlog

# The first one that matches decides; each has a name, a condition and points.
RULES = [
    ("large", rule_engine.Rule("amount >= 1000"), 50.0),
    ("gold", rule_engine.Rule("user.plan == 'gold' and amount > 0"), 10.0),
    ("any", rule_engine.Rule("amount > 0"), 1.0),
]
recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


def score(event: dict[str, Any]) -> float:
    """One run of all rules. Raises rule_engine.EngineError: one can't be evaluated."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="RULES", input=event
    ) as run:
        run.trace, run.points = [], 0.0
        for name, rule, points in RULES:
            run.trace.append(entry := {"node": name, "condition": rule.text})
            run.nodes_executed += 1
            entry["matched"] = rule.matches(event)  # missing from the trace if this raises
            if entry["matched"]:
                run.case_name, run.points = name, points
                break
    return run.points


if __name__ == "__main__":
    for line in sys.stdin:
        try:
            print(score(json.loads(line)))
        except rule_engine.EngineError as error:
            print(f"failed: {error.message}")
