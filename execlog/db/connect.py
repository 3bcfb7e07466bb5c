"""From a DSN to a connection: the one place where it is decided which host is connected to.

What writes takes the host that can be written to, what reads the first one that answers, unless
target_session_attrs says it. The driver goes through a list of hosts too, but all of them share
one limit of time there: a host that takes connections and answers nothing would use it up.
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
        argument: The name of the argument that it is.
        writes: Whether it is to be written there: of several hosts the one that can be, and if none
            can, any of them, which says so itself (25006).
        seconds: How long connecting may take, unless the DSN has its connect_timeout. Several hosts
            share this, and 10 s at most, evenly.

    Raises:
        InvalidArgument: `dsn` is none; see `parsed`.
    """

    def __init__(self, dsn: str, argument: str, *, writes: bool, seconds: float = 60.0) -> None:
        """Looks the DSN through; nothing is sent. Raises: see the class."""
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
            dsn: What a pool hands over, which has none: that of the class counts.
            options: As for `asyncpg.connect`.

        Raises:
            InvalidArgument: The DSN can't be used after all.
            OSError, PostgresError, InterfaceError: As the driver raises them.
        """
        _tell(self._dsn)
        if self._dsn.service_file is not None:
            options["servicefile"] = self._dsn.service_file
        try:
            with dsn_errors(self._argument):
                return await self._first_that_fits(options)
        except OverflowError:  # a port above all ports
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
            # Of those that answered, one may do all the same.
            self._next, hosts = 0, unfit
        raise problems[0]

    async def _connected(
        self, host: Host | None, wanted: SessionAttribute | None, options: dict[str, Any]
    ) -> Connection:
        where: dict[str, Any] = {}
        tls = self._dsn.tls
        name = None
        if host is not None:
            # If this try is broken off here, the next one begins with the host after this one.
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
        """What the server must be, the best first; None: whatever the driver finds said."""
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
                "%s in the DSN is left out: it asks for more safety than the driver has", name
            )
