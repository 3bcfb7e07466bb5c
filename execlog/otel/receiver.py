"""An OTLP receiver, by HTTP and protobuf: one request, and what its answer means."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import ssl
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Protocol

import httpx2
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)

from execlog import __version__
from execlog.errors import ExeclogError
from execlog.otel.endpoint import Endpoint, Signal

if TYPE_CHECKING:
    from typing import Self

__all__ = ["TOO_LARGE", "Receiver", "ReceiverAway", "ReceiverRefused", "Request"]

TOO_LARGE = 413
"""The status of a request that would be taken if it were smaller."""

_SECONDS = 10.0
_RETRYABLE = frozenset({429, 502, 503, 504})  # these alone, says the protocol
_PROTOBUF = "application/x-protobuf"
_LONGEST_WAIT = 600.0
_KEPT_OF_ANSWER = 1 << 20
_NO_RECEIVER = "answers, but not as an OTLP receiver does"


class Request(Protocol):
    """A message of protobuf."""

    def SerializeToString(self) -> bytes:
        """The message's bytes. Never raises."""


class ReceiverAway(ExeclogError):
    """The receiver is away or busy: the same request may be taken later.

    Attributes:
        retry_after: Seconds that the receiver wants to be left alone; 0: it did not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        """Takes the text for a person. Never raises."""
        super().__init__(message)
        self.args = (message, retry_after)
        self.retry_after = retry_after


class ReceiverRefused(ExeclogError):
    """The receiver will never take this request.

    Attributes:
        status: The answer's status; None: there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        """Takes the text for a person. Never raises."""
        super().__init__(message)
        self.args = (message, status)
        self.status = status


class Receiver:
    """A receiver's addresses, with a connection to each; an async context manager.

    Proxies are those of the environment. Redirections are not followed.

    Args:
        endpoints: The address of each signal that is sent.
        seconds: How long a request may take.
    """

    def __init__(self, endpoints: Mapping[Signal, Endpoint], *, seconds: float = _SECONDS) -> None:
        """Takes the addresses; nothing is sent. Never raises."""
        self._endpoints = endpoints
        self._seconds = seconds
        self._clients: dict[Signal, httpx2.AsyncClient] = {}
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Makes the clients.

        Raises:
            ReceiverRefused: A proxy of the environment, or what the system trusts, can't be used.
        """
        for signal, its in self._endpoints.items():
            try:
                client = httpx2.AsyncClient(
                    verify=True if its.tls is None else its.tls, timeout=self._seconds
                )
            except (ImportError, OSError, ValueError, httpx2.InvalidURL):
                raise ReceiverRefused(
                    f"{its.name} can't be asked: the environment's proxies or certificates are"
                    " not valid"
                ) from None
            self._clients[signal] = await self._open.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes them. Never raises."""
        await self._open.aclose()

    async def post(self, signal: Signal, request: Request) -> int:
        """Sends a request, and waits until it is acknowledged.

        Args:
            signal: Which signal it is of.
            request: The request.

        Returns:
            How many records or points the receiver has left out, for ever, as it says.

        Raises:
            ReceiverAway: It is away or busy, or did not answer in time: it may have been taken.
            ReceiverRefused: It will never be taken. No text holds headers, user or password, nor
                what was answered.
        """
        its = self._endpoints[signal]
        headers = {
            **its.headers,
            "content-type": _PROTOBUF,
            "user-agent": f"execlog/{__version__}",
        }
        body = request.SerializeToString()
        if its.is_compressed:
            headers["content-encoding"] = "gzip"
            body = await asyncio.to_thread(gzip.compress, body, 6)
        try:
            async with asyncio.timeout(self._seconds):
                answer, text = await self._exchanged(signal, its.url, body, headers)
        except TimeoutError:
            raise ReceiverAway(f"{its.name} did not answer in {self._seconds:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise _failed(its.name, error) from None
        return _understood(its.name, signal, answer, text)

    async def _exchanged(
        self, signal: Signal, url: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[httpx2.Response, bytes]:
        async with self._clients[signal].stream(
            "POST", url, content=body, headers=headers
        ) as answer:
            kept = bytearray()
            if not answer.is_success:  # its status says all, whatever its body is
                return answer, b""
            async for part in answer.aiter_bytes():
                kept += part
                if len(kept) > _KEPT_OF_ANSWER:
                    break
            return answer, bytes(kept)


def _failed(name: str, error: Exception) -> ExeclogError:
    """Why there is no answer. The text of the error itself may hold the URL."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return ReceiverRefused(f"the certificate of {name} is not valid")
        if isinstance(cause, ssl.SSLError):
            return ReceiverAway(f"{name} does not answer by TLS")
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx2.TimeoutException):
        return ReceiverAway(f"{name} does not answer")
    if isinstance(error, httpx2.ConnectError):
        return ReceiverAway(f"{name} can't be reached")
    if isinstance(error, httpx2.NetworkError | httpx2.RemoteProtocolError):
        return ReceiverAway(f"{name} hung up without an answer")
    if isinstance(error, httpx2.DecodingError):
        return ReceiverRefused(f"{name} {_NO_RECEIVER}")
    if isinstance(error, httpx2.ProxyError):
        return ReceiverAway(f"the proxy before {name} does not let it through")
    return ReceiverRefused(f"{name} can't be asked: {type(error).__name__}")


def _understood(name: str, signal: Signal, answer: httpx2.Response, body: bytes) -> int:
    """What was left out, of an answer that acknowledges; another one raises."""
    status = answer.status_code
    if status in _RETRYABLE:
        wait = _retry_after(answer.headers.get("Retry-After", ""))
        raise ReceiverAway(f"{name} answers HTTP {status}", wait)
    if not 200 <= status < 300:
        raise ReceiverRefused(f"{name} answers HTTP {status}", status)
    kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    try:
        if kind == _PROTOBUF:
            return max(_PARTIAL[signal](body), 0)
        if kind == "application/json":
            return max(_partial_of_json(body), 0)
    except (DecodeError, ValueError, TypeError, OverflowError, RecursionError):
        is_page = True
    else:  # one for people, with which some proxies answer everything
        is_page = kind == "text/html" or body.lstrip().startswith(b"<")
    if is_page:
        raise ReceiverRefused(f"{name} {_NO_RECEIVER}", status)
    return 0


def _partial_of_logs(body: bytes) -> int:
    answer = ExportLogsServiceResponse.FromString(body)
    return answer.partial_success.rejected_log_records


def _partial_of_metrics(body: bytes) -> int:
    answer = ExportMetricsServiceResponse.FromString(body)
    return answer.partial_success.rejected_data_points


_PARTIAL: Mapping[Signal, Callable[[bytes], int]] = {
    "logs": _partial_of_logs,
    "metrics": _partial_of_metrics,
}


def _partial_of_json(body: bytes) -> int:
    """The same of JSON, which some answer whatever they are asked."""
    found = json.loads(body or b"{}")
    partial = found.get("partialSuccess") if isinstance(found, dict) else None
    if not isinstance(partial, dict):
        return 0
    return int(partial.get("rejectedLogRecords") or partial.get("rejectedDataPoints") or 0)


def _retry_after(text: str) -> float:
    """Seconds until the time that a header names; 0: it names none."""
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError, OSError):
            return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if math.isfinite(seconds) else 0.0
