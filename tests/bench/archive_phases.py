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
    before = [
        (owner, name, getattr(owner, name))
        for owner, name in (
            (Archiving, "_fetch"),
            (Archiving, "_copied"),
            (archiving, "summed"),
            (Engine, "sent"),
            (Lease, "send"),
            (Place, "digest"),
            (Place, "publish"),
        )
    ]
    Archiving._fetch = _awaited(spans, Archiving._fetch, lambda _, name, *__: f"server: {name}")  # type: ignore[method-assign]
    archiving.summed = _awaited(spans, archiving.summed, lambda *_: "server: sums")  # type: ignore[attr-defined]
    Archiving._copied = _awaited(spans, Archiving._copied, lambda *_: "server: COPY")  # type: ignore[method-assign]
    Engine.sent = _awaited(spans, Engine.sent, lambda _, name, *__: f"DuckDB: {name}")  # type: ignore[method-assign]
    Lease.send = _awaited(spans, Lease.send, _script_name)  # type: ignore[method-assign]
    Place.digest = _called(spans, Place.digest, "files: digest")  # type: ignore[method-assign]
    Place.publish = _called(spans, Place.publish, "files: flush and link")  # type: ignore[method-assign]
    try:
        yield spans
    finally:
        for owner, name, own in before:
            setattr(owner, name, own)


def at(spans: list[Span], moment: float, seconds: float) -> str:
    """What was done for most of the time of a batch that began then."""
    shared = {
        REST: seconds / 10,
    }
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


def _called(spans: list[Span], own: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(own)
    def noting(*given: Any) -> Any:
        begins = time.monotonic()
        try:
            return own(*given)
        finally:
            spans.append(Span(name, begins, time.monotonic()))

    return noting
