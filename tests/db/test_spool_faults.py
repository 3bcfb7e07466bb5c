"""What may befall a spool: its disk, its files, its owner, its log. Nothing accepted is lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

import execlog
from execlog import ExecutionRecorder
from execlog.recorder.spool import row_file
from tests.databases import TABLE
from tests.db.test_spool import KILLED
from tests.db.test_spool import killed as left_behind
from tests.outage import Outage
from tests.recording import (
    AWAY,
    assert_none_is_missing,
    assert_stored,
    assert_sum,
    balanced,
    load,
    record,
    until,
)
from tests.rows import fields
from tests.types import Pool

LOG = "execlog.recorder"


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """As on a full disk, no file of the spool can be allocated by this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.asynccontextmanager
async def locked(dsn: str) -> Any:
    """Nothing can be stored meanwhile."""
    holder = await asyncpg.connect(dsn, statement_cache_size=0)
    try:
        async with holder.transaction():
            await holder.execute(f"lock table {TABLE} in access exclusive mode")
            yield
    finally:
        await holder.close()


@contextlib.contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that has said its first line."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def rows_of(spool: Path) -> list[Path]:
    return sorted(spool.glob("*/*.rows"))


def sizes_of(files: Iterable[Path]) -> list[int]:
    """Of those that are still there: the spool's thread removes and renames meanwhile."""
    sizes = []
    for path in files:
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.stat().st_size)
    return sizes


async def test_a_full_disk(dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool", batch_rows=100) as recorder:
        async with locked(dsn):
            with no_room():
                for n in range(2000):
                    assert record(recorder, n)
                await asyncio.sleep(1.2)  # the spool's thread has tried again
                stats = recorder.stats()
                assert (stats.pending_rows, stats.dropped) == (2000, {})
                assert 100 < stats.spooled_rows < 1500
            await until(lambda: "has room again" in caplog.text)
            await until(lambda: recorder.stats().spooled_rows == 2000)  # memory's too
            for n in range(500):
                assert record(recorder, n)
                if n % 100 == 0:
                    await asyncio.sleep(0.01)
            await until(lambda: recorder.stats().spooled_rows > 2400)
            assert balanced(recorder.stats())
        assert await recorder.flush()
    stats = recorder.stats()
    assert (stats.written, stats.dropped) == (2500, {})
    assert caplog.text.count("executions wait in memory") == 1
    await assert_sum(dsn, stats)
    assert os.listdir(tmp_path / "spool") == []


async def test_a_disk_that_is_full_at_the_start(
    dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = tmp_path / "spool"
    tries: list[object] = []
    make, full = os.mkdir, [True]

    def mkdir(path: Any, *options: Any) -> None:
        tries.append(path)
        if full[0] and str(path).startswith(f"{spool}/"):
            raise OSError(28, "No space left on device")
        make(path, *options)

    async with locked(dsn):
        recorder = ExecutionRecorder(dsn, spool=spool, linger=30)
        monkeypatch.setattr(os, "mkdir", mkdir)
        await recorder.start()
        for n in range(1000):
            assert record(recorder, n)
        assert recorder.stats().spooled_rows == 0
        assert len(recorder._buffer._waiting) == 1  # no batch of its own for each row
        assert len(tries) < 10
        full[0] = False
        await until(lambda: recorder.stats().spooled_rows == 1000)
        assert caplog.text.count("has room again") == 1
        for n in range(1000):
            assert record(recorder, n)
        assert recorder.stats().spooled_rows == 2000
    stats = await recorder.aclose()
    assert stats.written == 2000
    await assert_sum(dsn, stats)


def torn(path: Path) -> None:
    data = path.read_bytes()
    end = len(data.rstrip(b"\0"))
    with path.open("r+b") as file:
        file.seek(end - 40)
        file.write(bytes(40))


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(len(path.read_bytes().rstrip(b"\0")) - 10)


@pytest.mark.parametrize("tear", [torn, pytest.param(cut, marks=pytest.mark.long)])
async def test_a_torn_tail_is_cut_and_counted(
    dsn: str, tmp_path: Path, tear: Callable[[Path], None]
) -> None:
    spool = tmp_path / "spool"
    left_behind(AWAY, spool)
    tear([path for path in rows_of(spool) if path.read_bytes()[128:].strip(b"\0")][-1])
    stats = await assert_none_is_missing(dsn, 2999, spool=spool)
    assert (stats.recovered, stats.dropped) == (3000, {"torn": 1})
    assert os.listdir(spool) == []


async def test_damaged_files_are_set_aside(
    dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    left_behind(AWAY, spool, rows=9000)
    first, second, third = rows_of(spool)[:3]
    for path, place, data in ((first, 0, b"x"), (second, 5000, b"\0" * 8), (third, 4, b"log9")):
        with path.open("r+b") as file:
            file.seek(place)
            file.write(data)
    async with ExecutionRecorder(dsn, spool=spool) as recorder:
        assert await recorder.flush()
        for n in range(10):
            record(recorder, n)
    stats = recorder.stats()
    assert balanced(stats)
    lost = stats.dropped["damaged"]
    assert 1 <= lost <= 2
    assert stats.recovered == 5000
    await assert_stored(dsn, 5010 - lost)
    assert caplog.text.count("is damaged, and is left alone") == 2
    assert caplog.text.count("later version") == 1
    kept = sorted(path.name for path in spool.glob("*/*.*"))
    assert kept == [f"{first.name}.bad", f"{second.name}.bad", third.name]
    assert (await assert_none_is_missing(dsn, 5010 - lost, spool=spool)).recovered == 0


async def test_a_folder_of_a_later_version_is_left_alone(
    dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    left_behind(AWAY, spool)
    [info] = spool.glob("*/owner")
    text = info.read_text()
    info.write_text(text.replace('"format": 1', '"format": 2'))
    assert (await assert_none_is_missing(dsn, 0, spool=spool)).recovered == 0
    assert "later version" in caplog.text
    info.write_text(text)
    assert (await assert_none_is_missing(dsn, 3000, spool=spool)).recovered == 3000


class PowerLoss:
    """Keeps what the disk has for sure: files as of their last sync, if their folder has them."""

    def __init__(self, spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._spool = spool
        self._contents: dict[str, bytes] = {}
        self._names: dict[str, set[str]] = {}
        self._sync = {name: getattr(os, name) for name in ("fdatasync", "fsync")}
        for name in self._sync:
            monkeypatch.setattr(os, name, self._traced(name))

    def _traced(self, name: str) -> Callable[[int], None]:
        def sync(descriptor: int) -> None:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            # Before, since what is written meanwhile may not be synced.
            if os.path.isdir(path):
                names = set(os.listdir(path))
                self._sync[name](descriptor)
                self._names[path] = names
            else:
                data = Path(path).read_bytes()
                self._sync[name](descriptor)
                self._contents[path] = data

        return sync

    def restore(self, spool: Path) -> None:
        """What is there after it."""
        spool.mkdir(mode=0o700)
        for name in self._names.get(str(self._spool), set()):
            here, there = self._spool / name, spool / name
            if name.startswith("."):
                continue
            there.mkdir(mode=0o700)
            for file in self._names.get(str(here), set()) | {"lock"}:
                (there / file).write_bytes(self._contents.get(str(here / file), b""))


async def test_a_loss_of_power(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what was synced is there: all but the last batch, and half a second of it."""
    spool = tmp_path / "spool"
    power = PowerLoss(spool, monkeypatch)
    recorder = ExecutionRecorder(AWAY, spool=spool, durability="disk", batch_rows=1000)
    await recorder.start()
    await load(recorder, 1.5)
    power.restore(tmp_path / "restored")
    offered = recorder.stats().offered
    await recorder.aclose(0.1)
    async with ExecutionRecorder(dsn, spool=tmp_path / "restored") as other:
        assert await other.flush()
    stats = other.stats()
    assert offered - 2000 <= stats.written <= offered
    assert not set(stats.dropped) - {"torn"}
    await assert_sum(dsn, stats)


async def test_an_idle_recorder_finds_what_another_process_leaves(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own files are all gone by then."""
    monkeypatch.setattr("execlog.recorder.spool.spool._TICKS_PER_SCAN", 1)
    spool = tmp_path / "spool"
    async with ExecutionRecorder(dsn, spool=spool, durability="disk") as recorder:
        record(recorder, 1)
        assert await recorder.flush()
        await asyncio.to_thread(left_behind, AWAY, spool)
        await until(lambda: recorder.stats().written == 3001)
    stats = recorder.stats()
    assert (stats.offered, stats.recovered) == (1, 3000)
    await assert_sum(dsn, stats)


async def test_an_owner_that_is_stopped_is_not_dead(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("execlog.recorder.spool.spool._TICKS_PER_SCAN", 1)
    spool = tmp_path / "spool"
    arguments = [sys.executable, "-c", KILLED, dsn, str(spool), "30", "1500"]
    with started(arguments) as process:
        process.send_signal(signal.SIGSTOP)
        async with ExecutionRecorder(dsn, spool=spool) as recorder:
            record(recorder, 1)
            assert await recorder.flush()
            await asyncio.sleep(1.2)
            assert (recorder.stats().recovered, recorder.stats().written) == (0, 1)
            process.send_signal(signal.SIGCONT)
            process.send_signal(signal.SIGTERM)  # it stores what it has
            await asyncio.to_thread(process.wait)
        assert recorder.stats().recovered == 0
    await assert_stored(dsn, 1501)
    assert os.listdir(spool) == []


OF_A_LOG = """
import sys, time, execlog
from tests.recording import record
with execlog.ExecutionRecorder(sys.argv[1], spool=sys.argv[2], linger=30) as recorder:
    record(recorder, 0)
    recorder.flush_blocking()
    recorder._spool.seal(recorder._spool._spares[0]).result(5)
    for n in range(500):
        record(recorder, n)
    print("so", flush=True)
    time.sleep(60)
"""


async def test_a_folder_of_another_log_is_not_delivered(
    dsn: str, empty_dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = tmp_path / "spool"
    await execlog.migrate(empty_dsn)  # a clone of the template would be the same log
    with started([sys.executable, "-c", OF_A_LOG, dsn, str(spool)]) as process:
        process.kill()
    async with ExecutionRecorder(empty_dsn, spool=spool) as recorder:
        for n in range(100):
            record(recorder, n)
        assert await recorder.flush()
        stats = recorder.stats()
        assert (stats.recovered, stats.written, stats.pending_rows) == (0, 100, 0)
        assert caplog.text.count("is of another log, and is left alone") == 1
    await assert_sum(empty_dsn, recorder.stats())
    assert (await assert_none_is_missing(dsn, 501, spool=spool)).recovered == 500
    assert os.listdir(spool) == []


async def in_doubt(server: Outage, spool: Path, rows: int) -> None:
    """A process is killed while its commit waits; then the server has the rows after all."""
    await server.configure("synchronous_standby_names", "nope")
    waiting = "select true from pg_stat_activity where wait_event = 'SyncRep'"
    arguments = [sys.executable, "-c", KILLED, server.dsn, str(spool), "0.3", str(rows)]
    with started(arguments) as process:
        async with server.connection() as connection:
            await connection.execute("set synchronous_commit = local")
            await until(lambda: connection.fetchval(waiting))
        process.kill()


@pytest.mark.long
@pytest.mark.parametrize("pruned", [True, False])
async def test_a_commit_in_doubt_when_its_process_is_killed(tmp_path: Path, pruned: bool) -> None:
    """Also if the claim was pruned meanwhile: which rows are stored is seen by their ids."""
    spool = tmp_path / "spool"
    with Outage() as server:
        await execlog.migrate(server.dsn)
        await in_doubt(server, spool, 200)
        recorder = ExecutionRecorder(server.dsn, spool=spool, timeout=1)
        await recorder.start()
        assert recorder.stats().recovered == 200
        await asyncio.sleep(0.5)
        assert recorder.stats().written == 0
        if pruned:
            await recorder.aclose(0.1)
            await server.configure("synchronous_standby_names", None)
            async with server.connection() as connection:
                await connection.execute("delete from execlog.recorder_progress")
            await assert_none_is_missing(server.dsn, 200, spool=spool)
        else:
            await server.configure("synchronous_standby_names", None)
            stats = await recorder.aclose(20)
            assert (stats.recovered, stats.written, stats.pending_rows) == (0, 0, 0)
            await assert_stored(server.dsn, 200)


async def test_a_pool_as_target(dsn: str, pool: Pool, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    left_behind(AWAY, spool)
    async with ExecutionRecorder(pool, spool=spool, linger=30) as recorder:
        for n in range(100):
            record(recorder, n)
        assert await recorder.flush()
    stats = recorder.stats()
    assert (stats.recovered, stats.written) == (3000, 3100)
    await assert_sum(dsn, stats)


@pytest.mark.long
async def test_through_a_pooler(template: str, dsn: str, pooled: Any, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    left_behind(pooled.dsn(dsn), spool, rows=5000, linger=0.01)
    async with ExecutionRecorder(pooled.dsn(dsn), spool=spool, linger=0.02) as recorder:
        loading = asyncio.create_task(load(recorder, 1))
        await asyncio.sleep(0.4)
        pooled.kill()
        await asyncio.sleep(0.2)
        pooled.start()
        await loading
        assert await recorder.flush()
    stats = recorder.stats()
    assert balanced(stats)
    await assert_stored(dsn, 5000 + stats.offered)


FORKS = """
import os, signal, sys, time, execlog
from tests.recording import record
recorder = execlog.ExecutionRecorder(sys.argv[1], spool=sys.argv[2], linger=30)
recorder.__enter__()
for n in range(10):
    record(recorder, n)
children = []
for child in range(3):
    children.append(os.fork())
    if not children[-1]:
        for n in range(100):
            record(recorder, n)
        os.write(1, f"{recorder.stats().spooled_rows}\\n".encode())  # in one step
        time.sleep(60)
for n in range(10):
    record(recorder, n)
time.sleep(float(sys.argv[3]))
for child in children:
    os.kill(child, signal.SIGKILL)
print(len(os.listdir(sys.argv[2])), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.long
async def test_children_have_folders_of_their_own(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    command = [sys.executable, "-c", FORKS, dsn, str(spool), "1.5"]
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True)
    assert done.stdout.split() == ["100", "100", "100", "4"], done.stderr
    stats = await assert_none_is_missing(dsn, 320, spool=spool)
    assert stats.recovered == 320
    assert os.listdir(spool) == []


@pytest.mark.parametrize(
    "policy", ["drop_oldest", pytest.param("drop_newest", marks=pytest.mark.long)]
)
async def test_a_full_spool_keeps_failures(
    dsn: str, pool: Pool, tmp_path: Path, policy: Any
) -> None:
    spool, limit = tmp_path / "spool", 2 * 1024 * 1024
    async with ExecutionRecorder(
        dsn, spool=spool, spool_bytes=limit, batch_rows=200, policy=policy
    ) as recorder:
        async with locked(dsn):
            for n in range(20_000):
                record(recorder, n)
                if n % 500 == 0:
                    await asyncio.sleep(0.005)  # the spool's thread has its turn
                    assert sum(sizes_of(rows_of(spool))) <= limit
            stats = recorder.stats()
            assert balanced(stats)
            assert set(stats.dropped) == {"full"}
            assert stats.pending_rows > 4000  # no more than needed was dropped
        assert await recorder.flush()
    await assert_sum(dsn, recorder.stats())
    assert await pool.fetchval(f"select count(*) from {TABLE} where status <> 'ok'") == 1000
    if policy == "drop_oldest":
        assert await pool.fetchval(f"select max(notes::integer) from {TABLE}") == 19_999
    assert os.listdir(spool) == []


async def test_a_slow_disk(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes that wait are counted, and executions stay in memory until the disk is well."""
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool", linger=30) as recorder:
        async with locked(dsn):
            with monkeypatch.context() as slow:
                slow.setattr(row_file, "_SLOW_NS", -1)
                slow.setattr(row_file, "_waits", itertools.count().__next__)
                for n in range(1000):
                    assert record(recorder, n)
                    if n % 100 == 0:
                        await asyncio.sleep(0.01)
                stats = recorder.stats()
                assert 1 <= stats.slow_writes <= 20
                assert stats.pending_rows == 1000
                assert stats.spooled_rows < 50
            await until(lambda: recorder.stats().spooled_rows == 1000)
            for n in range(100):
                record(recorder, n)
            assert recorder.stats().spooled_rows == 1100
            assert recorder._buffer._waiting_bytes == recorder._buffer._ok_bytes == 0
        assert await recorder.flush()
    assert recorder.stats().written == 1100
    await assert_sum(dsn, recorder.stats())


async def test_a_processor_that_is_lacking_is_no_slow_disk(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_file, "_SLOW_NS", -1)
    async with ExecutionRecorder(dsn, spool=tmp_path / "spool", linger=30) as recorder:
        for n in range(1000):
            record(recorder, n)
        assert recorder.stats().spooled_rows > 900


def test_others_see_nothing(tmp_path: Path) -> None:
    """Folders 0700, files 0600, whatever the umask is; and masks apply before."""
    spool = tmp_path / "spool"
    before = os.umask(0)
    try:
        recorder = ExecutionRecorder(AWAY, spool=spool, mask=["external_user_id", "trace/*/secret"])
        with recorder:
            for n in range(100):
                trace = [{"node": "kept", "secret": f"s3cret{n}"}]
                recorder.record(**fields(external_user_id="s3cret", trace=trace))
            recorder.close(0.1)
    finally:
        os.umask(before)
    found = [spool, *spool.rglob("*")]
    assert {path.stat().st_mode & 0o777 for path in found if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in found if path.is_file()} == {0o600}
    texts = [path.read_bytes() for path in found if path.is_file()]
    assert any(b"kept" in text for text in texts)
    assert not any(b"s3cret" in text for text in texts)


async def test_a_spool_that_is_removed_under_it(
    dsn: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A cleaner of temporary files: what is open is stored, and what comes after it too."""
    caplog.set_level(logging.WARNING, LOG)
    spool = tmp_path / "spool"
    async with ExecutionRecorder(dsn, spool=spool, linger=30, batch_rows=100) as recorder:
        for n in range(50):
            record(recorder, n)
        spool.rename(tmp_path / "gone")  # at once: files may be made in it meanwhile
        shutil.rmtree(tmp_path / "gone")
        for n in range(5000):
            assert record(recorder, n)
            if n % 500 == 0:
                await asyncio.sleep(0.01)
        await until(lambda: len(os.listdir(spool)) == 1)  # it has made a folder again
        async with locked(dsn):
            for n in range(100):
                assert record(recorder, n)
            await until(lambda: recorder.stats().spooled_rows >= 100)
        assert await recorder.flush()
    stats = recorder.stats()
    assert (stats.written, stats.dropped) == (5150, {})
    await assert_sum(dsn, stats)


@pytest.mark.long
async def test_two_recorders_of_one_process(dsn: str, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    left_behind(AWAY, spool)
    recorders = [ExecutionRecorder(dsn, spool=spool, linger=0.01) for _ in range(3)]
    for recorder in recorders:
        await recorder.start()
    await asyncio.gather(*(load(recorder, 0.5, 2000) for recorder in recorders))
    closed = [await recorder.aclose() for recorder in recorders]
    assert all(map(balanced, closed))
    assert sum(stats.recovered for stats in closed) == 3000
    await assert_stored(dsn, sum(stats.written for stats in closed))
    assert sum(stats.written for stats in closed) == 3000 + sum(one.offered for one in closed)
    assert os.listdir(spool) == []
