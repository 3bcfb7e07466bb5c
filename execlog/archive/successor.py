"""Files whose rows were changed in the log since: each is written once more, with those rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from execlog.archive.engine import Engine
from execlog.archive.users import filter_of_users
from execlog.errors import ArchiveError

__all__ = ["OkNow", "Successor", "successors"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class OkNow(NamedTuple):
    """Rows that a file holds as failures, and its successor as ok, as three lists."""

    ids: list[UUID]
    strategies: list[str]
    times: list[datetime]


@dataclass(frozen=True)
class Successor:
    """What is to take the place of a file.

    Attributes:
        old: That file.
        path: Where its successor is, without a name of its own yet.
        ok_rows: How many of its rows are ok.
        users: The filter of its users.
        ok_now: Those that the old file holds as failures.
    """

    old: Path
    path: Path
    ok_rows: int
    users: bytes
    ok_now: OkNow


async def successors(engine: Engine, space: Path, held: Sequence[Path]) -> list[Successor]:
    """Writes the successors of those files that hold rows as they were before they were changed.

    Args:
        engine: It has the rows of the log as `offered`, and those of them in files as `held`;
            afterwards `held` is what successors hold.
        space: The folder for what is unfinished.
        held: The files.

    Raises:
        ArchiveError: What was written is not what it should be, the disk refuses, or rows were
            erased from a file and not from the log.
    """
    made = [await _successor(engine, space, old) for old in await _changed(engine)]
    if made:
        paths = {one.old: one.path for one in made}
        await engine.sent("held", _listed([paths.get(one, one) for one in held]))
        if still := await _changed(engine):
            raise _unlike(still[0])
    return made


async def _changed(engine: Engine) -> list[Path]:
    """The files that hold rows which were changed since."""
    await engine.sent("changed")
    found = await engine.sent("changed_files")
    if found["erased"]:
        said = f"{found['erased']} of its rows were erased from it and not from the log"
        raise ArchiveError(f"{found['erased_path']}: {said}: erase these users there too")
    return [Path(one) for one in found["paths"]]


async def _successor(engine: Engine, space: Path, old: Path) -> Successor:
    path = space / f"new-{old.name}"
    await engine.sent("unchanged", {"part": str(old)})
    await engine.sent("none_held")
    before = await engine.sent("sums")
    await engine.sent("succeed", {"old": str(old), "part": str(path)})
    await engine.sent("unchanged", {"part": str(path)})
    if await engine.sent("sums") != before:
        raise _unlike(old)
    extents = []
    for part in (old, path):
        await engine.sent("written", {"part": str(part)})
        extents.append(await engine.sent("extent"))
    was, now = extents
    if was != {**now, "ok_rows": was["ok_rows"]}:
        raise _unlike(old)
    users = await filter_of_users(engine)
    return Successor(old, path, now["ok_rows"], users, await _ok_now(engine, old))


async def _ok_now(engine: Engine, old: Path) -> OkNow:
    found = await engine.sent("ok_now", {"old": str(old)})
    times = [_EPOCH + timedelta(microseconds=one) for one in found["times"]]
    return OkNow(found["ids"], found["strategies"], times)


def _listed(paths: Sequence[Path]) -> dict[str, str]:
    return {"paths": "\n".join(map(str, paths))}


def _unlike(old: Path) -> ArchiveError:
    return ArchiveError(f"{old} could not be written with the rows that were changed since")
