"""Stores what the recorders of dead processes left in a spool, and counts how it ended."""

from __future__ import annotations

import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from execlog import ExecutionRecorder, RecorderStats
from execlog.cli.progress import progress
from execlog.display.format import number, shown
from execlog.recorder.archived import MAY_BE_ARCHIVED
from execlog.recorder.spool.listing import SpooledRecorder, list_spool

__all__ = ["Drained", "drain", "is_left"]

_LOOK_SECONDS = 0.5
_CLOSE_SECONDS = 1.0
_log = logging.getLogger("execlog.recorder")


class Drained:
    """How the executions of dead processes ended.

    Attributes:
        stored: They were stored.
        already: Their own process had stored them, or another one did meanwhile.
        rejected: The store refuses them: they are lost.
        damaged: They could not be read.
        torn: They were being written when their process ended, before `record` returned.
        problem: Why it was given up; None: it was not.
        left_why: Why something is left, if it was not given up.
        found: What is in the spool now.
    """

    def __init__(self, found: list[SpooledRecorder]) -> None:
        """Nothing was done yet. Never raises."""
        self.stored = self.already = self.rejected = self.damaged = self.torn = 0
        self.problem: str | None = None
        self.left_why = "they are for another log"
        self.found = found

    def __str__(self) -> str:
        """One sentence. Never raises."""
        others = {
            "stored already": self.already,
            "refused by the server": self.rejected,
            "unreadable": self.damaged,
            "torn by the end of their process": self.torn,
        }
        said = "".join(f", {number(count)} {how}" for how, count in others.items() if count)
        return f"stored {number(self.stored)} executions{said}"

    def add(self, stats: RecorderStats, found: list[SpooledRecorder]) -> None:
        """Counts what one recorder has stored, and what is there after it. Never raises."""
        gone = _rows([one for one in self.found if one.state == "dead"]) - _rows(found)
        ended = Counter(stats.rejected) + Counter(stats.dropped)
        self.stored += stats.written
        self.already += max(sum(gone.values()) - stats.written - ended.total(), 0)
        self.rejected += sum(stats.rejected.values())
        self.damaged += stats.dropped.get("damaged", 0)
        self.torn += stats.dropped.get("torn", 0)
        self.found = found


def drain(
    folder: Path, dsn: str, schema: str, patience: float, archive: Path | None = None
) -> Drained:
    """Stores what dead processes left, as their next process would.

    Args:
        folder: The spool.
        dsn: The server.
        schema: The schema of the log.
        patience: Seconds without a stored execution until it is given up.
        archive: The folder of the log's archive.

    Raises:
        InvalidArgument: The folder is no spool, or can't be used as one.
        ArchiveError: The extra for an archive is not installed.
        KeyboardInterrupt: Ctrl-C. What is not stored is in its files as before.
    """
    done = Drained(list_spool(folder))
    tried: set[str] = set()
    handler = _Lines(logging.WARNING)
    _log.addHandler(handler)
    try:
        # Again, for those that died meanwhile.
        while (dead := _dead(done.found)) - tried and done.problem is None:
            tried |= dead
            stats, is_done = _store(folder, dsn, schema, patience, archive)
            done.add(stats, list_spool(folder))
            if not is_done:
                done.problem = stats.last_error or "the server did not answer in time"
    finally:
        _log.removeHandler(handler)
    if any(MAY_BE_ARCHIVED in said for said in handler.said):
        done.left_why = f"they {MAY_BE_ARCHIVED}" + (": name it (--archive)" if not archive else "")
    return done


def is_left(one: SpooledRecorder) -> bool:
    """Whether a recorder's folder holds something that no process stores. Never raises."""
    return one.state != "alive" and bool(one.rows or one.newer_files or one.damaged_files)


def _dead(found: Sequence[SpooledRecorder]) -> set[str]:
    return {one.recorder for one in found if one.state in ("dead", "damaged")}


def _rows(found: Sequence[SpooledRecorder]) -> Counter[str]:
    return Counter({one.recorder: one.rows or 0 for one in found})


def _store(
    folder: Path, dsn: str, schema: str, patience: float, archive: Path | None
) -> tuple[RecorderStats, bool]:
    """The account of a recorder that adopts all that is dead; whether that is done."""
    with ExecutionRecorder(dsn, spool=folder, schema=schema, archive=archive) as recorder:
        try:
            is_done = _wait(recorder, patience)
        finally:
            stats = recorder.close(_CLOSE_SECONDS)  # the rest stays in its files
    return stats, is_done


def _wait(recorder: ExecutionRecorder, patience: float) -> bool:
    waiting, since = recorder.stats().spooled_rows, time.monotonic()
    with progress("executions", waiting) as advance:
        while not recorder.flush_blocking(_LOOK_SECONDS):
            left = recorder.stats().spooled_rows
            if left != waiting:
                advance(max(waiting - left, 0))
                waiting, since = left, time.monotonic()
            elif time.monotonic() - since >= patience:
                return False
    return True


class _Lines(logging.Handler):
    """Prints what the recorder logs as messages of the command, beside the bar."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())
        print(f"execlog: {shown(self.said[-1])}", file=sys.stderr)
