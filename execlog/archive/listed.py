"""The files of a window, as one snapshot of the log's table lists them, and what they hold."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import asyncpg

from execlog.archive.asking import Held, held_of
from execlog.archive.files import Files
from execlog.archive.replaced import successors
from execlog.errors import NO_RIGHT, ArchiveError, ExeclogError, QueryRejected

__all__ = ["Listed", "Listing"]

Listing = Callable[[], Awaitable[Sequence[asyncpg.Record]]]
"""Lists the files of a window, as they are now."""


@dataclass(frozen=True)
class Listed:
    """Which files hold runs of a window that the log lacks; none without an archive.

    Attributes:
        files: The folder; None: there is no archive.
        log_id: What tells the log from others.
        is_subject: Whether the role is subject to row level security.
        deadline: When the answer must be there, on the clock of the event loop.
        listed: The files, newest first.
        again: Lists them anew, for a file that was replaced since.
        moved: The successors of files that were replaced since they were listed, by their paths.
    """

    files: Files | None = None
    log_id: UUID | None = None
    is_subject: bool = False
    deadline: float = 0.0
    listed: Sequence[Held] = field(default=())
    again: Listing | None = None
    moved: dict[str, Held] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        files: Files,
        found: Sequence[asyncpg.Record],
        deadline: float,
        again: Listing | None = None,
    ) -> Self:
        """What the statement `archived/files.sql` tells. Never raises for its rows.

        Args:
            files: The folder.
            found: The rows.
            deadline: When the answer must be there.
            again: Asks the statement once more.
        """
        first = found[0]
        return cls(files, first["log_id"], first["is_subject"], deadline, _held(found), again)

    def refuse(self, name: str) -> None:
        """Refuses a question that is answered from rows of the log only.

        Args:
            name: The question.

        Raises:
            ArchiveError: Files hold rows that it asks about.
        """
        if self.listed:
            said = f"{self.listed[0].last_at:%Y-%m-%d %H:%M:%S} UTC"
            where = "" if self.files is None else f" in {self.files.place.root}"
            raise ArchiveError(
                f"{name}: runs until {said} are in the archive{where}, which it can't read yet:"
                " begin later, or restore them"
            )

    def allow(self, name: str) -> None:
        """Whether the role may read files at all.

        Args:
            name: The question.

        Raises:
            QueryRejected: It is subject to row level security, and files hold rows of the window.
        """
        if self.listed and self.is_subject:
            said = "the role is subject to row level security, which files do not have"
            raise QueryRejected(f"{name}: runs of this time are in the archive: {said}", NO_RIGHT)

    async def read(
        self, name: str, some: Sequence[Held], *switches: str, **values: Any
    ) -> list[dict[str, Any]]:
        """The rows of a statement about some of the files.

        If an erasure replaced one of them since they were listed, its successor is read.

        Args:
            name: The statement.
            some: The files.
            switches: Its switches that are on.
            values: Its values.

        Raises:
            ArchiveError: A file is missing or damaged.
            QueryRejected: The role is subject to row level security.
            StoreUnavailable: It takes too long.
        """
        if self.files is None or self.log_id is None:
            return []
        self.allow(name)
        try:
            return await self._read(name, self._current(some), *switches, **values)
        except ArchiveError:
            if not await self._find_moved():
                raise
        return await self._read(name, self._current(some), *switches, **values)

    def _current(self, some: Sequence[Held]) -> list[Held]:
        return [self.moved.get(one.path, one) for one in some]

    async def _find_moved(self) -> bool:
        """Whether files were replaced since it was asked last; notes their successors."""
        found: dict[str, Held] = {}
        if self.again is not None:
            with contextlib.suppress(ExeclogError):  # why a file could not be read says more
                found = successors(self._current(self.listed), _held(await self.again()))
        for one, current in zip(self.listed, self._current(self.listed), strict=True):
            if current.path in found:
                self.moved[one.path] = found[current.path]
        return bool(found)

    async def _read(
        self, name: str, some: Sequence[Held], *switches: str, **values: Any
    ) -> list[dict[str, Any]]:
        if self.files is None or self.log_id is None:
            return []
        await self.files.check(self.log_id, some, self.deadline)
        root = self.files.place.root
        spans = [
            (str(root / one.path), begins, ends, is_whole)
            for one in some
            for times, is_whole in ((one.in_log, True), (one.failures_in_log, False))
            for begins, ends in times
        ]
        if spans:
            names = ("span_paths", "span_begins", "span_ends", "span_whole")
            values |= dict(zip(names, map(list, zip(*spans, strict=True)), strict=True))
        paths = [one.path for one in some]
        return await self.files.rows(name, paths, self.deadline, *switches, **values)


def _held(found: Iterable[asyncpg.Record]) -> list[Held]:
    """The files of the rows of `archived/files.sql`."""
    return [held_of(one) for one in found if one["path"] is not None]
