"""Parses a DSN, and decides which of its parameters the driver is given.

asyncpg sends each parameter that it does not know as a setting, and the server refuses the
connection. So the parameters are sorted here: some go to the driver, some are done in its place,
some are left out, and an unknown one is refused. The rest of the DSN stays as it is, letter for
letter. Nothing is opened or sent here.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote, unquote, unquote_plus

from execlog.db.dsn_words import FOREIGN, LEFT_OUT, NATIVE, SETTINGS, TRANSLATED
from execlog.errors import InvalidArgument, malformed_dsn

__all__ = ["Dsn", "Host", "parsed"]

_SHAPE = re.compile(
    r"(?P<scheme>[a-z+]+):(?://(?P<authority>[^/?#]*))?(?P<path>[^?#]*)"
    r"(?:\?(?P<query>[^#]*))?(?:#.*)?",
    re.IGNORECASE | re.DOTALL,
)
_SCHEMES = {"postgresql", "postgres", "postgresql+asyncpg", "postgres+asyncpg"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,62}")
_BRACKETED = re.compile(r"\[([^\]]+)\](?::([0-9]+))?")
# Characters that the standard library removes from a URL too.
_UNSEEN = dict.fromkeys(map(ord, "\t\r\n"))
_BLANK = "".join(map(chr, range(33)))
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_NOT = ("false", "off", "no", "0")
_HIGHEST_PORT = 65535


@dataclass(frozen=True)
class Host:
    """One host to connect to.

    Attributes:
        name: A name, an address, or the folder of a socket.
        port: Its port; None: the driver's default.
        address: Its IP address, if `hostaddr` gives it and no lookup is needed.
    """

    name: str
    port: int | None
    address: str | None = None


@dataclass(frozen=True, repr=False)
class Dsn:
    """A parsed DSN.

    Attributes:
        text: The DSN for the driver.
        hosts: Where to connect to, in order; empty: the driver decides, and there is one (several,
            if a service names them).
        several: Whether there may be more than one host.
        shuffled: Whether the hosts are tried in random order.
        seconds: How long connecting to one host may take; None: not set.
        attribute: target_session_attrs; None: not set.
        service_file: The file that describes services; None: not set.
        tls: The parameters of TLS.
        not_given: The names of parameters that ask for protection that the driver lacks.
    """

    text: str
    hosts: tuple[Host, ...]
    several: bool
    shuffled: bool
    seconds: float | None
    attribute: str | None
    service_file: str | None
    tls: Mapping[str, str]
    not_given: tuple[str, ...]


def parsed(given: str, argument: str, environ: Mapping[str, str] = os.environ) -> Dsn:
    """The parsed DSN.

    Args:
        given: The DSN.
        argument: The name of the argument that holds it.
        environ: Holds PGHOST and PGPORT, which are used if the DSN names no host.

    Raises:
        InvalidArgument: It is no DSN, or has a parameter that is unknown or unsupported. Only the
            parameter's name is quoted.
    """
    found = _SHAPE.fullmatch(given.lstrip(_BLANK).translate(_UNSEEN))
    if found is None or found["scheme"].lower() not in _SCHEMES:
        raise malformed_dsn(argument)
    authority = found["authority"] or ""
    login, at, where = authority.partition("@") if "@" in authority else ("", "", authority)
    query = _Query(argument, joins_hosts=found["scheme"].lower().endswith("+asyncpg"))
    for pair in found["query"].split("&") if found["query"] else ():
        # The tail of a password with a ? in it, which is not encoded, ends up here.
        query.take(pair, may_name=at != "" or "@" not in found["query"])
    said = query.said
    hosts = _hosts(where, said, argument, environ)
    if hosts and where:
        authority = login + at
    slashes = "" if found["authority"] is None else "//"
    text = f"postgresql:{slashes}{authority}{found['path']}"
    return Dsn(
        text="?".join(filter(None, (text, "&".join(query.kept)))),
        hosts=hosts,
        several=len(hosts) > 1 or "service" in said,
        shuffled=_choice("load_balance_hosts", said, ("disable", "random"), argument) == "random",
        seconds=_seconds(said.get("connect_timeout"), argument),
        attribute=said.get("target_session_attrs"),
        service_file=said.get("servicefile"),
        tls=_tls(said, argument),
        not_given=tuple(query.not_given),
    )


@dataclass
class _Query:
    """Sorts the parameters, one after the other."""

    argument: str
    joins_hosts: bool
    kept: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)
    not_given: list[str] = field(default_factory=list)

    def take(self, pair: str, *, may_name: bool) -> None:
        """Sorts one parameter. Raises InvalidArgument: it is unknown or unsupported."""
        name, equals, value = pair.partition("=")
        if not equals:
            raise malformed_dsn(self.argument)
        name, value = unquote_plus(name), unquote_plus(value)
        if name in LEFT_OUT:
            harmless = LEFT_OUT[name]
            if value and harmless is not None and value not in harmless:
                self.not_given.append(name)
        elif name in TRANSLATED:
            if value:  # the driver ignores an empty one too
                self._translate(name, value)
        elif name in NATIVE:
            if value and self.joins_hosts and name in ("host", "port") and name in self.said:
                # SQLAlchemy's form of several hosts.
                value = f"{self.said[name]},{value}"
            self._keep(name, value, pair)
        elif "." in name or name.lower() in SETTINGS:
            self.kept.append(pair)
        elif name not in FOREIGN:
            raise self._unknown(name) if may_name else malformed_dsn(self.argument)

    def _keep(self, name: str, value: str, pair: str) -> None:
        self.kept.append(pair)
        if value:
            self.said[name] = value

    def _translate(self, name: str, value: str) -> None:
        if name == "ssl":
            # libpq reads `ssl=true`, which is JDBC's form; SQLAlchemy's values are modes.
            mode = "require" if value == "true" else value.replace("_", "-")
            _choice("ssl", {"ssl": mode}, _MODES, self.argument)
            self._keep("sslmode", mode, f"sslmode={mode}")
        elif name == "fallback_application_name":
            # First: an application_name that is given comes later, and overrides it.
            self.kept.insert(0, f"application_name={quote(value, safe='')}")
        elif name == "replication":
            if value.lower() not in _NOT:
                problem = "asks for replication: such a connection runs no queries"
                raise InvalidArgument(self.argument, problem)
        else:
            self.said[name] = value

    def _unknown(self, name: str) -> InvalidArgument:
        if not _NAME.fullmatch(name):
            return malformed_dsn(self.argument)
        whose = "is neither libpq's nor a setting that a session of Postgres has"
        return InvalidArgument(self.argument, f"the parameter {name} {whose}")


def _hosts(
    where: str,
    said: Mapping[str, str],
    argument: str,
    environ: Mapping[str, str],
) -> tuple[Host, ...]:
    """The hosts, if there is more than one or one has an address; else the driver decides."""
    ports = None if where else said.get("port")
    named = where or said.get("host") or ("" if "service" in said else environ.get("PGHOST", ""))
    addresses = said["hostaddr"].split(",") if "hostaddr" in said else []
    if "," not in named and not addresses:
        _, colon, port = where.rpartition("]")[2].partition(":")
        if colon and port:  # a slash in a password, which is not encoded, shows here
            _port(unquote(port), argument)
        return ()
    places = _places(named, argument, encoded=where != "")
    places = places or [(address, None) for address in addresses]
    if addresses and len(addresses) != len(places):
        raise InvalidArgument(argument, "hostaddr: must be as many addresses as there are hosts")
    common = _ports(ports or environ.get("PGPORT"), len(places), argument)
    return tuple(
        # A port beside the host's name counts only if there is no parameter `port`.
        Host(name, common[n] if ports or port is None else port, _address(addresses, n, argument))
        for n, (name, port) in enumerate(places)
    )


def _places(hosts: str, argument: str, *, encoded: bool) -> list[tuple[str, int | None]]:
    """Names and ports of a list of hosts."""
    if not hosts:
        return []
    found = []
    for one in hosts.split(","):
        if one.startswith("/"):
            name, port = one, ""
        elif one.startswith("["):
            bracketed = _BRACKETED.fullmatch(one)
            if bracketed is None:
                raise malformed_dsn(argument)
            name, port = bracketed[1], bracketed[2] or ""
        else:
            name, _, port = one.partition(":")
        name, port = (unquote(name), unquote(port)) if encoded else (name, port)
        if not name:
            raise malformed_dsn(argument)
        found.append((name, _port(port, argument) if port else None))
    return found


def _ports(ports: str | None, hosts: int, argument: str) -> list[int | None]:
    """The port of each host; the list may name one port for all."""
    if not ports:
        return [None] * hosts
    found: list[int | None] = [_port(one, argument) for one in ports.split(",")]
    if len(found) == 1:
        return found * hosts
    if len(found) != hosts:
        raise InvalidArgument(argument, "port: must be one, or as many as there are hosts")
    return found


def _port(text: str, argument: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= _HIGHEST_PORT):
        raise malformed_dsn(argument)
    return int(text)


def _address(addresses: Sequence[str], place: int, argument: str) -> str | None:
    if not addresses or not addresses[place]:
        return None
    try:
        ip_address(addresses[place])
    except ValueError:
        raise InvalidArgument(argument, "hostaddr: is no address") from None
    return addresses[place]


def _choice(name: str, said: Mapping[str, str], choices: Sequence[str], argument: str) -> str:
    """The value that is given, else the first choice. Raises InvalidArgument: it is no choice."""
    value = said.get(name, choices[0])
    if value not in choices:
        raise InvalidArgument(argument, f"{name}: must be one of {', '.join(choices)}")
    return value


def _tls(said: Mapping[str, str], argument: str) -> dict[str, str]:
    tls = {name: value for name, value in said.items() if name.startswith("ssl")}
    if tls.get("sslrootcert") == "system" and tls.get("sslmode", _MODES[-1]) != _MODES[-1]:
        raise InvalidArgument(argument, "sslrootcert=system needs sslmode=verify-full")
    return tls


def _seconds(text: str | None, argument: str) -> float | None:
    """Seconds; None: no limit is set, and the caller's applies."""
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise InvalidArgument(argument, "connect_timeout: must be a number of seconds")
    return seconds if seconds > 0 else None
