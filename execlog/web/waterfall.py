"""A trace as rows of a waterfall: each node's depth, and when it ran within the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from execlog.models import StrategyExecutionLog
from execlog.nodes import Node, nodes

__all__ = ["Row", "waterfall"]


@dataclass(frozen=True)
class Row:
    """One node.

    Attributes:
        depth: 0 for the trace's own entries.
        node: The node.
        begin: Percent of the whole, from the left; None where no time is known.
        width: Percent of the whole.
    """

    depth: int
    node: Node
    begin: float | None
    width: float


def waterfall(one: StrategyExecutionLog) -> list[Row]:
    """The rows of an execution's trace; [] where it has none. Never raises.

    A trace says how long its nodes took, and not when they began: each begins where the one before
    it ended, and what is below a node begins with it. The whole is the run's own duration, or the
    nodes' sum, where that is more.
    """
    top = nodes(one.trace or [])
    whole = max(one.duration_ms, sum(_span(node) for node in top))
    return list(_rows(top, 0, 0.0, whole))


def _rows(below: Sequence[Node], depth: int, begin: float, whole: float) -> Iterator[Row]:
    for node in below:
        span = _span(node)
        is_timed = node.took_ms is not None and whole > 0
        yield Row(
            depth,
            node,
            min(begin / whole * 100, 100.0) if is_timed else None,
            span / whole * 100 if is_timed else 0.0,
        )
        yield from _rows(node.below, depth + 1, begin, whole)
        begin += span


def _span(node: Node) -> float:
    if node.took_ms is not None:
        return node.took_ms
    return sum(_span(one) for one in node.below)
