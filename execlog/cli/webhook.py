"""Sends what a check has to tell to a webhook: one POST of JSON."""

from __future__ import annotations

import asyncio
import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import typer
from pydantic_core import to_json

from execlog import __version__
from execlog.errors import ExeclogError

__all__ = ["VARIABLE", "WebhookFailed", "WebhookRefused", "post", "webhook_url"]

VARIABLE = "EXECLOG_WEBHOOK"
"""The variable that holds the URL. It is a secret: to know it is to be able to post there."""

_SECONDS = 10.0  # for each answer of the network
_ALL_SECONDS = 20.0
_DONE = range(200, 300)


class WebhookFailed(ExeclogError):
    """A message was not taken, or it is not known whether it was."""


class WebhookRefused(WebhookFailed):
    """A message was not taken: it could not be sent, or the answer says so."""


def webhook_url() -> str:
    """The URL of the environment. Raises typer.BadParameter: it is missing, or no URL of HTTP."""
    url = os.environ.get(VARIABLE, "")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna")  # as it is looked up
        is_url = parts.scheme in ("http", "https") and bool(host) and parts.port != 0
        is_url = is_url and "@" not in parts.netloc  # it would be looked up as a part of the name
    except ValueError:
        is_url = False
    if not is_url or not url.isascii() or not url.isprintable() or " " in url:
        raise typer.BadParameter(
            f"needs a URL in {VARIABLE}, such as https://hooks.example.com/..., without a user",
            param_hint="--webhook",
        )
    return url


async def post(url: str, message: Mapping[str, Any]) -> None:
    """Posts a message, and waits 20 seconds at most until it is taken.

    Args:
        url: The URL.
        message: What JSON can hold.

    Raises:
        WebhookRefused: It was not taken.
        WebhookFailed: It is not known whether it was. The URL is not in the text of either, nor is
            what was answered.
    """
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    loop, body = asyncio.get_running_loop(), to_json(message)

    def finish(error: Exception | None) -> None:
        if done.done():
            return
        if error is None:
            done.set_result(None)
        else:
            # Of the others, which come once it is sent, some say nothing of whether it was taken.
            kind = WebhookRefused if isinstance(error, urllib.error.URLError) else WebhookFailed
            done.set_exception(kind(f"the webhook did not take the alerts: {_why(error)}"))

    def sending() -> None:
        failed = None
        try:
            _send(url, body)
        except Exception as error:
            failed = error
        loop.call_soon_threadsafe(finish, failed)

    # Not of a pool: the process does not wait for a receiver that answers a byte a minute.
    threading.Thread(target=sending, daemon=True).start()
    try:
        await asyncio.wait_for(done, _ALL_SECONDS)
    except TimeoutError:
        raise WebhookFailed(
            f"the webhook did not take the alerts: no answer in {_ALL_SECONDS:g} s"
        ) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Refuses: a POST that is redirected arrives as a GET, or elsewhere."""

    def redirect_request(self, *args: Any, **options: Any) -> None:
        """Follows none. Never raises."""
        return


def _send(url: str, body: bytes) -> None:
    headers = {"Content-Type": "application/json", "User-Agent": f"execlog/{__version__}"}
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - of HTTP
    opener = urllib.request.build_opener(_NoRedirect)
    with opener.open(request, timeout=_SECONDS) as answer:
        if answer.status not in _DONE:
            raise urllib.error.HTTPError("", answer.status, "", answer.headers, None)


def _why(error: Exception) -> str:
    """The reason, without the URL."""
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"HTTP {error.code}"
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"no answer in {_SECONDS:g} s"
    if isinstance(reason, ssl.SSLCertVerificationError):
        return "its certificate is not valid"  # for which name, the error says too
    if isinstance(reason, ssl.SSLError):
        return "it does not answer by TLS"
    if isinstance(reason, http.client.RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    if isinstance(error, http.client.HTTPException):
        return "it is no server of HTTP"
    return type(reason).__name__
