"""The folder of an archive: whose it is, what lies there, and how a file gets its name for good."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from pathlib import Path
from uuid import UUID

from execlog.archive.entries import ArchivedFile
from execlog.errors import ArchiveError, InvalidArgument

__all__ = ["Place", "folder_of"]

_IDENTITY, _UNFINISHED = "log.json", "unfinished"
_TABLE = "strategy_execution_log"
_PATTERN = frozenset("*?[")
_PIECE = 2**20
_SHOWN = 3  # files that are named; the others are counted


def folder_of(given: object) -> str:
    """The absolute path of a folder that was given as text or path.

    Raises:
        InvalidArgument: It is neither, or empty, or DuckDB takes it for a pattern of paths.
    """
    if not isinstance(given, str | os.PathLike):
        raise InvalidArgument("archive", "must be the path of a folder")
    path = os.fspath(given)
    if not isinstance(path, str) or not path or "\0" in path or "\n" in path:
        raise InvalidArgument("archive", "must be the path of a folder")
    whole = os.path.abspath(path)
    if _PATTERN.intersection(whole):
        # DuckDB has no way to read such a path while it is kept to one folder.
        raise InvalidArgument("archive", "must be a path without *, ? and [")
    return whole


class Place:
    """The folder of an archive.

    Args:
        folder: Its absolute path.
    """

    def __init__(self, folder: str) -> None:
        """Takes the path; nothing is looked at. Never raises."""
        self.root = Path(folder)
        self._unfinished = self.root / _UNFINISHED

    def claim(self, log_id: UUID) -> None:
        """Makes the folder the log's, if it is new.

        Raises:
            ArchiveError: It is another log's, or can't be written to.
        """
        with self.errors():
            self.root.mkdir(0o700, exist_ok=True)
            self._refuse_link()
            if (self.root / _IDENTITY).exists():
                self.check(log_id)
                return
            if (self.root / _TABLE).exists():
                raise ArchiveError(f"{self.root} holds files, and {_IDENTITY} is not beside them")
            written = self.root / f".{_IDENTITY}"
            with open(os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump({"log": str(log_id), "format": 1}, file)
                file.flush()
                os.fsync(file.fileno())
            os.rename(written, self.root / _IDENTITY)
            _flush(self.root)

    def check(self, log_id: UUID) -> None:
        """Whether the folder is the log's.

        Raises:
            ArchiveError: It is not there, or another log's.
        """
        with self.errors():
            try:
                known = json.loads((self.root / _IDENTITY).read_text())
            except FileNotFoundError:
                raise ArchiveError(f"{self.root} is no archive: it has no {_IDENTITY}") from None
            except ValueError as error:
                raise ArchiveError(f"{self.root / _IDENTITY} is damaged") from error
            if not isinstance(known, dict) or known.get("log") != str(log_id):
                raise ArchiveError(f"{self.root} is the archive of another log")
            if known.get("format") != 1:
                raise ArchiveError(f"{self.root} was written by a later version")
            self._refuse_link()

    def _refuse_link(self) -> None:
        """DuckDB is kept to the folder, and a link may lead out of it, or to another disk."""
        if (table := self.root / _TABLE).is_symlink():
            raise ArchiveError(f"{table} is a symbolic link: name the folder that has the files")

    def lacking(self, files: Sequence[ArchivedFile]) -> list[ArchivedFile]:
        """Those that are not there, or have another size. Raises ArchiveError.

        Args:
            files: The files that the table lists.
        """
        with self.errors():
            return [one for one in files if self.size(one.path) != one.bytes]

    def strangers(self, files: Sequence[ArchivedFile]) -> list[str]:
        """The paths of files that readers of the folder take for its own, and that have no entry.

        Raises ArchiveError.

        Args:
            files: The files that the table lists.
        """
        known = {one.path for one in files}
        with self.errors():
            found = sorted((self.root / _TABLE).glob("**/*.parquet"))
            paths = [path.relative_to(self.root).as_posix() for path in found]
        return [path for path in paths if path not in known]

    def sweep(self, files: Sequence[ArchivedFile]) -> None:
        """Removes what a run that was killed left: files without an entry, and unfinished ones.

        Files that no run of ours was writing stay. The caller holds the lease. Raises ArchiveError.

        Args:
            files: The files that the table lists.
        """
        with self.errors():
            if not self._unfinished.exists():
                return
            mine = {_inode(path) for path in self._unfinished.glob("*/*")}
            for stranger in self.strangers(files):
                path = self.root / stranger
                if _inode(path) in mine:
                    path.unlink()
                    _flush(path.parent)
            shutil.rmtree(self._unfinished)

    def complain(self, files: Sequence[ArchivedFile]) -> None:
        """Compares the folder with the table.

        Args:
            files: The files that the table lists.

        Raises:
            ArchiveError: Files are missing, or have no entry.
        """
        if lacking := [one.path for one in self.lacking(files)]:
            said = f"lacks {len(lacking)} of the {len(files)} files that the log lists"
            raise ArchiveError(f"{self.root} {said}: {_named(lacking)}; nothing is archived")
        if strangers := self.strangers(files):
            said = f"holds {len(strangers)} files that the log does not list"
            hint = "if the log was restored from a backup, move them away"
            raise ArchiveError(f"{self.root} {said}: {_named(strangers)}; {hint}")

    @contextlib.contextmanager
    def workspace(self, token: str) -> Iterator[Path]:
        """A folder for unfinished files, which is removed at the end. Raises ArchiveError.

        If the block fails, a file that has its name already stays here too: it may have no entry,
        and the next `sweep` knows by this that it was ours.

        Args:
            token: What tells it from those of others.
        """
        with self.errors():
            self._unfinished.mkdir(0o700, exist_ok=True)
            own = self._unfinished / token
            own.mkdir(0o700)
            (own / "spill").mkdir(0o700)
        try:
            yield own
        except BaseException:
            for path in own.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.stat().st_nlink == 1:
                    path.unlink()
            raise
        shutil.rmtree(own, ignore_errors=True)

    @contextlib.contextmanager
    def new_file(self, path: Path) -> Iterator[Callable[[bytes], object]]:
        """What writes to a file that is new.

        Args:
            path: Where, within the folder.

        Raises:
            ArchiveError: The disk refuses; what it gives raises the same.
        """
        with self.errors():
            file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

        def write(piece: bytes) -> None:
            with self.errors():
                file.write(piece)

        try:
            yield write
            with self.errors():
                file.flush()
        finally:
            with contextlib.suppress(OSError):
                file.close()

    def path_of(self, day: date, part: int) -> str:
        """The path of a file within the folder. Never raises."""
        return f"{_TABLE}/day={day.isoformat()}/part-{part:04}.parquet"

    def next_part(self, day: date, files: Sequence[ArchivedFile]) -> int:
        """The number of the next file of a day. Never raises.

        Args:
            day: The day.
            files: The files that the table lists.
        """
        return max((one.part for one in files if one.day == day), default=0) + 1

    def publish(self, written: Path, path: str) -> None:
        """Gives a file its name, once the disk has all of it; its present name stays too.

        Args:
            written: Where it is now, within the folder.
            path: Its path within the folder.

        Raises:
            ArchiveError: The name is taken, or the folder can't be written to.
        """
        final = self.root / path
        with self.errors():
            os.chmod(written, 0o600)
            _flush(written)
            for above in (final.parent.parent, final.parent):
                if not above.exists():
                    above.mkdir(0o700)
                    _flush(above.parent)
            os.link(written, final)
            _flush(final.parent)

    def remove(self, path: str) -> None:
        """Removes a file that has no entry any more. Raises ArchiveError.

        Args:
            path: Its path within the folder.
        """
        final = self.root / path
        with self.errors():
            final.unlink()
            _flush(final.parent)

    def digest(self, path: str | Path) -> str:
        """SHA-256 of a file, in hexadecimal. Raises ArchiveError.

        Args:
            path: Its path, absolute or within the folder.
        """
        found = hashlib.sha256()
        with self.errors(), open(self.root / path, "rb") as file:
            while piece := file.read(_PIECE):
                found.update(piece)
        return found.hexdigest()

    def size(self, path: str) -> int | None:
        """How long a file is; None: it is missing. Raises ArchiveError.

        Args:
            path: Its path within the folder.
        """
        with self.errors():
            try:
                return (self.root / path).stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    @contextlib.contextmanager
    def errors(self) -> Iterator[None]:
        """Turns errors of the disk inside the block.

        Raises:
            ArchiveError: The disk refuses; it names the folder.
        """
        try:
            yield
        except OSError as error:
            raise ArchiveError(f"{self.root}: {(error.strerror or 'I/O error').lower()}") from error


def _named(paths: Sequence[str]) -> str:
    """The first few of them."""
    return ", ".join([*paths[:_SHOWN], *(["..."] if len(paths) > _SHOWN else [])])


def _inode(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _flush(path: Path) -> None:
    """Has the disk keep a file, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
