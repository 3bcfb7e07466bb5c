"""An OTLP receiver on loopback, which keeps what it takes and can be told to refuse, hang or go."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.metrics.v1.metrics_pb2 import Histogram, HistogramDataPoint

__all__ = ["OtlpReceiver", "otlp_receiver", "values"]

Answer = int | str | bytes | tuple[int, Mapping[str, str]]


class OtlpReceiver:
    """What came, and how the next requests are answered.

    Attributes:
        url: Its URL.
        logs: The requests for log records that it has acknowledged.
        metrics: Those for metrics.
        bodies: All bodies that came, unpacked.
        headers: The headers of each request.
        answers: How the next requests are answered (bytes: as they are); when there is none left,
            with 200.
        largest: The most records of a request; more are answered with 413.
        rejects: How many records or points of each request it leaves out.
    """

    def __init__(self) -> None:
        self.logs: list[ExportLogsServiceRequest] = []
        self.metrics: list[ExportMetricsServiceRequest] = []
        self.bodies: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.answers: list[Answer] = []
        self.largest = 10**6
        self.rejects = 0
        self.lock = threading.Lock()
        self.leaves = threading.Event()
        self.server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def records(self) -> list[LogRecord]:
        return [
            record
            for request in self.logs
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    @property
    def ids(self) -> list[str]:
        return [str(values(record.attributes)["execlog.id"]) for record in self.records]

    @property
    def histograms(self) -> list[Histogram]:
        return [
            metric.histogram
            for request in self.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]

    @property
    def points(self) -> list[HistogramDataPoint]:
        return [point for one in self.histograms for point in one.data_points]

    def start(self) -> None:
        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self.server.daemon_threads = True
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
        self.server = None


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    made = OtlpReceiver()
    try:
        yield made
    finally:
        made.leaves.set()
        made.stop()


def values(attributes: Any) -> dict[str, object]:
    """Attributes as a dict."""
    found: dict[str, object] = {}
    one: KeyValue
    for one in attributes:
        assert one.key not in found
        kind = one.value.WhichOneof("value")
        found[one.key] = getattr(one.value, kind or "string_value")
    return found


def _handler(made: OtlpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            with made.lock:
                made.bodies.append(body)
                made.headers.append(dict(self.headers))
                answer = made.answers.pop(0) if made.answers else 200
            if answer == "hang":
                made.leaves.wait(40)
            if answer in ("take and hang up", 200):
                self.take(body, is_answered=answer == 200)
            elif isinstance(answer, tuple):
                self.answer(answer[0], b"", answer[1])
            elif isinstance(answer, int):
                self.answer(answer, b"", {})
            elif isinstance(answer, bytes):  # as it is
                self.wfile.write(answer)
            elif answer == "page":
                self.answer(200, b"<p>Sign in", {"Content-Type": "text/html"})
            self.close_connection = not isinstance(answer, int)

        def take(self, body: bytes, *, is_answered: bool) -> None:
            logs, metrics = ExportLogsServiceResponse(), ExportMetricsServiceResponse()
            if self.path == "/v1/logs":
                request = ExportLogsServiceRequest.FromString(body)
                count = len(request.resource_logs[0].scope_logs[0].log_records)
                if count > made.largest:
                    self.answer(413, b"", {})
                    return
                made.logs.append(request)
                logs.partial_success.rejected_log_records = made.rejects
                said = logs.SerializeToString()
            elif self.path == "/v1/metrics":
                made.metrics.append(ExportMetricsServiceRequest.FromString(body))
                metrics.partial_success.rejected_data_points = made.rejects
                said = metrics.SerializeToString()
            else:
                self.answer(404, b"", {})
                return
            if is_answered:
                self.answer(200, said, {"Content-Type": "application/x-protobuf"})

        def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    return Handler
