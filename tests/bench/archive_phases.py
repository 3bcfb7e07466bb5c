"""What archiving does when, for `archive_beside`: spans by name, on the clock of all processes."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

from execlog.admin import archiving
from execlog.admin.archiving import Archiving
from execlog.admin.lease import Lease
from execlog.archive.engine import Engine
from execlog.archive.place import Place

REST = "the rest"


class Span(NamedTuple):
    """Something that was done, from its begin to its end."""

    name: str
    begins: float
    ends: float


@contextlib.contextmanager
def noted() -> Iterator[list[Span]]:
    """The list to which each piece of archiving's work is added, within the block."""
    spans: list[Span] = []
    noting = [
        (Archiving, "_fetch", _awaited, lambda _, name, *__: f"server: {name}"),
        (Archiving, "_copied", _awaited, lambda *_: "server: COPY"),
        (archiving, "summed", _awaited, lambda *_: "server: sums"),
        (Engine, "sent", _awaited, lambda _, name, *__: f"DuckDB: {name}"),
        (Lease, "send", _awaited, _script_name),
        (Place, "digest", _called, lambda *_: "files: digest"),
        (Place, "publish", _called, lambda *_: "files: flush and link"),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _, _ in noting]
    for owner, name, wrapped, told in noting:
        setattr(owner, name, wrapped(spans, getattr(owner, name), told))
    try:
        yield spans
    finally:
        for owner, name, own in before:
            setattr(owner, name, own)


def at(spans: list[Span], moment: float, seconds: float) -> str:
    """What was done for most of the time of a batch that began then."""
    shared = {REST: seconds / 10}
    for one in spans:
        if one.begins < moment + seconds and one.ends > moment:
            both = min(one.ends, moment + seconds) - max(one.begins, moment)
            shared[one.name] = shared.get(one.name, 0) + both
    return max(shared, key=lambda name: shared[name])


def _script_name(_: Lease, parts: Any, *__: Any, **___: Any) -> str:
    steps = [part for part in parts if part not in ("begin", "lift", "prove", "end", "clear")]
    return f"server: {' '.join(steps) or ' '.join(parts)}"


def _awaited(
    spans: list[Span], own: Callable[..., Awaitable[Any]], name: Callable[..., str]
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(own)
    async def noting(*given: Any, **named: Any) -> Any:
        begins = time.monotonic()
        try:
            return await own(*given, **named)
        finally:
            spans.append(Span(name(*given, **named), begins, time.monotonic()))

    return noting


def _called(
    spans: list[Span], own: Callable[..., Any], name: Callable[..., str]
) -> Callable[..., Any]:
    @functools.wraps(own)
    def noting(*given: Any) -> Any:
        begins = time.monotonic()
        try:
            return own(*given)
        finally:
            spans.append(Span(name(*given), begins, time.monotonic()))

    return noting
