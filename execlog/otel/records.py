"""Executions as log records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import (
    LogRecord,
    ResourceLogs,
    ScopeLogs,
    SeverityNumber,
)

from execlog.models import StrategyExecutionLog
from execlog.otel.values import Value, attributes, nanoseconds, resource, scope

__all__ = ["EVENT", "Included", "log_record", "logs_request"]

EVENT = "execlog.execution"
"""The name of the event that each record is."""

_ERRORS = frozenset({"error", "timeout", "limit"})


@dataclass(frozen=True)
class Included:
    """What is sent only if it is asked for.

    Attributes:
        attributes: The caller's own attributes, as `execlog.attributes.KEY`.
        error_messages: Why runs failed, as `execlog.error_message`.
        users: The user's id, as `execlog.user.id`.
    """

    attributes: bool = False
    error_messages: bool = False
    users: bool = False


def logs_request(
    rows: Iterable[StrategyExecutionLog], sender: Mapping[str, Value], included: Included
) -> ExportLogsServiceRequest:
    """The request that sends these executions.

    Args:
        rows: The executions.
        sender: The resource's attributes.
        included: What is sent beside the usual.

    Never raises.
    """
    records = [log_record(one, included) for one in rows]
    logs = ScopeLogs(scope=scope(), log_records=records)
    return ExportLogsServiceRequest(
        resource_logs=[ResourceLogs(resource=resource(sender), scope_logs=[logs])]
    )


def log_record(one: StrategyExecutionLog, included: Included) -> LogRecord:
    """The record of one execution. Never raises."""
    is_error = one.status in _ERRORS
    severity = (
        SeverityNumber.SEVERITY_NUMBER_ERROR if is_error else SeverityNumber.SEVERITY_NUMBER_INFO
    )
    return LogRecord(
        time_unix_nano=nanoseconds(one.created_at),
        observed_time_unix_nano=nanoseconds(one.stored_at) or nanoseconds(datetime.now(UTC)),
        severity_number=severity,
        severity_text="ERROR" if is_error else "INFO",
        event_name=EVENT,
        body=AnyValue(string_value=f"{one.strategy_id} {one.strategy_version}: {one.status}"),
        trace_id=b"" if one.trace_id is None else one.trace_id.bytes,
        attributes=attributes(_attributes(one, included)),
    )


def _attributes(
    one: StrategyExecutionLog, included: Included
) -> Iterator[tuple[str, Value | None]]:
    yield "execlog.id", str(one.id)
    yield "execlog.strategy.id", one.strategy_id
    yield "execlog.strategy.version", one.strategy_version
    yield "execlog.strategy.type", one.strategy_type
    yield "execlog.strategy.parent_id", one.parent_strategy_id
    yield "execlog.realm.id", one.realm_id
    yield "execlog.game.id", one.external_game_id
    yield "execlog.task.id", one.external_task_id
    yield "execlog.status", one.status
    yield "execlog.error_code", one.error_code
    if one.status in _ERRORS:  # what else is not ok is no error: no rule matched, say
        yield "error.type", one.error_code or one.status
    yield "execlog.case.name", one.case_name
    yield "execlog.points", one.points
    yield "execlog.nodes", one.nodes_executed
    yield "execlog.duration_ms", one.duration_ms
    yield "execlog.sample_rate", one.sample_rate
    if one.created_at is not None and not nanoseconds(one.created_at):
        yield "execlog.created_at", one.created_at.isoformat()
    if included.users:
        yield "execlog.user.id", one.external_user_id
    if included.error_messages:
        yield "execlog.error_message", one.error_message
    if included.attributes:
        for key, value in (one.attributes or {}).items():
            yield f"execlog.attributes.{key}", value
