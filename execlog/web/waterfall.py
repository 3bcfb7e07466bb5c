"""A trace as rows of a waterfall: each node's depth, and its time within the run."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from execlog.display.trace_tree import Node
from execlog.web.outline import DRAWN, Branch, Branches, Outline

__all__ = ["Row", "Waterfall", "waterfall"]

_LONGEST_FACT = 2000
_ROOM = 300_000  # characters for all facts of a page
_MORE = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Row:
    """One node.

    Attributes:
        depth: 0 for the trace's own entries.
        node: The node, without its child nodes.
        begin: Percent of the whole, from the left; None if its time is unknown.
        width: Percent of the whole.
    """

    depth: int
    node: Node
    begin: float | None
    width: float


@dataclass(frozen=True)
class Waterfall:
    """The rows of a trace, at most a thousand, and the number of further nodes."""

    rows: Sequence[Row]
    more: int


def waterfall(
    trace: str | None, duration_ms: float, *, values: bool = True
) -> Generator[None, None, Waterfall]:
    """The waterfall of a trace, in steps. Never raises for JSON.

    A trace tells how long its nodes took, not when they began: each is drawn from the end of the
    node before it, and child nodes from the beginning of their parent. The whole is the run's own
    duration, or the nodes' sum, if that is more.

    Args:
        trace: Its text; None: the execution has none.
        duration_ms: The run's own duration.
        values: Whether nodes have their facts; if not, names and times alone.
    """
    outline = Outline(trace or "[]")
    top = yield from outline.read()
    facts = _Facts(outline)
    whole = max(duration_ms, top.span_ms)
    rows = []
    for depth, one, begin in _in_order(top):
        is_timed = one.took_ms is not None and 0 < whole < math.inf
        node = Node(one.name, one.took_ms, facts.of(one))
        if not values:
            node = Node(one.name or "entry", one.took_ms)
        rows.append(
            Row(
                depth,
                node,
                min(begin / whole * 100, 100.0) if is_timed else None,
                one.span_ms / whole * 100 if is_timed else 0.0,
            )
        )
        yield
    return Waterfall(rows, top.total - len(rows))


def _in_order(top: Branches) -> Iterator[tuple[int, Branch, float]]:
    """The first nodes in reading order, each with its depth and its beginning."""
    stack = [(iter(top.nodes), 0.0)]
    for _ in range(DRAWN):
        one = None
        while stack and one is None:
            nodes, begin = stack[-1]
            one = next(nodes, None)
            if one is None:
                stack.pop()
        if one is None:
            return
        yield len(stack) - 1, one, begin
        stack[-1] = (nodes, begin + one.span_ms)
        stack.append((iter(one.below.nodes if one.below else ()), begin))


class _Facts:
    """The facts of nodes, as many as the page has room for."""

    def __init__(self, outline: Outline) -> None:
        self._outline = outline
        self._room = _ROOM

    def of(self, one: Branch) -> list[tuple[str, str]]:
        found = []
        for name, begin, end in one.facts:
            if self._room <= 0:
                break
            text, cut = self._outline.text_of(begin, end, _LONGEST_FACT)
            self._room -= len(name) + len(text)
            found.append((name, f"{text}{_MORE} and {cut:,} more characters" if cut else text))
        if more := one.members - len(found):
            found.append((_MORE, f"and {more:,} more, in the JSON"))
        return found
