"""PgBouncer in transaction mode between a test and its server, where it is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_CONFIGURATION = """\
[databases]
* = {server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 500
server_round_robin = 1
logfile = {folder}/log
pidfile = {folder}/pid
"""
_PLACES = "/usr/sbin:/usr/local/sbin:/opt/homebrew/bin"


class Absent(Exception):
    """There is no PgBouncer on this machine."""


class Pooler:
    """A PgBouncer; it can be killed and started again, at the same address."""

    def __init__(self, command: list[str], port: int) -> None:
        self._command = command
        self.port = port
        self.start()

    def dsn(self, server: str) -> str:
        """The same database, through it; the user is the server's for everybody."""
        return f"postgresql://anybody@127.0.0.1:{self.port}{urlsplit(server).path}"

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self._process.poll() is None, "PgBouncer did not start"
            time.sleep(0.02)
        raise AssertionError("PgBouncer does not listen")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@contextmanager
def started(dsn: str) -> Iterator[Pooler]:
    """A PgBouncer before this server, for any of its databases. Raises Absent.

    Transactions are spread over its connections in turn, so that whoever relies on a session, and
    is not alone, notices at once.
    """
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:{_PLACES}")
    if program is None:
        raise Absent("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with tempfile.TemporaryDirectory(prefix="execlog-pooler-", dir="/tmp") as folder:
        Path(folder).chmod(0o777)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        file = Path(folder, "pgbouncer.ini")
        file.write_text(_CONFIGURATION.format(server=_server(dsn), port=port, folder=folder))
        # It refuses to be root.
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        found = Pooler([program, "-q", *user, str(file)], port)
        try:
            yield found
        finally:
            found.kill()


def _server(dsn: str) -> str:
    """Where PgBouncer connects to, in its own words."""
    parts = urlsplit(dsn)
    host = parts.hostname or parse_qs(parts.query)["host"][0]
    words = {"host": host, "port": str(parts.port or 5432), "user": parts.username or "postgres"}
    if parts.password:
        words["password"] = unquote(parts.password)
    return " ".join(f"{name}={value}" for name, value in words.items())
