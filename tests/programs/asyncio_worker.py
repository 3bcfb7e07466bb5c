"""An asyncio worker that ends well on SIGTERM and SIGINT.

EXECLOG_DSN=postgresql://... python asyncio_worker.py < events.jsonl
"""

import asyncio
import json
import os
import signal
import sys
from contextlib import suppress

import execlog


async def work(recorder: execlog.ExecutionRecorder, events: asyncio.StreamReader) -> None:
    """Scores each line until there is none."""
    while line := await events.readline():
        event = json.loads(line)
        with recorder.run(
            strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
        ) as run:
            run.points, run.nodes_executed = event["amount"] / 10, 1
        print(run.id, flush=True)
        await asyncio.sleep(0)  # lets the recorder run even if there is always a line


async def main() -> None:
    """Reads standard input; a signal cancels the work, and the recorder's block stores the rest."""
    loop = asyncio.get_running_loop()
    events = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(events), sys.stdin)
    async with execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"]) as recorder:
        working = asyncio.create_task(work(recorder, events))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, working.cancel)
        with suppress(asyncio.CancelledError):
            await working


if __name__ == "__main__":
    asyncio.run(main())
