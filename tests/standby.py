"""A primary and a hot standby of it, each a server of one's own on a unix socket."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote

import asyncpg

from execlog.embedded.server import EmbeddedPostgres, _find_binaries
from execlog.errors import StoreUnavailable
from tests.databases import in_database
from tests.recording import until

_FAST = {"fsync": "off", "full_page_writes": "off"}


class Absent(Exception):
    """There can be no standby; the text says why."""


@dataclass(frozen=True)
class Pair:
    """The DSNs of both."""

    primary: str
    standby: str

    def both(self, more: str = "") -> str:
        """One DSN with both hosts, the standby first."""
        first, second = (quote(socket_of(dsn)) for dsn in (self.standby, self.primary))
        return f"{self.standby.partition('?')[0]}?host={first},{second}{more}"

    def at(self, database: str) -> Pair:
        """The same servers, another database."""
        return Pair(in_database(self.primary, database), in_database(self.standby, database))

    async def caught_up(self) -> None:
        """Returns when the standby has all that the primary has."""
        primary, standby = (
            await asyncpg.connect(self.primary),
            await asyncpg.connect(self.standby),
        )
        try:
            reached = await primary.fetchval("select pg_current_wal_insert_lsn()::text")
            replayed = f"select pg_last_wal_replay_lsn() >= '{reached}'::pg_lsn"
            await until(lambda: standby.fetchval(replayed), 30)
        finally:
            await primary.close()
            await standby.close()


@contextmanager
def started(settings: Mapping[str, str] | None = None) -> Iterator[Pair]:
    """Starts both; the settings are the standby's. Raises Absent."""
    try:
        backup = _find_binaries() / "pg_basebackup"
    except StoreUnavailable as error:
        raise Absent(str(error)) from error
    if not os.access(backup, os.X_OK):
        raise Absent("these Postgres binaries have no pg_basebackup")
    with ExitStack() as stack:
        # Not below a long TMPDIR, nor where only root may enter.
        folder = Path(tempfile.mkdtemp(prefix="execlog-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        primary = stack.enter_context(EmbeddedPostgres(folder / "primary", settings=_FAST))
        copy = ["-D", str(folder / "standby"), "-R", "-c", "fast", "-N"]
        command = [str(backup), "-d", primary.dsn, *copy]
        subprocess.run(command, check=True, timeout=50, capture_output=True)
        owner = (folder / "primary").stat()
        for path in (folder / "standby", *(folder / "standby").rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid)
        standby = EmbeddedPostgres(folder / "standby", settings={**_FAST, **(settings or {})})
        yield Pair(primary.dsn, stack.enter_context(standby).dsn)


def socket_of(dsn: str) -> str:
    """The folder of a server's socket."""
    return unquote(dsn.partition("host=")[2])
