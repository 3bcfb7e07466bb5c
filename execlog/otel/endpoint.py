"""Where to send, and how: what was given, and the variables that all OTLP exporters read."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from execlog.errors import InvalidArgument

__all__ = ["ENDPOINT", "Endpoint", "Signal", "endpoint", "resource_attributes"]

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
"""The variable that names the receiver, if nothing else does."""

Signal = Literal["logs", "metrics"]

_PREFIX = "OTEL_EXPORTER_OTLP_"
_NO_URL = "must be a URL such as http://127.0.0.1:4318"
_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_PRINTABLE = r"([!-~]([ -~]*[!-~])?)?"
_OF_THE_BODY = frozenset({"content-length", "transfer-encoding"})


@dataclass(frozen=True)
class Endpoint:
    """The address for one signal. URL and headers may hold secrets: they are in no message.

    Attributes:
        url: The whole URL.
        headers: Headers of each request.
        tls: What is trusted, and who we are; None: what the system trusts.
        is_compressed: Whether bodies are sent with gzip.
    """

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    is_compressed: bool = True

    @property
    def name(self) -> str:
        """The URL without user, password and query. Never raises."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    def __repr__(self) -> str:
        """Without what may be secret. Never raises."""
        return f"Endpoint({self.name!r})"


def endpoint(signal: Signal, base: str | None = None) -> Endpoint:
    """The address for a signal, by what was given or by the environment.

    The environment's `OTEL_EXPORTER_OTLP_ENDPOINT`, `_HEADERS`, `_CERTIFICATE`,
    `_CLIENT_CERTIFICATE`, `_CLIENT_KEY` and `_COMPRESSION` are read, and the same with `LOGS_` or
    `METRICS_` before the last word, which come first; a signal's own endpoint is a whole URL.

    Args:
        signal: The signal.
        base: The receiver's URL, to which `/v1/logs` or `/v1/metrics` is added.

    Raises:
        InvalidArgument: There is no URL, or it is none of HTTP; or a variable can't be read.
    """
    own = os.environ.get(f"{_PREFIX}{signal.upper()}_ENDPOINT")
    if base is None and own:
        url = _checked(f"{_PREFIX}{signal.upper()}_ENDPOINT", own)
    else:
        named = os.environ.get(ENDPOINT, "")
        where, given = (ENDPOINT, named) if base is None else ("endpoint", base)
        parts = urlsplit(_checked(where, given))
        url = parts._replace(path=f"{parts.path.rstrip('/')}/v1/{signal}").geturl()
    compression = _variable(signal, "COMPRESSION") or "gzip"
    if compression not in ("gzip", "none"):
        raise InvalidArgument(f"{_PREFIX}COMPRESSION", "must be gzip or none")
    return Endpoint(url, _headers(signal), _tls(signal), is_compressed=compression == "gzip")


def resource_attributes(
    service_name: str | None = None,
) -> dict[str, str | bool | int | float]:
    """What is sent of the sender itself: its name, and what `OTEL_RESOURCE_ATTRIBUTES` adds.

    Args:
        service_name: The value of `service.name`; None: that of the variable, else `execlog`.

    Raises:
        InvalidArgument: The variable is no list of `key=value`, or a text is not of UTF-8.
    """
    name = "OTEL_RESOURCE_ATTRIBUTES"
    found = {"service.name": "execlog", **_pairs(name, os.environ.get(name, ""))}
    if service_name is not None:
        found["service.name"] = _encodable("service_name", service_name)
    return {**found}


def _checked(where: str, url: str) -> str:
    """The URL. Raises InvalidArgument, which does not hold it: it may hold a password."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # as it is looked up
        is_url = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidArgument(where, f"{_NO_URL}{'' if url else ', and is missing'}")
    return url


def _variable(signal: Signal, name: str) -> str:
    own = os.environ.get(f"{_PREFIX}{signal.upper()}_{name}")
    return own or os.environ.get(_PREFIX + name, "")


def _pairs(variable: str, text: str) -> dict[str, str]:
    """The pairs of `key=value,key=value`, whose values are quoted as in a URL."""
    found = {}
    for pair in filter(None, (part.strip() for part in _encodable(variable, text).split(","))):
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise InvalidArgument(variable, "must be a list such as key=value,other=value")
        found[unquote(key.strip())] = unquote(value.strip())
    return found


def _encodable(where: str, text: str) -> str:
    """The text. Raises InvalidArgument: bytes came in that are not of UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(where, "is not of UTF-8") from None
    return text


def _headers(signal: Signal) -> dict[str, str]:
    """The headers of the environment, their names in lower case."""
    variable = f"{_PREFIX}HEADERS"
    found = _pairs(variable, _variable(signal, "HEADERS"))
    for key, value in found.items():
        if not re.fullmatch(_NAME, key) or not re.fullmatch(_PRINTABLE, value):
            raise InvalidArgument(variable, "holds what can't be a header")
        if key.lower() in _OF_THE_BODY:
            raise InvalidArgument(variable, "holds a header that only the body can decide")
    return {key.lower(): value for key, value in found.items()}


def _tls(signal: Signal) -> ssl.SSLContext | None:
    """What the files of the environment say; None: there are none."""
    trusted, ours = _variable(signal, "CERTIFICATE"), _variable(signal, "CLIENT_CERTIFICATE")
    if not trusted and not ours:
        return None
    which = "CERTIFICATE"
    try:
        context = ssl.create_default_context(cafile=trusted or None)
        which = "CLIENT_CERTIFICATE"
        if ours:  # an empty password, or a terminal is asked for that of the key
            context.load_cert_chain(ours, _variable(signal, "CLIENT_KEY") or None, password="")
    except (OSError, ValueError) as error:
        raise InvalidArgument(f"{_PREFIX}{which}", f"can't be read: {_why(error)}") from None
    return context


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):  # whose text names lines of a library
        return "no certificate, or none of this key, or the key has a password"
    return getattr(error, "strerror", None) or "no certificate"
