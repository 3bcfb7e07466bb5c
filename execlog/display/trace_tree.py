"""A stored trace as nodes with names, times and children, for the formats of several engines."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "BELOW",
    "FAULTS",
    "NAMES",
    "TIMES",
    "Node",
    "compact",
    "is_fault",
    "nodes",
    "own_times",
    "taken",
]

NAMES = ("node", "name", "nodeName", "nodeId", "node_id", "id")
TIMES = ("ms", "durationMs", "duration_ms", "performance", "duration")
BELOW = ("children", "nodes", "steps", "trace")
_CODES = ("errorCode", "error_code")
_TROUBLES = (*_CODES, "error", "errorMessage", "error_message", "exception", "failure", "failed")
_STATES = ("status", "state", "outcome")
_VERDICTS = ("ok", "success")
FAULTS = (*_TROUBLES, *_STATES, *_VERDICTS)
_FAILED = frozenset(
    "error errored exception fail failed failure limit timeout timed_out timedout".split()
)
_FINE = frozenset(["", "none", "null", "false", "no", "ok", "0"])
_TIME = re.compile(r"([\d.]+)\s*(ns|µs|us|ms|s)")
_IN_MILLISECONDS = {"ns": 1e-6, "µs": 1e-3, "us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True)
class Node:
    """One entry of a trace.

    Attributes:
        name: Its own name; None if it has none.
        took_ms: How long it took; None if it does not say.
        facts: Everything else in it, as names and compact JSON, in order.
        below: Its child nodes.
    """

    name: str | None
    took_ms: float | None = None
    facts: Sequence[tuple[str, str]] = ()
    below: Sequence[Node] = field(default=())


def nodes(trace: Sequence[Any]) -> list[Node]:
    """The entries of a trace. Never raises for one that was read."""
    return [_node(entry) for entry in trace]


def own_times(trace: Sequence[Any]) -> Iterator[tuple[str, float | None]]:
    """The name of each node of a trace, and the milliseconds that it took itself.

    These are its time less those of the nodes below it, 0 at least, since they may run at once;
    None if it does not say its time. Entries that are no objects are left out. Never raises for a
    trace that was read.
    """
    for entry in trace:
        if not isinstance(entry, dict):
            continue
        name, timed, below = _keys(entry)
        children = entry[below] if below else ()
        took = taken(entry[timed]) if timed else None
        if took is not None:
            inner = (_time(child) for child in children)
            took = max(took - sum(time for time in inner if time is not None), 0.0)
        yield str(entry[name]) if name else "node", took
        yield from own_times(children)


def is_fault(key: str, value: object, *, verdicts: bool = True) -> bool:
    """Whether a member of an entry says that its node failed. Never raises.

    That is an error that is no number, a code that is not 0, or the state of a failure. A verdict
    such as `"ok": false` may be what a rule decides: it says so only of a run that failed.

    Args:
        key: The member's key, one of `FAULTS`.
        value: Its value.
        verdicts: Whether a verdict counts.
    """
    if key in _VERDICTS:
        return verdicts and value is False
    if key in _STATES:
        return isinstance(value, str) and value.strip().casefold() in _FAILED
    if isinstance(value, str):
        return value.strip().casefold() not in _FINE
    if isinstance(value, int | float) and not isinstance(value, bool):
        return key in _CODES and value != 0
    return key in _TROUBLES and bool(value)


def compact(value: Any) -> str:
    """A value as JSON on one line; a text as it is. Never raises for JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _node(entry: Any) -> Node:
    if not isinstance(entry, dict):
        return Node(None, facts=[("", compact(entry))])
    name, timed, below = _keys(entry)
    return Node(
        str(entry[name]) if name else "node",
        taken(entry[timed]) if timed else None,
        list(_facts(entry, {name, timed, below})),
        nodes(entry[below]) if below else (),
    )


def _keys(entry: dict[str, Any]) -> tuple[str | None, str | None, str | None]:
    """Under which keys an entry has its name, its time and its child nodes."""
    return (
        next((key for key in NAMES if _is_name(entry.get(key))), None),
        next((key for key in TIMES if taken(entry.get(key)) is not None), None),
        next((key for key in BELOW if _is_list_of_objects(entry.get(key))), None),
    )


def _time(entry: dict[str, Any]) -> float | None:
    timed = _keys(entry)[1]
    return taken(entry[timed]) if timed else None


def _facts(entry: dict[str, Any], told: set[str | None]) -> Iterator[tuple[str, str]]:
    return ((key, compact(value)) for key, value in entry.items() if key not in told)


def _is_name(value: object) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)


def taken(value: object) -> float | None:
    """Milliseconds, from a number or a text with a unit; else None. Never raises."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            took = float(value)
        else:
            found = _TIME.fullmatch(value) if isinstance(value, str) else None
            took = float(found[1]) * _IN_MILLISECONDS[found[2]] if found else -1.0
    except (ValueError, OverflowError):
        return None
    return took if 0 <= took < math.inf else None
