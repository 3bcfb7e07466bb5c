"""Several threads that share one recorder, closed when they are done.

EXECLOG_DSN=postgresql://... python several_threads.py < events.jsonl
"""

import json
import os
import queue
import sys
import threading

import execlog

THREADS = 4


def work(recorder: execlog.ExecutionRecorder, events: "queue.Queue[str | None]") -> None:
    """Scores what comes, until None comes."""
    while (line := events.get()) is not None:
        event = json.loads(line)
        with recorder.run(
            strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
        ) as run:
            run.points, run.nodes_executed = event["amount"] / 10, 1
        sys.stdout.write(f"{run.id}\n")
    sys.stdout.flush()


def main() -> None:
    """Hands each line of the input to one of the threads."""
    events: queue.Queue[str | None] = queue.Queue(maxsize=1000)
    with execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"]) as recorder:
        threads = [
            threading.Thread(target=work, args=(recorder, events), daemon=True)
            for _ in range(THREADS)
        ]
        for thread in threads:
            thread.start()
        for line in sys.stdin:
            events.put(line)
        for _ in threads:
            events.put(None)
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
