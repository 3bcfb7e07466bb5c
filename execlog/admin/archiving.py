"""Has the rows that a step is to remove in verified files of the archive before it does."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from uuid import uuid4

from execlog.admin.lease import Lease
from execlog.admin.partitions import DEFAULT, Step
from execlog.admin.replacing import remove_ok_now, replaced
from execlog.admin.scripts import archiving_script
from execlog.admin.summing import summed
from execlog.admin.yielding import Yielding
from execlog.archive import entries
from execlog.archive.part import Sums, Written, differing, written
from execlog.archive.place import Place
from execlog.db.connections import LONGEST_SECONDS
from execlog.db.copy_format import timestamp
from execlog.db.sqltext import filled
from execlog.errors import ArchiveError

if TYPE_CHECKING:
    from execlog.archive.entries import ArchivedFile

__all__ = ["UNSAVED", "Archiving"]

UNSAVED: Mapping[str, str] = {
    "is_saved": "false",
    "snapshot": "1:1:",
    "xmin": "1",
    "later": "0",
    "seen": "{}",
}
"""The words of a step whose rows go to no archive."""

_BEGIN, _END = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_MINUTE = timedelta(minutes=1)
_MOST_ROWS = 500_000  # of a file, in whole minutes: these are sorted in memory
_PROVE_SECONDS = 10.0

Answer = TypeVar("Answer")


class _Span(NamedTuple):
    """Whole minutes of a day, and how many rows they have."""

    begins: datetime
    ends: datetime
    rows: int

    @property
    def day(self) -> date:
        return self.begins.date()


class Archiving:
    """The archive of a log, for the holder of the lease.

    Args:
        lease: The lease.
        folder: The folder of the archive; None: none was given.
    """

    def __init__(self, lease: Lease, folder: str | None) -> None:
        """Takes the lease; nothing is sent. Never raises."""
        self._lease = lease
        self._place = None if folder is None else Place(folder)
        self._is_ready = False
        self._yielding = Yielding()

    async def saved(self, step: Step, *, is_cluster: bool) -> Mapping[str, str]:
        """Has the rows that a step is to remove in files; the words that its scripts need.

        Args:
            step: The step: "drop", "thin" or "purge".
            is_cluster: Whether the log is spread over a cluster.

        Raises:
            ArchiveError: The rows can't be archived, or the log has an archive and no folder was
                given; nothing may be removed.
            PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
        """
        state = await self._state()
        if self._place is None:
            if state.folder is None:
                return UNSAVED
            where = f"{state.folder} on {state.host}"
            raise ArchiveError(f"old rows go to the archive in {where}: name its folder")
        if is_cluster:
            raise ArchiveError("a cluster has no archive: its rows lie on other machines")
        if step.partition != DEFAULT and (step.begins == _BEGIN or step.ends == _END):
            raise ArchiveError("a partition without a finite begin and end is not archived")
        if not self._is_ready:
            await self._prepare(self._place, state)
        self._is_ready = False  # if it fails, it may leave something
        words = _words(step)
        if any(one.rows_in_log for one in await self._files()):
            # Failures that stay may be in files as ok: they were changed since.
            words["failures_before"] = words["ends"]
        saved = await self._saved(self._place, words)
        self._is_ready = True
        return saved

    async def _state(self) -> entries.Home:
        lease = self._lease
        async with lease.transaction():
            return await entries.state(lease.session.connection, lease.schema)

    async def _files(self) -> list[ArchivedFile]:
        lease = self._lease
        async with lease.transaction():
            await lease.send(["prove"])
            return await entries.entries(lease.session.connection, lease.schema)

    async def _prepare(self, place: Place, state: entries.Home) -> None:
        """Checks the folder, clears what a killed run left, and notes where rows go."""
        if state.files:
            # A folder that is away must not be made a second time.
            await asyncio.to_thread(place.check, state.log_id)
        else:
            await asyncio.to_thread(place.claim, state.log_id)
        files = await self._files()
        await asyncio.to_thread(place.sweep, files)
        await asyncio.to_thread(place.complain, files)
        lease = self._lease
        claim = entries.statements_of(lease.schema)["claim"].sql
        async with lease.transaction():
            await lease.send(["prove"])
            host = socket.gethostname()
            await lease.session.connection.execute(claim, str(place.root), host)

    async def _saved(self, place: Place, words: Mapping[str, str]) -> Mapping[str, str]:
        lease = self._lease
        async with lease.transaction(snapshot=True):
            await lease.send(["prove"])
            await self._look()
            [seen] = await self._fetch("snapshot", words)
            if seen["later"] and words["partition"] == DEFAULT:
                # A purge could not tell them from those that come later; the log is not locked.
                raise ArchiveError("DEFAULT has rows whose stored_xid is another server's: null it")
            minutes = await self._fetch("minutes", words)
        for span in _spans([(one["begins"], one["rows"]) for one in minutes]):
            began = time.monotonic()
            await self._file(place, span, words)
            self._yielding.keep_up(span.rows, time.monotonic() - began)
        return {
            "is_saved": "true",
            "snapshot": seen["snapshot"],
            "xmin": seen["xmin"],
            "later": str(seen["later"]),
            "seen": seen["seen"],
        }

    async def _file(self, place: Place, span: _Span, words: Mapping[str, str]) -> None:
        """Has the rows of some minutes in files, in one transaction of one snapshot."""
        lease = self._lease
        files = [one for one in await self._files() if one.day == span.day]
        held = [one for one in files if one.last_at >= span.begins and one.first_at < span.ends]
        for one in held:
            await self._trusted(place, one)
        own = {**words, "begins": timestamp(span.begins), "ends": timestamp(span.ends)}
        # The transaction ends before the space goes: until then a kill leaves both.
        with place.workspace(uuid4().hex) as space:
            async with lease.transaction(snapshot=True):
                await lease.send(["prove"])
                await self._look()
                sums = await summed(lease, self._look, self._yielding, own)
                rows = space / "rows.csv"
                await self._copied(place, rows, own)
                paths = [place.root / one.path for one in held]
                most_bytes = sums["most_bytes"] or 0
                made = await self._beside(written(place.root, space, rows, paths, most_bytes))
                _check(sums, made)
                rows.unlink()
                part = place.next_part(span.day, files)
                if made.rows:
                    await self._entered(place, span, made, part)
                gone = await self._succeeded(place, held, made, part + 1, words["partition"])
                await lease.send(["prove"])
            for path in gone:
                await asyncio.to_thread(place.remove, path)

    async def _succeeded(
        self, place: Place, held: Sequence[ArchivedFile], made: Written, part: int, partition: str
    ) -> list[str]:
        """Puts successors in the places of files; the paths of those."""
        gone = []
        for number, one in enumerate(made.successors, part):
            [old] = [old for old in held if place.root / old.path == one.old]
            await replaced(
                self._lease, place, old, one.path, number, ok_rows=one.ok_rows, users=one.users
            )
            gone.append(old.path)
            await remove_ok_now(self._lease, partition, old.day, number, one.ok_now)
        return gone

    async def _look(self) -> None:
        """Looks whether others store rows; if so, the transaction uses one process."""
        [stored] = await self._fetch("stored", {})
        self._yielding.look(stored["rows"])
        if self._yielding.is_busy:
            await self._lease.session.connection.execute(archiving_script("alone"))

    async def _trusted(self, place: Place, one: ArchivedFile) -> None:
        found = await asyncio.to_thread(place.digest, one.path)
        if found != one.sha256:
            raise ArchiveError(f"{place.root / one.path} is damaged: its digest is another")

    async def _copied(self, place: Place, rows: Path, words: Mapping[str, str]) -> None:
        """Has the rows in a text file. What the disk refuses is no error of the connection."""
        sql = filled(archiving_script("rows"), self._lease.schema, words)
        failed: list[ArchiveError] = []
        with place.new_file(rows) as write:

            async def taken(piece: bytes) -> None:
                # An error here would have the driver cancel, and wait for what the server sends.
                if not failed:
                    try:
                        write(piece)
                    except ArchiveError as error:
                        failed.append(error)
                    await self._yielding.pause()  # the server waits until it can send more

            await self._lease.session.connection.copy_from_query(
                sql, output=taken, format="csv", null=r"\N", timeout=LONGEST_SECONDS
            )
        for error in failed:
            raise error

    async def _entered(self, place: Place, span: _Span, made: Written, part: int) -> None:
        """Gives a file its name and its entry."""
        path = place.path_of(span.day, part)
        digest = await self._beside(asyncio.to_thread(place.digest, made.path))
        await self._beside(asyncio.to_thread(place.publish, made.path, path))
        enter = entries.statements_of(self._lease.schema)["enter"].sql
        await self._lease.session.connection.execute(
            enter,
            span.day,
            part,
            path,
            span.begins,
            span.ends,
            made.rows,
            made.ok_rows,
            made.path.stat().st_size,
            bytes.fromhex(digest),
            made.first_at,
            made.last_at,
            made.users,
        )

    async def _beside(self, work: Awaitable[Answer]) -> Answer:
        """The result of work on files; meanwhile the lease is renewed."""
        task = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({task}, timeout=_PROVE_SECONDS))[0]:
                await self._lease.send(["prove"])
            return await task
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _fetch(self, name: str, words: Mapping[str, str]) -> list[Any]:
        sql = filled(archiving_script(name), self._lease.schema, words)
        return await self._lease.session.connection.fetch(sql, timeout=LONGEST_SECONDS)


def _check(sums: Sums, made: Written) -> None:
    """Raises ArchiveError if the files do not hold what the log holds."""
    if found := differing(sums, made):
        raise ArchiveError(f"what was written is not what the log holds: {', '.join(found)} differ")


def _spans(minutes: Sequence[tuple[datetime, int]]) -> list[_Span]:
    """Whole minutes of one day each, in files of not too many rows."""
    found: list[_Span] = []
    for begins, rows in minutes:
        begins = begins.astimezone(UTC)
        last = found[-1] if found else None
        if last and last.day == begins.date() and last.rows + rows <= _MOST_ROWS:
            found[-1] = _Span(last.begins, begins + _MINUTE, last.rows + rows)
        else:
            found.append(_Span(begins, begins + _MINUTE, rows))
    return found


def _words(step: Step) -> dict[str, str]:
    """Which rows a step removes: a purge keeps failures from its begin on."""
    is_purge = step.partition == DEFAULT
    return {
        "partition": step.partition,
        "begins": "-infinity" if is_purge else timestamp(step.begins),
        "ends": timestamp(step.ends),
        "failures_before": timestamp(step.begins if is_purge else step.ends),
    }
