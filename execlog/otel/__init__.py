"""Sends executions to an OTLP receiver, as log records and histograms (extra `otel`).

`execlog otlp` does it; the README beside this says what is sent, and what "at least once" means. A
`Reader` finds what is to be sent after a `Position`, a `Delivery` returns when the `Receiver` has
acknowledged it, and then the caller keeps the position.
"""

from __future__ import annotations

try:
    import httpx2  # noqa: F401 - to say at once what is missing
    import opentelemetry.proto.logs.v1.logs_pb2  # noqa: F401 - the same
except ImportError as error:
    raise ImportError("execlog.otel needs its extra: pip install 'execlog[otel]'") from error

from execlog.otel.delivery import Delivered, Delivery
from execlog.otel.durations import Durations, Temporality
from execlog.otel.endpoint import Endpoint, endpoint, resource_attributes
from execlog.otel.reading import Batch, Position, Reader
from execlog.otel.receiver import Receiver, ReceiverAway, ReceiverRefused
from execlog.otel.records import Included

__all__ = [
    "Batch",
    "Delivered",
    "Delivery",
    "Durations",
    "Endpoint",
    "Included",
    "Position",
    "Reader",
    "Receiver",
    "ReceiverAway",
    "ReceiverRefused",
    "Temporality",
    "endpoint",
    "resource_attributes",
]
