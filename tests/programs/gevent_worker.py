"""Greenlets: gevent replaces threads and sockets, and the recorder works as it does elsewhere.

EXECLOG_DSN=postgresql://... python gevent_worker.py < events.jsonl
"""

from gevent import monkey

monkey.patch_all()  # first of all: before anything imports threads or sockets

import json  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
import gevent.fileobject  # noqa: E402
import gevent.pool  # noqa: E402

import execlog  # noqa: E402

recorder = execlog.ExecutionRecorder(os.environ["EXECLOG_DSN"])


def score(line: bytes) -> None:
    """One run of the strategy."""
    event = json.loads(line)
    with recorder.run(
        strategy_id="loyalty", strategy_version=3, strategy_type="DSL", input=event
    ) as run:
        run.points, run.nodes_executed = event["amount"] / 10, 1
    print(run.id, flush=True)


if __name__ == "__main__":
    # Else Ctrl-C is raised in the greenlet that runs, the recorder's too, amid its work.
    gevent.signal_handler(signal.SIGINT, gevent.getcurrent().throw, KeyboardInterrupt)
    pool = gevent.pool.Pool(100)
    for line in gevent.fileobject.FileObject(sys.stdin.buffer, "rb"):
        pool.spawn(score, line)
    pool.join()
