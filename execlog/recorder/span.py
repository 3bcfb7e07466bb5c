"""The id of the distributed trace that the running code is part of, from OpenTelemetry."""

from __future__ import annotations

import sys

__all__ = ["current_trace_id"]

_modules = sys.modules


def current_trace_id() -> int | None:
    """The trace id of the current span; None if there is none, or OpenTelemetry is not loaded.

    The package is never imported here: a program that uses it has loaded it. Never raises.
    """
    api = _modules.get("opentelemetry.trace")
    if api is None:
        return None
    try:
        found: int = api.get_current_span().get_span_context().trace_id
        return found or None
    except Exception:  # another version, or a span of somebody's own
        return None
