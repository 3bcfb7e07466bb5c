"""The command that sends executions to an OTLP receiver."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from execlog.cli.filters import filtered
from execlog.cli.options import AnyStrategy, Dsn, Schema, Since, length_option
from execlog.db.sqltext import SCHEMA
from execlog.errors import ExeclogError
from execlog.repository.filters import Filters

__all__ = ["otlp"]

_SECONDS = 10.0
_ONCE_SECONDS = 60.0


class _Temporality(str, Enum):  # noqa: UP042 - typer shows the values of this kind
    delta = "delta"
    cumulative = "cumulative"


@filtered
def otlp(
    filters: Filters,
    strategy: AnyStrategy = None,
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="The receiver, such as http://127.0.0.1:4318; else OTEL_EXPORTER_OTLP_ENDPOINT.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            metavar="FILE",
            dir_okay=False,
            help="Where it is kept how far it has come; else it begins at the present.",
        ),
    ] = None,
    since: Since = None,
    once: Annotated[bool, typer.Option("--once", help="Send what there is, and end.")] = False,
    logs: Annotated[bool, typer.Option("--logs/--no-logs", help="Log records.")] = True,
    metrics: Annotated[
        bool, typer.Option("--metrics/--no-metrics", help="Histograms of durations.")
    ] = True,
    temporality: Annotated[
        _Temporality, typer.Option("--temporality", help="What each histogram counts.")
    ] = _Temporality.delta,
    attributes: Annotated[
        bool, typer.Option("--attributes", help="Send the runs' own attributes too.")
    ] = False,
    error_messages: Annotated[
        bool, typer.Option("--error-messages", help="Send error messages too.")
    ] = False,
    users: Annotated[bool, typer.Option("--users", help="Send users' ids too.")] = False,
    service_name: Annotated[
        str | None,
        typer.Option(
            "--service-name",
            envvar="OTEL_SERVICE_NAME",
            help="The sender's name; else that in OTEL_RESOURCE_ATTRIBUTES, else execlog.",
        ),
    ] = None,
    patience: Annotated[
        timedelta | None,
        length_option(
            "--patience",
            "How long a receiver that is away is tried; else for ever, with --once 1m.",
        ),
    ] = None,
    timeout: Annotated[
        timedelta | None, length_option("--timeout", "How long a request may take; else 10s.")
    ] = None,
    dsn: Dsn = None,
    schema: Schema = SCHEMA,
) -> None:
    """Send executions to an OTLP receiver as they are stored: log records, and a histogram.

    Each is sent at least once, in the order in which it was stored: what was not acknowledged is
    sent again, and its execlog.id tells. Inputs and traces are never sent. The variables
    OTEL_EXPORTER_OTLP_HEADERS, _CERTIFICATE and so on are those of all OTLP exporters.

    Example: execlog otlp --endpoint http://127.0.0.1:4318 --state /var/lib/execlog/otlp.json
    """
    if not logs and not metrics:
        raise typer.BadParameter("leave nothing to send", param_hint="--no-logs, --no-metrics")
    if once and state is None and since is None:
        raise typer.BadParameter("needs --state or --since", param_hint="--once")
    if timeout is not None and not timeout:
        raise typer.BadParameter("leaves no time to answer", param_hint="--timeout")
    try:  # here: it takes longer to load than most commands to run
        from execlog.cli.sending import Wanted, send
    except ImportError as error:
        raise ExeclogError(str(error)) from None
    wanted = Wanted(
        endpoint=endpoint,
        service_name=service_name,
        has_logs=logs,
        temporality=temporality.value if metrics else None,
        included={"attributes": attributes, "error_messages": error_messages, "users": users},
        seconds=_SECONDS if timeout is None else timeout.total_seconds(),
        patience=_ONCE_SECONDS if once else None,
        state=state,
        since=since,
        is_once=once,
    )
    if patience is not None:
        wanted = replace(wanted, patience=patience.total_seconds())
    if send(dsn, schema, {"strategy_id": strategy, **filters}, wanted):
        raise typer.Exit(1)
