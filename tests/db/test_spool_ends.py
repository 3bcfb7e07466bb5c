"""How a recorder with a spool ends, and that the next one has what it left."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from execlog import ExecutionRecorder
from execlog.recorder.spool.row_file import Content, RowFile
from tests.db.test_spool import killed
from tests.recording import AWAY, assert_none_is_missing, record, until


@pytest.mark.long
async def test_it_ends_while_a_file_is_read(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread must go on, or the folders stay locked for as long as the process lives."""
    spool = tmp_path / "spool"
    killed(AWAY, spool)
    reading = threading.Event()
    read = RowFile.read

    def slowly(file: RowFile) -> Content:
        reading.set()
        time.sleep(0.5)
        return read(file)

    with monkeypatch.context() as slow:
        slow.setattr(RowFile, "read", slowly)
        recorder = ExecutionRecorder(dsn, spool=spool)
        await recorder.start()
        await until(reading.is_set)
        record(recorder, 1)
        stats = await recorder.aclose(0.1)
    assert stats.pending_rows == stats.spooled_rows == 3001
    assert (await assert_none_is_missing(dsn, 3001, spool=spool)).recovered == 3001
    assert os.listdir(spool) == []
