"""Connects to a DSN: the one place that decides which of its hosts is used.

Writers connect to a host that takes writes, readers to the first host that answers, unless
target_session_attrs says otherwise. The driver can go through a list of hosts too, but with one
time limit for all: a host that accepts connections and never answers would use it up.
"""

from __future__ import annotations

import logging
import os
import random
from typing import TYPE_CHECKING, Any

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from execlog.db.dsn import Dsn, Host, parsed
from execlog.db.tls import needs_own_tls, tls_for
from execlog.errors import dsn_errors, malformed_dsn

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

__all__ = ["Connector"]

_SHARED_SECONDS = 10.0
_UNREACHED = (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError)
_log = logging.getLogger("execlog.dsn")
_told: set[str] = set()


class Connector:
    """Connects to a server of a DSN; also for `asyncpg.create_pool(connect=...)`.

    Args:
        dsn: The DSN.
        argument: The name of the argument, for errors.
        writes: Whether the connection will write: then of several hosts the one that takes writes;
            if none does, any of them, whose own error says so (25006).
        seconds: How long connecting may take, unless the DSN has connect_timeout. Several hosts
            have equal shares of it, and of 10 s at most.

    Raises:
        InvalidArgument: `dsn` can't be used; see `parsed`.
    """

    def __init__(self, dsn: str, argument: str, *, writes: bool, seconds: float = 60.0) -> None:
        """Parses the DSN; nothing is sent. Raises: see the class."""
        self._argument = argument
        self._dsn = parsed(dsn, argument)
        self._writes = writes
        hosts = len(self._dsn.hosts)
        share = min(seconds, _SHARED_SECONDS) / hosts if hosts > 1 else seconds
        self._seconds = self._dsn.seconds or share
        self._next = 0

    async def __call__(self, dsn: str | None = None, **options: Any) -> Connection:
        """A new connection.

        Args:
            dsn: Ignored: a pool passes it, and the DSN of the class is used.
            options: As for `asyncpg.connect`.

        Raises:
            InvalidArgument: The driver can't use the DSN.
            OSError, PostgresError, InterfaceError: As the driver raises them.
        """
        _tell(self._dsn)
        if self._dsn.service_file is not None:
            options["servicefile"] = self._dsn.service_file
        try:
            with dsn_errors(self._argument):
                return await self._first_that_fits(options)
        except OverflowError:  # a port number above 65535
            raise malformed_dsn(self._argument) from None

    async def _first_that_fits(self, options: dict[str, Any]) -> Connection:
        hosts, problems = self._in_order(), list[Exception]()
        for wanted in self._attributes():
            unfit: list[Host | None] = []
            for host in hosts:
                try:
                    found = await self._connected(host, wanted, options)
                except asyncpg.exceptions.TargetServerAttributeNotMatched as error:
                    unfit.append(host)
                    problems.append(error)
                except _UNREACHED as error:
                    problems.insert(0, error)
                else:
                    self._next = 0
                    return found
            # The second pass tries those that answered and lacked the preferred attribute.
            self._next, hosts = 0, unfit
        raise problems[0]

    async def _connected(
        self, host: Host | None, wanted: SessionAttribute | None, options: dict[str, Any]
    ) -> Connection:
        where: dict[str, Any] = {}
        tls = self._dsn.tls
        name = None
        if host is not None:
            # If this try is cancelled here, the next call starts with the next host.
            self._next += 1
            where = {"host": host.address or host.name, "port": host.port}
            if host.address not in (None, host.name) and not host.name.startswith("/"):
                name = host.name
        if needs_own_tls(tls, name):
            where["ssl"] = tls_for(tls, name, self._argument)
        return await asyncpg.connect(
            self._dsn.text,
            timeout=self._seconds,
            target_session_attrs=wanted,
            **where,
            **options,
        )

    def _attributes(self) -> list[SessionAttribute | None]:
        """The attributes that the server must have, the best first; None: the driver decides."""
        said = self._dsn.attribute or os.environ.get("PGTARGETSESSIONATTRS")
        if said is None:
            several = self._writes and self._dsn.several
            return [SessionAttribute.read_write, None] if several else [None]
        wanted = SessionAttribute(said)
        if wanted is SessionAttribute.prefer_standby and self._dsn.hosts:
            return [SessionAttribute.standby, SessionAttribute.any]
        return [wanted]

    def _in_order(self) -> list[Host | None]:
        hosts = self._dsn.hosts
        if not hosts:
            return [None]
        if self._dsn.shuffled:
            return [*random.sample(hosts, len(hosts))]
        first = self._next % len(hosts)
        return [*hosts[first:], *hosts[:first]]


def _tell(dsn: Dsn) -> None:
    for name in dsn.not_given:
        if name not in _told:
            _told.add(name)
            _log.warning(
                "%s in the DSN is left out: it asks for protection that the driver lacks", name
            )
