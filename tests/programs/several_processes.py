"""Processes of `multiprocessing`: each stores what it recorded before it ends, also if terminated.

EXECLOG_DSN=postgresql://... python several_processes.py fork < events.jsonl   # or spawn
"""

import json
import multiprocessing
import os
import signal
import sys

import execlog

# A recorder for each process: a forked child gets an empty one of its own.
recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


def score(line: str) -> str:
    """One run of the strategy."""
    event = json.loads(line)
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    return str(run.id)


def main(kind: str) -> None:
    """Scores in a pool of two processes; if it is ended early, the block terminates them."""
    # Else SIGTERM ends this process alone: multiprocessing leaves its children behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with multiprocessing.get_context(kind).Pool(2) as pool:
        for line in sys.stdin:
            pool.apply_async(score, (line,), callback=say)
        pool.close()
        pool.join()


def say(done: str) -> None:
    """An id, when its run is recorded."""
    print(done, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
