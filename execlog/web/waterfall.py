"""A trace as rows of a waterfall: each node's depth, and its time within the run."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

from execlog.display.trace_tree import Node
from execlog.web.branches import DRAWN, Branch, Branches, Visits
from execlog.web.outline import Outline

__all__ = ["Row", "Slowest", "Waterfall", "waterfall"]

_LONGEST_FACT = 2000
_ROOM = 300_000  # characters for all facts of a page
_PATH = 6  # names of a path that are shown, the inner ones
_MORE = "\N{HORIZONTAL ELLIPSIS}"


@dataclass(frozen=True)
class Row:
    """One node.

    Attributes:
        depth: 0 for the trace's own entries.
        node: The node, without its child nodes.
        begin: Percent of the whole, from the left; None if its time is unknown.
        width: Percent of the whole.
        has_failed: Whether it says that it failed.
        mark: "fault" for a node of `faults`, "last" for that of `last`, "slowest" for that of
            `slowest`; else empty.
        number: Its place among the rows, from 1 on.
        path: Of a row beyond those that are drawn in order: the names of the nodes around it.
    """

    depth: int
    node: Node
    begin: float | None
    width: float
    has_failed: bool = False
    mark: str = ""
    number: int = 0
    path: Sequence[str] = ()


@dataclass(frozen=True)
class Slowest:
    """The nodes of the name that took the most time themselves, without the nodes below them.

    Attributes:
        name: The name.
        own_ms: Their time, all visits together.
        visits: How often it was visited.
        row: The row of the longest visit; None if it is not drawn.
        is_sure: Whether no other name may have taken more: not all names are added up.
    """

    name: str
    own_ms: float
    visits: int
    row: Row | None
    is_sure: bool


@dataclass(frozen=True)
class Waterfall:
    """The rows of a trace.

    Attributes:
        rows: The rows, at most a thousand.
        more: The number of further nodes, which are not drawn in order.
        beyond: The nodes among these that failed or were entered last.
        faults: The rows of the first nodes that failed, while none below them did.
        failures: How many nodes did.
        last: The row of the node that was entered last, if the run failed and none says that it
            did; else None.
        slowest: What took the most time; None if no node tells its time.
        outside_ms: The part of the run's own duration that is in no node; 0 if no node tells its
            time.
    """

    rows: Sequence[Row]
    more: int
    beyond: Sequence[Row] = ()
    faults: Sequence[Row] = ()
    failures: int = 0
    last: Row | None = None
    slowest: Slowest | None = None
    outside_ms: float = 0.0


def waterfall(
    trace: str | None, duration_ms: float, *, values: bool = True, has_failed: bool = False
) -> Generator[None, None, Waterfall]:
    """The waterfall of a trace, in steps. Never raises for JSON.

    A trace tells how long its nodes took, not when they began: each is drawn from the end of the
    node before it, and child nodes from the beginning of their parent. The whole is the run's own
    duration, or the nodes' sum, if that is more.

    Args:
        trace: Its text; None: the execution has none.
        duration_ms: The run's own duration.
        values: Whether nodes have their facts; if not, names, times and which failed alone.
        has_failed: Whether the run failed.
    """
    outline = Outline(trace or "[]", verdicts=values and has_failed)
    top = yield from outline.read()
    drawn = _Drawn(_Facts(outline) if values else None, max(duration_ms, top.span_ms))
    notable = top.notable
    for fault in notable.faults:
        drawn.mark(fault.node, "fault")
    is_unsaid = has_failed and not notable.faults
    if is_unsaid and notable.last is not None:
        drawn.mark(notable.last, "last")
    slowest = notable.slowest
    if slowest is not None:
        drawn.mark(slowest.longest, "slowest")
    for depth, one, begin in _in_order(top):
        drawn.add(depth, one, begin)
        yield
    rows = list(drawn.rows)
    for fault in notable.faults:
        drawn.add_beyond(fault.node, fault.path)
    if is_unsaid and notable.last is not None:
        drawn.add_beyond(notable.last, ())
    return Waterfall(
        rows,
        top.total - len(rows),
        drawn.rows[len(rows) :],
        [drawn.of(fault.node) for fault in notable.faults],
        notable.failures,
        drawn.of(notable.last) if is_unsaid and notable.last else None,
        _slowest(slowest, drawn, is_sure=notable.is_whole),
        max(duration_ms - top.span_ms, 0.0) if slowest is not None else 0.0,
    )


class _Drawn:
    """The rows that are drawn so far.

    Args:
        facts: The facts of nodes; None: they may not be seen.
        whole: The time that is the whole width.
    """

    def __init__(self, facts: _Facts | None, whole: float) -> None:
        self._facts, self._whole = facts, whole
        self._marks: dict[int, str] = {}  # by identity, of nodes that the outline holds
        self._found: dict[int, Row] = {}
        self.rows: list[Row] = []

    def mark(self, one: Branch, mark: str) -> None:
        self._marks.setdefault(id(one), mark)

    def of(self, one: Branch) -> Row:
        return self._found[id(one)]

    def get(self, one: Branch) -> Row | None:
        return self._found.get(id(one))

    def add(self, depth: int, one: Branch, begin: float) -> None:
        """Draws the next node in order."""
        is_timed = one.took_ms is not None and 0 < self._whole < math.inf
        left = min(begin / self._whole * 100, 100.0) if is_timed else None
        self._draw(one, depth, left, one.span_ms / self._whole * 100 if is_timed else 0.0)

    def add_beyond(self, one: Branch, path: Sequence[str]) -> None:
        """Draws a node that is not among those in order, if it is not drawn yet."""
        if id(one) not in self._found:
            self._draw(one, 0, None, 0.0, path[_PATH - 1 :: -1] if path else ())

    def _draw(
        self, one: Branch, depth: int, begin: float | None, width: float, path: Sequence[str] = ()
    ) -> None:
        node = Node(one.name or "entry", one.took_ms)
        if self._facts is not None:
            node = Node(one.name, one.took_ms, self._facts.of(one))
        mark = self._marks.get(id(one), "")
        number = len(self.rows) + 1
        row = Row(depth, node, begin, width, one.has_failed, mark, number, path)
        self.rows.append(row)
        if mark:
            self._found[id(one)] = row


def _slowest(found: Visits | None, drawn: _Drawn, *, is_sure: bool) -> Slowest | None:
    if found is None or not 0 < found.own_ms < math.inf:
        return None
    one = found.longest
    return Slowest(one.name or "node", found.own_ms, found.count, drawn.get(one), is_sure)


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
