"""A buffer in files, whatever its disk does meanwhile: each row is settled once, or counted."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from execlog.recorder.buffer import Account, Policy
from execlog.recorder.spool.spool import Spool
from execlog.recorder.spooled_buffer import SpooledBuffer

THREADS, ROWS = 3, 6000


class Writer(threading.Thread):
    """Takes batch after batch, and keeps what it has got."""

    def __init__(self, spool: Spool, buffer: SpooledBuffer, dice: random.Random) -> None:
        super().__init__()
        self._spool, self._buffer, self._dice = spool, buffer, dice
        self.ended = threading.Event()
        self.found: list[bytes] = []
        self.torn: list[Account] = []

    def run(self) -> None:
        while True:
            last_time = self.ended.is_set()
            batch = self._buffer.take(full=self._dice.random() < 0.5 and not last_time)
            if batch is None:
                if last_time:
                    return
                time.sleep(self._dice.random() * 0.01)
                continue
            if batch.file is not None:
                sealed = batch.is_sealed
                read = self._spool.read(batch.file).result(10) if sealed else batch.file.read()
                self._buffer.load(batch, read)
            time.sleep(self._dice.random() * 0.006)
            rows = batch.rows()
            self.found += rows
            self._buffer.settle(rows, last=True)
            if batch.file is not None:
                self._spool.discard(batch.file)
            if not balanced(account := self._buffer.account()):
                self.torn.append(account)


def balanced(account: Account) -> bool:
    lost = sum(account.dropped.values()) + sum(account.rejected.values())
    return account.offered + account.recovered == lost + account.written + account.pending_rows


@pytest.mark.parametrize("policy", ["drop_newest", "drop_oldest"])
@pytest.mark.parametrize("limit", [2**20, pytest.param(2**26, marks=pytest.mark.long)])
def test_rows_of_many_threads_while_the_disk_comes_and_goes(
    tmp_path: Path, policy: Policy, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execlog.recorder.spool.spool._TICK_SECONDS", 0.01)
    dice = random.Random(limit)
    spool = Spool(str(tmp_path), limit=limit, batch_bytes=64 * 1024, durable=False, info={})
    options: dict[str, Any] = {"max_rows": 2000, "max_bytes": 400_000, "batch_rows": 100}
    buffer = SpooledBuffer(spool, batch_bytes=64 * 1024, policy=policy, **options)
    spool.open()
    writer = Writer(spool, buffer, dice)
    accepted: list[list[bytes]] = [[] for _ in range(THREADS)]

    def offer(thread: int) -> None:
        for n in range(ROWS):
            line = b"%d.%d %s\n" % (thread, n, b"x" * dice.randrange(300))
            if buffer.add(line, n % 20 == 0)[0]:
                accepted[thread].append(line)
            if n % 100 == 0:
                time.sleep(0.002)

    def spoil() -> None:
        while not writer.ended.wait(0.01):
            which = dice.randrange(3)
            if which == 0:
                spool.note_slow()
            elif which == 1:
                spool._complain(OSError(28, "No space left on device"))
            else:
                while spool._spares:
                    spool.discard(spool._spares.popleft())

    threads = [threading.Thread(target=offer, args=(thread,)) for thread in range(THREADS)]
    for thread in (writer, *threads, spoiler := threading.Thread(target=spoil)):
        thread.start()
    for thread in threads:
        thread.join()
    writer.ended.set()
    writer.join(20)
    spoiler.join()
    account = buffer.account()
    assert writer.torn == []
    if limit == 2**20:
        assert buffer.account().dropped["full"] > 1000
    assert balanced(account), account
    assert (account.pending_rows, account.pending_bytes, account.spooled_rows) == (0, 0, 0)
    assert account.offered + account.recovered - sum(account.dropped.values()) == account.written
    every = {line for lines in accepted for line in lines}
    assert max(Counter(writer.found).values()) == 1
    assert set(writer.found) <= every
    assert set(account.dropped) <= {"full"}
    assert len(every) - len(writer.found) <= sum(account.dropped.values())
    spool._worker.submit(lambda: None).result(10)
    there = sum(path.stat().st_size for path in tmp_path.glob("*/*.rows"))
    assert spool.used == there <= limit
    assert spool._promised == 0
    spool.close().result(10)
    assert list(tmp_path.iterdir()) == []
