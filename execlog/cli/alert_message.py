"""The message of a webhook: names and numbers, and a text that Slack shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from execlog.cli.alerts import Alert
from execlog.cli.verdict import length
from execlog.display.format import milliseconds, number, percent, shown

__all__ = ["message", "sentence"]

_MOST_NAMED = 20  # in the text
_RATES = {"error_rate": "error rate", "failed_rate": "failed"}


def message(check: str, alerts: Sequence[Alert], firing: int, now: datetime) -> dict[str, Any]:
    """The message, whose `text` is for Slack and what understands its form.

    Args:
        check: What is checked, as it is shown.
        alerts: What changed.
        firing: How many limits are exceeded now.
        now: The time of the check.

    Never raises.
    """
    lines = [_escaped(sentence(one)) for one in alerts[:_MOST_NAMED]]
    if more := len(alerts) - _MOST_NAMED:
        lines += [f"and {number(more)} more"] if more > 0 else []
    return {
        "text": "\n".join(lines),
        "check": shown(check),
        "time": now.isoformat(),
        "firing": firing,
        "alerts": _dumped(alerts),
    }


def sentence(one: Alert) -> str:
    """An alert in words, such as "FIRING loyalty: error rate 5.45 %, limit 1 % (477 runs)".

    Never raises.
    """
    runs = f" ({number(one.runs)} {'run' if one.runs == 1 else 'runs'})" if one.runs else ""
    name = shown(one.name)
    if one.state == "firing":
        return f"FIRING {name}: {_found(one)}{runs}"
    return f"OVER {name}: {_now(one)}, after {length(round(one.seconds))}{runs}"


def _found(one: Alert) -> str:
    if one.breach == "silence":
        return f"nothing ran for {length(one.limit or 0.0)}"
    if one.breach == "p99":
        return f"p99 {milliseconds(one.value or 0.0)}, limit {milliseconds(one.limit or 0.0)}"
    return f"{_RATES[one.breach]} {percent(one.value or 0.0)}, limit {percent(one.limit or 0.0)}"


def _now(one: Alert) -> str:
    return "it runs again" if one.breach == "silence" else f"{_found(one)}"


def _dumped(alerts: Iterable[Alert]) -> list[dict[str, Any]]:
    return [one.model_dump(mode="json", by_alias=True) for one in alerts]


def _escaped(text: str) -> str:
    """A text in which Slack finds no link, no mention and no channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
