"""Makes, runs and removes one Postgres server, for as long as the process that started it lives.

`execlog.embedded` starts it as a process of its own, with the standard library alone. It reads one
line of JSON, the order, and answers with one: `{"pid", "folder"}` or `{"error", "argument"}`. Then
it waits for the end of its standard input, for a new parent (the caller is gone, even by `kill -9`)
or for the server's own end. Then it stops the server and removes its folder. It makes that folder
itself, so at each moment there is a process that will remove it.

It runs in a session of its own: a Ctrl-C in the terminal ends the caller, not the server, which may
still have to cancel a query.
"""

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from execlog.embedded import _installation
from execlog.embedded._installation import Failed, User

SUPERUSER = "postgres"
SOCKET = ".s.PGSQL.5432"
# The interpreter may need these to start; the server's user does not get them.
LOADER = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

_POLL_SECONDS = 0.2
_STOP_SECONDS = 10.0
_LONGEST_SOCKET_PATH = 100  # the kernel's limit is 108 bytes on Linux, 104 on macOS
# A cluster that is thrown away may lose everything in a crash, so it need not wait for the disk.
_THROWAWAY_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class _Cluster:
    """The server's paths, and the user that runs it."""

    folder: Path
    binaries: Path
    major: int
    data: Path
    descriptor: int  # of the data folder, open
    user: User
    throwaway: bool

    @contextlib.contextmanager
    def data_path(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The data folder's path for a child, and the keyword arguments that make it valid there.

        Root may keep a cluster below a folder that the server's user can't enter. An open
        descriptor reaches it all the same, and no folder's mode has to be changed.
        """
        if self.user.can_enter(self.data):
            yield str(self.data), {}
        else:
            yield f"/proc/self/fd/{self.descriptor}", {"pass_fds": [self.descriptor]}


def main() -> None:
    """Serves one caller, then cleans up in any case."""
    parent = os.getppid()
    os.umask(0o022)  # files that are copied for another user must be readable by that user
    for name in LOADER:
        os.environ.pop(name, None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with contextlib.suppress(BrokenPipeError), contextlib.ExitStack() as leftovers:
        try:
            order = json.loads(_read_line() or b"null")
            if order is not None:
                server, folder = _serve(order, leftovers)
                _answer({"pid": server.pid, "folder": str(folder)})
                _await_end(parent, server)
        except (Failed, OSError, ValueError) as failure:
            _answer({"error": str(failure), "argument": getattr(failure, "argument", None)})


def _answer(answer: dict[str, Any]) -> None:
    # Not print: what it buffers for a caller that is gone would fail once more at exit.
    os.write(sys.stdout.fileno(), json.dumps(answer).encode() + b"\n")


def _serve(
    order: dict[str, Any], leftovers: contextlib.ExitStack
) -> tuple["subprocess.Popen[bytes]", Path]:
    cluster = _prepare(order, leftovers)
    server = _start(cluster, order["settings"])
    leftovers.callback(_stop, server, throwaway=cluster.throwaway)
    _await_ready(cluster, server, order["startup_timeout"])
    return server, cluster.folder


def _prepare(order: dict[str, Any], leftovers: contextlib.ExitStack) -> _Cluster:
    kept = None if order["data_dir"] is None else Path(order["data_dir"])
    descriptor = None if kept is None else _open_data(kept, leftovers)
    user = User.of(descriptor)
    binaries = _installation.real(Path(order["binaries"]))
    try:
        found = _installation.usable(binaries, user)
        folder = _make_folder(order["temporary"], user, programs=found is None)
        leftovers.callback(shutil.rmtree, folder, ignore_errors=True)
        # The folder stays ours until it is complete: root never writes into another user's folder.
        data = kept or folder / "data"
        if descriptor is None:
            descriptor = _open_data(data, leftovers)
        user.give(descriptor)
        if found is None:
            binaries = _installation.copy(binaries, folder / "install", user)
        user.give(folder)
        major = found[1] if found else _installation.version(binaries, user)
    except Failed as failure:
        raise user.explained(failure) from None
    cluster = _Cluster(folder, binaries, major, data, descriptor, user, kept is None)
    _init(cluster)
    return cluster


def _read_line() -> bytes:
    # Unbuffered, so that select sees what comes after it.
    line = b""
    while not line.endswith(b"\n") and (more := os.read(sys.stdin.fileno(), 65536)):
        line += more
    return line


def _open_data(data: Path, leftovers: contextlib.ExitStack) -> int:
    """Makes the data folder, or checks that it is one. Touches no folder above it.

    Root then changes it through this descriptor only, so it can't be exchanged for a link between
    the check and the change of its owner.
    """
    try:
        with contextlib.suppress(FileExistsError):
            data.mkdir(mode=0o700)
        if data.is_symlink():
            raise Failed("is a symbolic link", "data_dir")
        descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise Failed("lies in a folder that does not exist", "data_dir") from None
    except NotADirectoryError:
        raise Failed("is not a folder", "data_dir") from None
    except OSError as error:
        raise Failed(f"can't be used: {error.strerror}", "data_dir") from None
    leftovers.callback(os.close, descriptor)
    names = os.listdir(descriptor)
    if names and "PG_VERSION" not in names:
        raise Failed("is neither empty nor a Postgres cluster", "data_dir")
    return descriptor


def _make_folder(temporary: str, user: User, *, programs: bool) -> Path:
    """A new folder that only we can enter, fit for a socket, and for programs if asked."""
    for parent in (temporary, "/tmp"):  # noqa: S108 - mkdtemp makes it ours alone
        fits = len(os.fsencode(f"{parent}/execlog-pg-12345678/{SOCKET}")) <= _LONGEST_SOCKET_PATH
        # unix_socket_directories is a list with commas.
        if fits and "," not in parent and user.can_enter(Path(parent)):
            if not (programs and _installation.forbids_programs(parent)):
                return Path(tempfile.mkdtemp(prefix="execlog-pg-", dir=parent))
    purpose = "a unix socket and a copy of the programs" if programs else "a unix socket"
    raise Failed(f"no temporary folder that can hold {purpose}")


def _init(cluster: _Cluster) -> None:
    if os.listdir(cluster.descriptor):
        return
    # The builtin provider, new in Postgres 17, needs no locale of the system.
    builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    with cluster.data_path() as (path, options):
        done = cluster.user.run(
            str(cluster.binaries / "initdb"),
            *("-D", path, "-U", SUPERUSER, "-A", "trust", "--encoding=UTF8"),
            *("--no-sync", "--no-instructions"),
            *(builtin if cluster.major >= 17 else ["--no-locale"]),
            **options,
        )
    if done.returncode:
        why = _installation.reason(done.stderr or done.stdout)
        failure = Failed(f"initdb failed: {why}")
        raise cluster.user.explained(failure) if "user ID" in why else failure


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
        open(cluster.folder / "server.log", "xb") as log,
    ):
        # The server must not inherit our pipes: the caller's reader would wait for it.
        return subprocess.Popen(
            [str(cluster.binaries / "postgres"), "-D", path, *flags],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            **options,
            **cluster.user.command(),
        )


def _await_ready(cluster: _Cluster, server: "subprocess.Popen[bytes]", seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise Failed(f"the server ended while it started: {_reason(cluster.folder)}")
        # Line 8 of postmaster.pid says that the server accepts connections.
        with contextlib.suppress(OSError):
            lines = (cluster.data / "postmaster.pid").read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready" and _answers(cluster.folder):
                return
        time.sleep(0.005)
    raise Failed(f"the server was not ready within {seconds:g} s: {_reason(cluster.folder)}")


def _answers(folder: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(folder / SOCKET)) == 0


def _reason(folder: Path) -> str:
    return _installation.reason((folder / "server.log").read_text(errors="replace"))


def _await_end(parent: int, server: "subprocess.Popen[bytes]") -> None:
    # A forked child of the caller also holds the pipe, so its end alone could come too late.
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
