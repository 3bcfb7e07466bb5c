"""A FastAPI service: the recorder starts and ends with it.

EXECLOG_DSN=postgresql://... uvicorn fastapi_service:app
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

import execlog

recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Starts the recorder; at the end, after the last answer, it stores what is pending."""
    async with recorder:
        yield


app = FastAPI(lifespan=lifespan)


@app.post("/score")
def score(event: dict[str, Any]) -> dict[str, Any]:
    """One run of the strategy."""
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return {"id": str(run.id), "points": run.points}
