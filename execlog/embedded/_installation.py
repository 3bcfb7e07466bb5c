"""The user who runs the embedded server, and programs of Postgres that this user can run.

Used by `_watchdog.py` and, like it, written with the standard library alone.

Two things can keep the installed programs from running. Postgres refuses root, so root runs them as
another user, who may be unable to enter root's folders or to read what was installed with a umask
of 077. And `initdb` fails if its user has no name, as in a container with a numeric user. A copy in
the server's own folder solves both.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Failed", "User", "copy", "forbids_programs", "real", "reason", "usable", "version"]

_PROGRAMS = ("initdb", "postgres")
_LIBRARY = re.compile(r"\.(so|dylib)(\.|$)")
# How a program says that its libraries lie beside it: ELF, ELF with braces, Mach-O.
_BESIDE = re.compile(rb"(?:\$ORIGIN|\$\{ORIGIN\}|@loader_path)([^\0:]{0,500})")
_MOST_FOLDERS = 50
_DEEPEST = 8  # folders below share/
_NOT_NEEDED = ("doc", "locale", "man")
_NOBODY = 65534


class Failed(Exception):
    """The server can't be started: the reason, and the caller's argument that is to blame."""

    def __init__(self, problem: str, argument: str | None = None) -> None:
        super().__init__(problem)
        self.argument = argument


@dataclass(frozen=True)
class User:
    """The user that the server runs as: the present one, or another one if that is root."""

    uid: int
    gid: int

    @classmethod
    def of(cls, data: int | None) -> User:
        """The owner of the data folder (an open descriptor), or a user for a new one."""
        if os.geteuid() != 0:
            return cls(os.geteuid(), os.getegid())
        if data is not None:
            found = os.fstat(data)
            if found.st_uid != 0:
                return cls(found.st_uid, found.st_gid)
            if os.listdir(data):
                raise Failed("belongs to root, as whom Postgres refuses to run", "data_dir")
        try:
            nobody = pwd.getpwnam("nobody")
        except KeyError:
            return cls(_NOBODY, _NOBODY)
        return cls(nobody.pw_uid, nobody.pw_gid)

    def command(self) -> dict[str, Any]:
        """The keyword arguments that make a child process run as this user."""
        if self.uid == os.geteuid():
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Runs a command as this user, without input: ours is the caller's order."""
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            cwd="/",
            check=False,
            **options,
            **self.command(),
        )

    def can_enter(self, folder: Path) -> bool:
        if not self.command():
            return os.access(folder, os.X_OK)
        try:
            return self.run("/bin/sh", "-c", 'cd "$1"', "sh", str(folder)).returncode == 0
        except PermissionError:
            why = "root may not become another user here, and Postgres refuses root"
            raise Failed(why) from None

    def give(self, folder: Path | int) -> None:
        """Makes this user the owner; a link is never followed."""
        if self.command():
            if isinstance(folder, int):
                os.fchown(folder, self.uid, self.gid)
            else:
                os.chown(folder, self.uid, self.gid, follow_symlinks=False)

    @property
    def unnamed(self) -> bool:
        """Whether the user id has no name here."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return True
        return False

    def explained(self, failure: Exception) -> Exception:
        """The failure of a copy for a user without a name, with the remedy."""
        if not self.unnamed:
            return failure
        return Failed(
            f"the user id {self.uid} has no name here, and Postgres asks for one: add a line for "
            f"it to /etc/passwd, or use a server of your own ({failure})"
        )


def forbids_programs(folder: str) -> bool:
    """Whether the folder is mounted so that no program can be started from it."""
    return bool(os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0))


def reason(said: str) -> str:
    """The last line that says why something failed, else the last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["it said nothing"]
    for sign in ("FATAL|ERROR|error:", "could not|cannot"):
        if why := [line for line in lines if re.search(sign, line)]:
            return why[-1]
    return lines[-1]


def real(binaries: Path) -> Path:
    """The folder that the links in this one lead to; Postgres follows them too."""
    found = (binaries / "postgres").resolve().parent
    return found if (found / "initdb").exists() else binaries


def usable(binaries: Path, user: User) -> tuple[Path, int] | None:
    """The folder of the programs and their major version; None: this user needs a copy."""
    if user.unnamed:
        return None
    try:
        return binaries, version(binaries, user)
    except Failed:
        # Our own user could not run a copy either.
        if not user.command():
            raise
    return None


def copy(binaries: Path, target: Path, user: User) -> Path:
    """Copies what the server needs, and keeps the relative paths between its parts.

    Postgres and the loader find data and libraries relative to the program. The programs are
    always copied, because Postgres follows links; the rest if the user can't reach it.
    """
    programs = [binaries / name for name in _PROGRAMS]
    share, modules = _parts(binaries)
    parts = {share, modules, *_libraries([*programs, *_shared(modules)])}
    base = os.path.commonpath([binaries, *parts])
    for program in programs:
        content = program.read_bytes()
        if user.unnamed:
            # Both return a struct passwd, whose name is used in a message only. getpwent returns
            # the first user there is.
            content = content.replace(b"\0getpwuid\0", b"\0getpwent\0")
        copied = _place(program, base, target)
        copied.write_bytes(content)
        copied.chmod(0o755)
    for part in parts:
        place = _place(part, base, target)
        holds_others = any(part in other.parents for other in (binaries, *parts))
        if user.can_enter(part) and not holds_others:
            place.symlink_to(part)
        elif part == share:
            _copy_tree(part, place)
        else:
            place.mkdir(exist_ok=True)
            for library in _shared(part):
                _copy_file(library, place / library.name)
    return target / binaries.relative_to(base)


def version(binaries: Path, user: User) -> int:
    """The major version; runs each program once: a copy may lack anything.

    Raises:
        Failed: This user can't run one of them.
    """
    said = ""
    for name in _PROGRAMS:
        problem = f"the user id {user.uid} can't run {binaries / name}: "
        try:
            done = user.run(str(binaries / name), "--version")
        except OSError as error:
            raise Failed(f"{problem}{error.strerror}") from None
        if done.returncode:
            raise Failed(f"{problem}{reason(done.stderr)}")
        said = done.stdout
    major = re.search(r"\d+", said)
    return int(major[0]) if major else 0


def _place(source: Path, base: str, target: Path) -> Path:
    place = target / source.relative_to(base)
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _parts(binaries: Path) -> tuple[Path, Path]:
    """The folders of the data files and of the modules, as the installation says if it does."""
    try:
        done = User(os.geteuid(), os.getegid()).run(
            str(binaries / "pg_config"), "--sharedir", "--pkglibdir"
        )
        share, modules = map(Path, done.stdout.splitlines())
    except (OSError, ValueError):
        share, modules = binaries.parent / "share", binaries.parent / "lib"
    if not (share / "postgres.bki").is_file():
        raise Failed(f"Postgres's own files do not lie in {share}, as {binaries} says")
    return share, modules


def _libraries(files: list[Path]) -> set[Path]:
    """The folders where these files, and the libraries there, look for libraries."""
    found: set[Path] = set()
    while files and len(found) < _MOST_FOLDERS:
        for folder in set(_beside(files.pop())) - found:
            found.add(folder)
            files += _shared(folder)
    return found


def _beside(file: Path) -> Iterator[Path]:
    content = file.read_bytes()
    if b"ORIGIN" in content or b"@loader_path" in content:  # much faster than the pattern
        for way in _BESIDE.findall(content):
            folder = os.path.normpath(f"{file.parent}/{os.fsdecode(way)}")
            if os.path.isdir(folder):
                yield Path(folder)


def _shared(folder: Path) -> list[Path]:
    """The shared libraries that lie in a folder."""
    return [path for path in folder.iterdir() if _LIBRARY.search(path.name) and path.is_file()]


def _copy_tree(source: Path, target: Path, depth: int = _DEEPEST) -> None:
    target.mkdir(exist_ok=True)
    for path in source.iterdir():
        if path.is_file():
            _copy_file(path, target / path.name)
        elif path.is_dir() and path.name not in _NOT_NEEDED and depth:
            _copy_tree(path, target / path.name, depth - 1)


def _copy_file(source: Path, target: Path) -> None:
    """Makes a file there that everybody can read; a hard link, if possible, is much faster."""
    if target.exists():
        return
    source = source.resolve()
    mode = source.stat().st_mode
    if mode & 0o444 == 0o444:
        with contextlib.suppress(OSError):  # another file system, or one without hard links
            os.link(source, target)
            return
    shutil.copyfile(source, target)
    target.chmod(0o755 if mode & 0o111 else 0o644)
