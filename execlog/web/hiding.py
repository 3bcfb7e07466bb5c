"""An execution as a scope without inputs may see it: its trace tells what ran, and how long."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator

from execlog.db.slices import finished
from execlog.display.trace_tree import BELOW, NAMES, TIMES
from execlog.models import StrategyExecutionLog
from execlog.web.access import Scope
from execlog.web.branches import DRAWN, Branch, Branches
from execlog.web.outline import Outline
from execlog.web.stored import trace_of

__all__ = ["seen", "without_values"]


async def seen(scope: Scope, one: StrategyExecutionLog) -> StrategyExecutionLog:
    """The execution, without input and the trace's values unless the scope has them.

    Never raises for an execution that `execlog.web.stored` made.

    Args:
        scope: What may be seen.
        one: The execution.
    """
    if scope.inputs:
        return one
    trace = trace_of(one)
    left = None if trace is None else await finished(without_values(trace))
    return one.model_copy(update={"input_text": None, "trace_text": left})


def without_values(trace: str) -> Generator[None, None, str]:
    """A trace of the same nodes, a thousand at most: names and times alone, in steps.

    An entry that is no object is null. Never raises for JSON.

    Args:
        trace: Its text.
    """
    top = yield from Outline(trace).read()
    pieces = ["["]
    for piece in _written(top):
        pieces.append("," + piece if piece[0] in "{n" and pieces[-1][-1] != "[" else piece)
        yield
    return "".join(pieces)


def _written(top: Branches) -> Iterator[str]:
    """The text after its first bracket, without commas between entries."""
    stack, left = [iter(top.nodes)], DRAWN
    while stack:
        one = next(stack[-1], None) if left else None
        if one is None:
            stack.pop()
            yield "]}" if stack else "]"
            continue
        left -= 1
        if one.below is None:
            yield _entry(one)
        else:
            yield f'{_entry(one).removesuffix("}")}, "{BELOW[0]}": ['
            stack.append(iter(one.below.nodes))


def _entry(one: Branch) -> str:
    if one.name is None:
        return "null"
    entry: dict[str, object] = {NAMES[0]: one.name}
    if one.took_ms is not None:
        entry[TIMES[0]] = one.took_ms
    return json.dumps(entry)
