"""A file of rows, whatever befalls it; who owns a folder of files; where a spool may lie."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from execlog import InvalidArgument
from execlog.db.copy_format import COLUMNS
from execlog.recorder.identity import Claim
from execlog.recorder.spool import owner as owners
from execlog.recorder.spool import place
from execlog.recorder.spool.owner import Owner
from execlog.recorder.spool.row_file import (
    HEADER_BYTES,
    ROW_BYTES,
    Content,
    CorruptFile,
    NewerFormat,
    RowFile,
)

LINES = [f"{n}\t{'x' * (n % 90)}\n".encode() for n in range(300)]
SIZE = 64 * 1024
CLAIM = Claim(uuid4(), 7, uuid4(), uuid4())


def written(path: Path, *, sealed: bool) -> bytearray:
    """A file of 300 rows, one of twenty a failure: its bytes."""
    file = RowFile.create(str(path), SIZE)
    for n, line in enumerate(LINES):
        file.append(line, n % 20 == 0)
    file.note(CLAIM)
    if sealed:
        file.seal()
    file.close()
    return bytearray(path.read_bytes())


def found(path: Path, data: bytearray) -> tuple[Content, int]:
    """What such a file holds, and how many rows another process would take over."""
    path.write_bytes(data)
    return RowFile(str(path), len(data)).read(), len(RowFile.find(str(path)))


def place_of(n: int) -> int:
    """Where the n-th row begins."""
    return HEADER_BYTES + sum(len(line) + ROW_BYTES for line in LINES[:n])


@pytest.mark.parametrize("sealed", [True, False])
def test_what_is_written_is_read(tmp_path: Path, sealed: bool) -> None:
    path = tmp_path / "1.rows"
    content, rows = found(path, written(path, sealed=sealed))
    assert content.failed == LINES[::20]
    assert content.ok == [line for n, line in enumerate(LINES) if n % 20]
    assert (content.lost, rows) == (0, 300)
    assert content.claim is not None
    assert content.claim[:2] == CLAIM[:2]
    assert content.claim.last_token == CLAIM.last_token
    assert path.stat().st_mode & 0o777 == 0o600


COLUMNS_OF_FORMAT_1 = (
    "id created_at strategy_id strategy_version strategy_type realm_id external_game_id "
    "external_task_id external_user_id status error_code points case_name duration_ms "
    "nodes_executed trace sampled sample_rate parent_strategy_id notes trace_id error_message "
    "input attributes"
).split()


def test_a_row_has_the_columns_of_its_format() -> None:
    """A row in a file has no names: if the columns change, the format has another number.

    Then files of the older one must be read with the columns that it had.
    """
    assert owners.FORMAT == 1
    assert list(COLUMNS) == COLUMNS_OF_FORMAT_1


TORN: dict[str, Callable[[bytearray], None]] = {
    "its last byte": lambda data: data.__setitem__(place_of(300) - 1, 0),
    "its first bytes": lambda data: data.__setitem__(slice(place_of(299), place_of(299) + 4), b""),
    "its checksum": lambda data: data.__setitem__(place_of(299), data[place_of(299)] ^ 1),
    "its length": lambda data: data.__setitem__(place_of(299) + 5, 9),
    "cut within": lambda data: data.__delitem__(slice(place_of(300) - 5, None)),
    "cut within its length": lambda data: data.__delitem__(slice(place_of(299) + 6, None)),
}


@pytest.mark.parametrize("tear", TORN.values(), ids=TORN)
def test_a_torn_tail_is_cut_and_counted(tmp_path: Path, tear: Callable[[bytearray], None]) -> None:
    path = tmp_path / "1.rows"
    data = written(path, sealed=False)
    tear(data)
    content, rows = found(path, data)
    assert len(content.ok) + len(content.failed) == 299
    assert (content.lost, content.is_torn, rows) == (1, True, 300)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("at", [0, 4, 20])  # its checksum, its length, its text
def test_rows_around_a_damaged_one_are_read(tmp_path: Path, sealed: bool, at: int) -> None:
    path = tmp_path / "1.rows"
    data = written(path, sealed=sealed)
    for n in (0, 77, 200):
        data[place_of(n) + at] ^= 1
    content, rows = found(path, data)
    assert len(content.ok) + len(content.failed) == 297
    assert (content.lost, content.is_torn, rows) == (3, False, 300)
    assert set(content.ok + content.failed) < set(LINES)


def test_a_hole_is_no_end(tmp_path: Path) -> None:
    """Pages reach the disk in any order."""
    path = tmp_path / "1.rows"
    data = written(path, sealed=False)
    data[4096:8192] = bytes(4096)
    content, _ = found(path, data)
    assert 200 < len(content.ok) + len(content.failed) < 300
    assert content.failed[-1] == LINES[280]
    assert not content.is_torn


def test_counts_that_are_damaged_are_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "1.rows"
    data = written(path, sealed=True)
    data[10] = 0x7F
    content, rows = found(path, data)
    assert (content.lost, rows) == (0, 300)


def test_headers(tmp_path: Path) -> None:
    path = tmp_path / "1.rows"
    data = written(path, sealed=True)
    for begin, error in (
        (b"execlog2", NewerFormat),
        (b"execlo01", CorruptFile),
        (b"", CorruptFile),
    ):
        path.write_bytes(begin + data[8:])
        with pytest.raises(error):
            RowFile.find(str(path))
        with pytest.raises(error):
            RowFile(str(path), len(data)).read()
    assert len(RowFile.find(str(empty(path)))) == 0


def empty(path: Path) -> Path:
    """A file whose process died while it made it."""
    path.write_bytes(bytes(SIZE))
    return path


def test_a_spare_that_is_touched_for_long_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "1.rows"
    file = RowFile.create(str(path), SIZE)
    for _ in range(100):
        file.touch()
    assert file.append(LINES[0], True) in (True, False)
    assert file.read().failed == LINES[:1]


def test_a_row_that_comes_while_another_is_written(tmp_path: Path) -> None:
    """A signal handler that records: each has a place of its own."""
    file = RowFile.create(str(tmp_path / "1.rows"), 64 * SIZE)
    nested: list[bytes] = []

    def record(*_: object) -> None:
        nested.append(b"nested %d\n" % len(nested))
        file.append(nested[-1], False)

    earlier = signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        while file.room > 2 * SIZE:
            file.append(b"outer" * 20, True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    content = file.read()
    assert content.lost == 0
    assert sorted(content.ok) == sorted(nested) != []  # a handler may interrupt another one
    assert len(content.ok) + len(content.failed) == len(file)


def test_many_threads_that_find_the_folder_of_a_dead_process(tmp_path: Path) -> None:
    """One of them has it; and what its process has is never found."""
    code = (
        "import os, sys; from execlog.recorder.spool.owner import Owner;"
        "[Owner.create(sys.argv[1], {}) for _ in range(20)]; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    own = Owner.create(str(tmp_path), {})
    barrier = threading.Barrier(4)
    taken: list[Owner] = []

    def take() -> None:
        barrier.wait()
        for path in owners.listed(str(tmp_path)):
            if one := Owner.take_over(path):
                taken.append(one)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len({one.path for one in taken}) == 20
    assert own.path not in {one.path for one in taken}
    for one in (*taken, own):
        one.release()
    assert os.listdir(tmp_path) == []


def test_a_folder_by_another_name_is_the_same(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    own = Owner.create(str(real), {})
    assert [Owner.take_over(path) for path in owners.listed(str(link))] == [None]
    own.release()


def test_folders_of_others_in_a_spool_stay(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    (tmp_path / ".snapshot").mkdir()
    os.utime(tmp_path / ".snapshot", (0, 0))
    assert owners.listed(str(tmp_path)) == []
    assert sorted(os.listdir(tmp_path)) == [".snapshot", "lost+found"]


def test_a_folder_that_can_not_be_made_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Owner, "_write", fail)
    with pytest.raises(OSError, match="No space"):
        Owner.create(str(tmp_path), {})
    assert os.listdir(tmp_path) == []


MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:44 / /srv/share rw shared:2 master:1 - nfs4 server:/export rw
24 22 0:45 / /srv/my\\040share rw - cifs //server/share rw
25 22 0:46 / /srv/дата rw - fuse.sshfs user@host:/ rw
26 23 0:47 / /srv/share/local rw - xfs /dev/vdb rw
27 22 0:48 / /srv/twice rw - nfs server:/x rw
28 22 0:49 / /srv/twice rw - tmpfs tmpfs rw
"""
PLACES = {
    "/srv": "ext4",
    "/srv/share": "nfs4",
    "/srv/share/a/b": "nfs4",
    "/srv/shared": "ext4",
    "/srv/my share/a": "cifs",
    "/srv/дата/a": "fuse.sshfs",
    "/srv/share/local/a": "xfs",
    "/srv/twice/a": "tmpfs",
}


@pytest.mark.parametrize(("path", "system"), PLACES.items())
def test_the_file_system_of_a_place(
    path: str, system: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mountinfo").write_text(MOUNTS)
    monkeypatch.setattr(place, "_MOUNTS", str(tmp_path / "mountinfo"))
    assert place._file_system(path) == system


def test_places_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mountinfo").write_text(
        f"22 1 254:0 / / rw - ext4 /dev/vda rw\n23 22 0:4 / {tmp_path} rw - nfs4 s:/x rw\n"
    )
    (tmp_path / "file").touch()
    (tmp_path / "open").mkdir()
    (tmp_path / "open" / "file").touch()
    (tmp_path / "open").chmod(0o775)
    with pytest.raises(InvalidArgument, match=r"^spool: may be written by other users"):
        place.prepared(tmp_path / "open")
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty").chmod(0o755)
    assert Path(place.prepared(tmp_path / "empty")).stat().st_mode & 0o777 == 0o700
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    assert Path(place.prepared(tmp_path / "tmp")).stat().st_mode & 0o7777 == 0o1777
    with pytest.raises(InvalidArgument, match=r"^spool: can't be made"):
        place.prepared(tmp_path / "file")
    assert place.prepared(tmp_path / "a" / "b") == str(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(place, "_MOUNTS", str(tmp_path / "mountinfo"))
    with pytest.raises(InvalidArgument, match=r"^spool: .*network file system \(nfs4\)"):
        place.prepared(tmp_path / "a" / "b")
    monkeypatch.setattr(place, "_MOUNTS", str(tmp_path / "absent"))
    assert place.prepared(tmp_path / "a" / "b") == str(tmp_path / "a" / "b")
