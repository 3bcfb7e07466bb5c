"""Makes, runs and removes one Postgres server, for as long as the process that asked for it lives.

Started as a script (never imported) by `execlog.embedded`, with the standard library alone. It
reads one JSON line, its order, and answers one: `{"pid", "folder"}` or `{"error", "argument"}`.
Then it waits for the end of its standard input, for another parent (the first one is gone, even by
`kill -9`) or for the server's own end. Whichever comes first, it stops the server and removes its
folder. It makes that folder itself, so there is no moment at which nobody would remove it.

It runs in a session of its own: a Ctrl-C in the terminal ends the asker, not the server underneath
a query that is still being cleaned up.
"""

import contextlib
import json
import os
import pwd
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPERUSER = "postgres"
SOCKET = ".s.PGSQL.5432"

_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0
_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 108 bytes on Linux, 104 on macOS
# A cluster that is thrown away may lose everything in a crash, so it need not wait for the disk.
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class _Failed(Exception):
    """The server can't be had: why, and by which argument of the asker."""

    def __init__(self, problem: str, argument: str | None = None) -> None:
        super().__init__(problem)
        self.argument = argument


@dataclass(frozen=True)
class _User:
    """Whom the server runs as. Postgres refuses root, so root has to choose somebody."""

    uid: int
    gid: int

    def command(self) -> dict[str, Any]:
        """The keywords that make a child run as this user."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can(self, *command: str) -> bool:
        """Whether this command succeeds for this user."""
        try:
            done = subprocess.run(
                command, capture_output=True, cwd="/", check=False, **self.command()
            )
        except OSError:
            return False
        return bool(done.returncode == 0)

    def can_enter(self, folder: Path) -> bool:
        return self.can("/bin/sh", "-c", 'cd "$1"', "sh", str(folder))


@dataclass(frozen=True)
class _Cluster:
    """Where everything is, and who runs it (None: as we are)."""

    folder: Path
    binaries: Path
    data: Path
    user: _User | None
    throwaway: bool

    def command(self) -> dict[str, Any]:
        return self.user.command() if self.user else {}

    @contextlib.contextmanager
    def data_path(self) -> Any:
        """The data folder's path for a child, and the keywords that make it valid there.

        Root may keep a cluster below a folder that the server's user can't enter. An open
        descriptor leads there all the same, and no folder above has to change its mode.
        """
        if self.user is None or self.user.can_enter(self.data):
            yield str(self.data), {}
            return
        descriptor = os.open(self.data, os.O_RDONLY | os.O_DIRECTORY)
        try:
            yield f"/proc/self/fd/{descriptor}", {"pass_fds": [descriptor]}
        finally:
            os.close(descriptor)


def main() -> None:
    """Serves one asker, then cleans up whatever happened."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(BrokenPipeError), contextlib.ExitStack() as leftovers:
        try:
            order = json.loads(_read_line() or b"null")
            if order is not None:
                server, folder = _serve(order, leftovers)
                _answer({"pid": server.pid, "folder": str(folder)})
                _await_end(parent, server)
        except (_Failed, OSError, ValueError) as failure:
            _answer({"error": str(failure), "argument": getattr(failure, "argument", None)})


def _answer(answer: dict[str, Any]) -> None:
    # Not print: what it buffers for an asker that is gone would fail once more at exit.
    os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


def _serve(
    order: dict[str, Any], leftovers: contextlib.ExitStack
) -> tuple["subprocess.Popen[bytes]", Path]:
    user = _server_user(order["data_dir"] and Path(order["data_dir"]))
    folder = _make_folder(order["temporary"], user)
    leftovers.callback(shutil.rmtree, folder, ignore_errors=True)
    data = _prepare_data(order["data_dir"], folder, user)
    binaries = _reachable(Path(order["binaries"]), folder, user)
    cluster = _Cluster(folder, binaries, data, user, order["data_dir"] is None)
    _init(cluster)
    server = _start(cluster, order["settings"])
    leftovers.callback(_stop, server, throwaway=cluster.throwaway)
    _await_ready(cluster, server, order["startup_timeout"])
    return server, folder


def _read_line() -> bytes:
    # Unbuffered, so that select sees what comes after it.
    line = b""
    while not line.endswith(b"\n") and (more := os.read(sys.stdin.fileno(), 65536)):
        line += more
    return line


def _server_user(data: Path | None) -> _User | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    if data is None or not data.is_dir():
        return _User(nobody.pw_uid, nobody.pw_gid)
    found = data.stat()
    if found.st_uid == 0:
        if any(data.iterdir()):
            raise _Failed("belongs to root, as whom Postgres refuses to run", "data_dir")
        return _User(nobody.pw_uid, nobody.pw_gid)
    try:
        pwd.getpwuid(found.st_uid)
    except KeyError:
        raise _Failed("belongs to a user who has no name here", "data_dir") from None
    return _User(found.st_uid, found.st_gid)


def _make_folder(temporary: str, user: _User | None) -> Path:
    """A new folder that only its owner can enter, where a socket can be."""
    for parent in (temporary, "/tmp"):  # noqa: S108 - mkdtemp makes it ours alone
        fits = len(f"{parent}/execlog-pg-12345678/{SOCKET}") <= _LONGEST_SOCKET_PATH
        # unix_socket_directories is a list with commas.
        if fits and "," not in parent and (user is None or user.can_enter(Path(parent))):
            folder = Path(tempfile.mkdtemp(prefix="execlog-pg-", dir=parent))
            _give(folder, user)
            return folder
    raise _Failed("no temporary folder whose path is short enough for a unix socket")


def _give(folder: Path, user: _User | None) -> None:
    if user is not None:
        os.chown(folder, user.uid, user.gid)


def _prepare_data(data_dir: str | None, folder: Path, user: _User | None) -> Path:
    """Makes the data folder, or makes sure that it is one. Touches no folder above it."""
    data = folder / "data" if data_dir is None else Path(data_dir)
    if data.exists():
        if not data.is_dir():
            raise _Failed("is not a folder", "data_dir")
        if (data / "PG_VERSION").exists():
            return data
        if any(data.iterdir()):
            raise _Failed("is neither empty nor a Postgres cluster", "data_dir")
    try:
        data.mkdir(mode=0o700, exist_ok=True)
        _give(data, user)
    except FileNotFoundError:
        raise _Failed("lies in a folder that does not exist", "data_dir") from None
    except OSError as error:
        raise _Failed(f"can't be made: {error.strerror}", "data_dir") from None
    return data


def _reachable(binaries: Path, folder: Path, user: _User | None) -> Path:
    """The binaries, or a copy of them in our own folder where the server's user can't run them."""
    if user is None or user.can(str(binaries / "postgres"), "--version"):
        return binaries
    for name in ("bin", "lib", "share"):
        shutil.copytree(binaries.parent / name, folder / "install" / name, symlinks=True)
    return folder / "install" / "bin"


def _init(cluster: _Cluster) -> None:
    if (cluster.data / "PG_VERSION").exists():
        return
    with cluster.data_path() as (path, options):
        done = subprocess.run(
            [
                str(cluster.binaries / "initdb"),
                *("-D", path, "-U", SUPERUSER, "-A", "trust", "--encoding=UTF8"),
                *("--no-sync", "--no-instructions", *_locale(cluster)),
            ],
            capture_output=True,
            text=True,
            cwd="/",
            check=False,
            **options,
            **cluster.command(),
        )
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["it said nothing"]
        raise _Failed(f"initdb failed: {lines[-1]}")


def _locale(cluster: _Cluster) -> list[str]:
    """The builtin provider needs no locale of the system; it came with Postgres 17."""
    said = subprocess.run(
        [str(cluster.binaries / "initdb"), "--version"], capture_output=True, text=True, check=False
    ).stdout
    major = re.search(r"\d+", said)
    if major and int(major[0]) >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return ["--no-locale"]


def _start(cluster: _Cluster, settings: dict[str, str]) -> "subprocess.Popen[bytes]":
    settings = {
        **(_THROWAWAY_SETTINGS if cluster.throwaway else {}),
        **settings,
        "listen_addresses": "",
        "unix_socket_directories": str(cluster.folder),
        "port": "5432",
    }
    flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with (
        cluster.data_path() as (path, options),
        open(cluster.folder / "server.log", "ab") as log,
    ):
        # The server gets no end of our pipes: it would keep the asker's reader waiting.
        return subprocess.Popen(
            [str(cluster.binaries / "postgres"), "-D", path, *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            **options,
            **cluster.command(),
        )


def _await_ready(cluster: _Cluster, server: "subprocess.Popen[bytes]", seconds: float) -> None:
    deadline = time.monotonic() + seconds
    log = cluster.folder / "server.log"
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise _Failed(f"the server ended while it started: {_reason(log)}")
        # Line 8 of postmaster.pid is the server's own word that it accepts connections.
        with contextlib.suppress(OSError):
            lines = (cluster.data / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready" and _answers(cluster.folder):
                return
        time.sleep(0.005)
    raise _Failed(f"the server was not ready within {seconds:g} s: {_reason(log)}")


def _answers(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(folder / SOCKET)) == 0


def _reason(log: Path) -> str:
    """The last line of the log that says why, else the last one."""
    lines = log.read_text(errors="replace").strip().splitlines() or ["its log is empty"]
    why = [line for line in lines if "FATAL" in line or "ERROR" in line] or lines
    return why[-1]


def _await_end(parent: int, server: "subprocess.Popen[bytes]") -> None:
    # A forked child of the asker also holds the pipe, so its end alone could come too late.
    while os.getppid() == parent and server.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], _POLL_SECONDS)
        if readable and not os.read(sys.stdin.fileno(), 4096):
            return


def _stop(server: "subprocess.Popen[bytes]", *, throwaway: bool) -> None:
    # A folder that is removed anyway needs no checkpoint: immediate. A kept one gets a fast stop.
    for how in (signal.SIGQUIT if throwaway else signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is not None:
            return
        server.send_signal(how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_SECONDS)


if __name__ == "__main__":
    main()
