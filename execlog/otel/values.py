"""Python's values as OTLP has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from execlog import __version__

__all__ = ["Value", "attributes", "nanoseconds", "resource", "scope"]

Value = str | bool | int | float
"""A value of an attribute."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_LARGEST = 2**64
_INTEGERS = range(-(2**63), 2**63)


def attributes(pairs: Iterable[tuple[str, Value | None]]) -> list[KeyValue]:
    """The pairs whose value is not None. Never raises."""
    return [KeyValue(key=key, value=_value(value)) for key, value in pairs if value is not None]


def nanoseconds(time: datetime | None) -> int:
    """A time in nanoseconds since 1970; 0, which stands for unknown, if it can't be told so.

    OTLP knows the years 1970 to 2554. Never raises.
    """
    if time is None:
        return 0
    since = (time - _EPOCH) // _MICROSECOND * 1000
    return since if 0 < since < _LARGEST else 0


def resource(found: Mapping[str, Value]) -> Resource:
    """What is sent of the sender itself. Never raises."""
    return Resource(attributes=attributes(found.items()))


def scope() -> InstrumentationScope:
    """This library. Never raises."""
    return InstrumentationScope(name="execlog", version=__version__)


def _value(value: Value) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, int) and value in _INTEGERS:
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    return AnyValue(string_value=str(value))
