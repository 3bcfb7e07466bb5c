"""A whole service in one file: rules, a recorder, the pages, and why a strategy changed.

pip install 'execlog[cli,web]' fastapi rule-engine
EXECLOG_DSN=postgresql://... EXECLOG_TOKEN=... uvicorn scoring_service:app
curl -H 'Content-Type: application/json' -d '{"amount": 120, "user": "u1"}' localhost:8000/score
Its pages are at /runbook/, where the browser asks for the token as a password.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import asyncpg
import rule_engine
from fastapi import FastAPI, HTTPException, Query

import execlog
from execlog.display import explained
from execlog.web import create_app, with_token

DSN, TOKEN = os.environ["EXECLOG_DSN"], os.environ["EXECLOG_TOKEN"]
# By SCORES_VERSION the next deployment says that its rules are others.
VERSION = int(os.environ.get("SCORES_VERSION", "1"))
RULES = [
    ("large", rule_engine.Rule("amount >= 1000"), 100.0),
    ("usual", rule_engine.Rule("amount >= 10"), 10.0),
]

recorder = execlog.ExecutionRecorder(
    DSN, maintenance=execlog.Maintenance(interval="day", ahead=7, retain=timedelta(days=90))
)
pages = create_app(DSN, authorize=with_token(TOKEN))


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Migrates, then records; at the end, after the last answer, it stores what is pending."""
    await execlog.migrate(DSN)
    async with recorder, asyncpg.create_pool(DSN, min_size=0, max_size=2) as app.state.pool:
        yield
    await pages.state.reader.aclose()


app = FastAPI(lifespan=lifespan)
app.mount("/runbook", pages)


@app.post("/score")
def score(event: dict[str, Any]) -> dict[str, Any]:
    """One run of the rules: the first that matches says how many points."""
    try:
        with recorder.run(
            strategy_id="loyalty",
            strategy_version=VERSION,
            strategy_type="RULES",
            input=event,
            external_user_id=event.get("user"),
        ) as run:
            run.trace, run.points = [], 0.0
            for name, rule, points in RULES:
                run.trace.append(entry := {"node": name, "condition": rule.text})
                run.nodes_executed += 1
                entry["matched"] = rule.matches(event)  # missing from the trace if this raises
                if entry["matched"]:
                    run.case_name, run.points = name, points
                    break
    except rule_engine.errors.EngineError:  # stored, with its reason
        raise HTTPException(422, f"can't be scored; the run is {run.id}") from None
    return {"id": str(run.id), "points": run.points}


@app.get("/why")
async def why(minutes: Annotated[int, Query(ge=1, le=10_080)] = 60) -> dict[str, Any]:
    """What changed since the hour before, since when, and what explains it."""
    log = execlog.StrategyExecutionLogRepository(app.state.pool)
    since = datetime.now(UTC) - timedelta(minutes=minutes)
    found = await log.explain(strategy_id="loyalty", since=since)
    return {
        "change": explained.change_of(found, UTC),
        "causes": [explained.effect_of(one, found.measure) for one in found.causes],
    }
