"""Processes of `multiprocessing`: each stores what it recorded before it ends.

EXECLOG_DSN=postgresql://... python several_processes.py fork < events.jsonl   # or spawn
"""

import json
import multiprocessing
import os
import signal
import sys
from concurrent.futures import Future, ProcessPoolExecutor

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
    """Scores in two processes; if it is ended early, they finish what they were given."""
    # Else SIGTERM ends this process alone: multiprocessing leaves its children behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    context = multiprocessing.get_context(kind)
    with ProcessPoolExecutor(2, mp_context=context, initializer=be_told) as pool:
        for line in sys.stdin:
            pool.submit(score, line).add_done_callback(say)


def be_told() -> None:
    """A terminal's Ctrl-C, and what stops a service, go to the children too: these wait."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def say(done: Future[str]) -> None:
    """An id, when its run is recorded; in one piece, since two threads call this."""
    sys.stdout.write(f"{done.result()}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
