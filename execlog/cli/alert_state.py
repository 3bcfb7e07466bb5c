"""What fires, from one check to the next: in a file, or in the log's own database.

A state is held while a check asks, judges and tells: two checks at once tell of a change once.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from execlog.cli.alerts import Firing
from execlog.cli.state_file import StateUnavailable, held_file, read_file, write_file

__all__ = ["PATIENCE", "AlertState", "Held", "in_file"]

PATIENCE = 90.0
"""Seconds that a check waits for another one, which asks, judges and tells."""

_FILE = TypeAdapter(dict[str, list[Firing]])


@dataclass(frozen=True)
class Held:
    """A check's state, which no other process reads or changes meanwhile.

    Attributes:
        firing: What fired after the check before.
        keep: Keeps what fires now.
    """

    firing: Sequence[Firing]
    keep: Callable[[Sequence[Firing]], Awaitable[None]]


AlertState = Callable[[str], AbstractAsyncContextManager[Held]]
"""Holds the state of a check, by its id."""


def in_file(path: Path) -> AlertState:
    """A state in a file of JSON, and a file `.lock` beside it, which stays. Never raises.

    Args:
        path: The file; it is made if it is missing, and replaced as a whole.
    """

    @contextlib.asynccontextmanager
    async def held(check: str) -> AsyncIterator[Held]:
        async with held_file(path, by="another check", patience=PATIENCE):
            checks = _read(path)

            async def keep(firing: Sequence[Firing]) -> None:
                kept = {**checks, check: list(firing)}
                _write(path, {name: held for name, held in kept.items() if held})

            yield Held(checks.get(check, []), keep)

    return held


def _read(path: Path) -> dict[str, list[Firing]]:
    text = read_file(path)
    if text is None:
        return {}
    try:
        return _FILE.validate_json(text)
    except ValidationError:
        raise StateUnavailable("--state: the file holds no state of alerts") from None


def _write(path: Path, checks: dict[str, list[Firing]]) -> None:
    write_file(path, _FILE.dump_json(checks, indent=1, by_alias=True))
