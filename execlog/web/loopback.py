"""Serves this machine only: the `authorize` of an application that is given none.

A request must come from a loopback address and name a loopback host. (Else a page of another site
that maps its own host name to 127.0.0.1 could read the log through the viewer's browser.) It must
bear no trace of a proxy, which may serve the whole internet, nor of another site's page. A proxy
that leaves no trace looks like this machine: behind a proxy an `authorize` is needed.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from execlog.web.access import Scope

__all__ = ["LoopbackOnly", "is_loopback"]

_log = logging.getLogger("execlog.web")

_REMEDY = (
    "without an `authorize` only this machine is served: give `create_app` an authorize=, or"
    " `execlog serve` a --token (this is said once)"
)
# Headers of proxies, balancers and tunnels: the client's address, its user, the host it named.
_PROXIED = re.compile(
    r"""
      via | cdn-loop
    | (?:[a-z0-9-]*-)?(?:client|socket|user|remote|real|source)?ip(?:v[46])?  # x-client-ip
    | (?:[a-z0-9-]*-)?addr(?:ess)?
    | (?:x-envoy|x-original|x-arr|x-azure|x-ms-client|cf|ssl-client|x-ssl|x-client|x-webauth)-.+
    | (?:x-)?(?:remote|auth-request|tailscale|goog|amzn|cloud|fly|vercel|railway)-.+
    | x-(?:proto|port|varnish|backend-server|request-start)
    | [a-z0-9-]+-host(?:-override)? | x-rewrite-url
    | x-(?:url-)?scheme | front-end-https | client-cert(?:-chain)?
    """,
    re.VERBOSE,
)
# x-forwarded-*, proxy-*. (Searched apart: a pattern that begins anywhere is slow on long names.)
_ANYWHERE = re.compile("forward|prox(?:y|ied)")
_HOST = re.compile(r"(?P<name>[a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d+)?")


class LoopbackOnly:
    """An `Authorize`: everything, inputs too, to this machine, nothing to others."""

    def __init__(self) -> None:
        """Starts without refusals. Never raises."""
        self._has_told = False

    def __call__(self, request: Request) -> Scope:
        """The scope of everything.

        Raises:
            HTTPException: 403, the request is not from this machine; the first is also logged.
        """
        reason = _reason_against(request)
        if reason is None:
            return Scope(inputs=True)
        if not self._has_told:
            self._has_told = True
            _log.warning("refused a request that %s; %s", reason, _REMEDY)
        raise HTTPException(403, f"Only this machine is served, and this request {reason}.")


def is_loopback(host: str) -> bool:
    """Whether this is an address or a name of this machine only. Never raises."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _reason_against(request: Request) -> str | None:
    """Why a request is not from this machine; None if there is no sign of that."""
    headers = request.headers
    if request.client is not None and not _is_local_peer(request.client.host):
        return "comes from another machine"
    if request.scope.get("http_version", "1.0") in ("0.9", "1.0"):
        return "is HTTP/1.0, as nginx sends it by default when it is a proxy"
    for name in headers:
        plain = name.lower().replace("_", "-")
        if _ANYWHERE.search(plain) or _PROXIED.fullmatch(plain):
            return f"has the header {name[:60]}, as a proxy sends it"
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _is_local_name(hosts[0]):
        return "names another host than localhost or a loopback address"
    if any("cross-site" in site.lower() for site in headers.getlist("sec-fetch-site")):
        return "was made by a page of another site (open the address itself)"
    for name in ("origin", "referer"):
        if any(not _is_local_url(url) for url in headers.getlist(name)):
            return f"has the {name} of another host"
    return None


def _is_local_peer(host: str) -> bool:
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return True  # no address: a socket of this machine, or no network at all
    return is_loopback(host.partition("%")[0])


def _is_local_name(host: str) -> bool:
    found = _HOST.fullmatch(host.lower())
    return found is not None and is_loopback(found["name"])


def _is_local_url(url: str) -> bool:
    try:
        return is_loopback(urlsplit(url).hostname or "")
    except ValueError:
        return False
