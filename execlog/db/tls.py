"""TLS for a certificate that names another host than the address, which the driver lacks.

Parameters and files are those of libpq and asyncpg: the DSN, PGSSL..., ~/.postgresql. It is used
for `hostaddr` and for `sslrootcert=system` only.
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Mapping
from pathlib import Path

from execlog.errors import InvalidArgument

__all__ = ["needs_own_tls", "tls_for"]

_MODES = ("require", "verify-ca", "verify-full")
_SYSTEM = "system"


def needs_own_tls(parameters: Mapping[str, str], name: str | None) -> bool:
    """Whether the driver's own TLS is not enough. Never raises.

    Args:
        parameters: The parameters of the DSN that begin with ssl.
        name: The host name in the certificate; None: the host that is connected to.
    """
    if parameters.get("sslrootcert") == _SYSTEM:
        return True
    # Weaker modes check no certificate.
    return name is not None and _mode(parameters) in _MODES


def tls_for(parameters: Mapping[str, str], name: str | None, argument: str) -> ssl.SSLContext:
    """The value of `asyncpg.connect`'s `ssl`.

    Args:
        parameters: The parameters of the DSN that begin with ssl.
        name: The host name in the certificate, for any address; None: the host that is connected
            to.
        argument: The name of the argument that holds the DSN.

    Raises:
        InvalidArgument: There are no certificates to check with, or a TLS version is unknown.
        OSError: A file can't be read.
    """
    context = _Named(ssl.PROTOCOL_TLS_CLIENT)
    context.name = name
    mode = _mode(parameters)
    context.check_hostname = mode == "verify-full"
    roots = _file("sslrootcert", parameters, "root.crt")
    if parameters.get("sslrootcert") == _SYSTEM:
        context.load_default_certs()
    elif roots:
        context.load_verify_locations(cafile=roots)
    elif mode == "require":
        context.verify_mode = ssl.CERT_NONE
    else:
        raise InvalidArgument(argument, f"sslmode={mode} needs sslrootcert")
    if revoked := _file("sslcrl", parameters, "root.crl"):
        context.load_verify_locations(cafile=revoked)
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    if own := _file("sslcert", parameters, "postgresql.crt"):
        key = _file("sslkey", parameters, "postgresql.key")
        context.load_cert_chain(own, key, password=lambda: parameters.get("sslpassword", ""))
    least, most = "ssl_min_protocol_version", "ssl_max_protocol_version"
    context.minimum_version = _version(least, parameters, argument) or ssl.TLSVersion.TLSv1_2
    if highest := _version(most, parameters, argument):
        context.maximum_version = highest
    context.set_alpn_protocols(["postgresql"])
    return context


class _Named(ssl.SSLContext):
    """Checks the certificate for a fixed name, instead of the host that is connected to."""

    name: str | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As event loops call it. Raises ssl.SSLError."""
        host = self.name or server_hostname
        return super().wrap_bio(incoming, outgoing, server_side, host, session)


def _mode(parameters: Mapping[str, str]) -> str:
    if parameters.get("sslrootcert") == _SYSTEM:
        return "verify-full"
    mode = parameters.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"
    return mode.replace("_", "-")


def _file(name: str, parameters: Mapping[str, str], in_home: str) -> str | None:
    """The file that is given, else the usual one, if it exists."""
    said = parameters.get(name) or os.environ.get(f"PG{name.upper()}")
    if said:
        return said
    with contextlib.suppress(RuntimeError, KeyError, OSError):
        path = Path.home() / ".postgresql" / in_home
        if path.exists():
            return str(path)
    return None


def _version(name: str, parameters: Mapping[str, str], argument: str) -> ssl.TLSVersion | None:
    said = parameters.get(name) or os.environ.get(f"PG{name.upper().replace('_', '')}")
    if not said:
        return None
    try:
        return ssl.TLSVersion[said.replace(".", "_")]
    except KeyError:
        raise InvalidArgument(argument, f"{name}: is no version of TLS") from None
