"""Whether a folder is one that a spool may be kept in."""

from __future__ import annotations

import contextlib
import os
import re
import stat

from execlog.db import validation
from execlog.errors import InvalidArgument

__all__ = ["prepared"]

# Where a lock may not hold, or a written page is lost with another machine.
_NETWORK = frozenset(
    "9p afs beegfs ceph cifs coda glusterfs gfs2 gpfs lustre ncpfs nfs nfs4 ocfs2 pvfs2 smb3 smbfs "
    "virtiofs".split()
)
_MOUNTS = "/proc/self/mountinfo"
_ESCAPE = re.compile(r"\\([0-7]{3})")


def prepared(folder: object) -> str:
    """The folder's absolute path; it is made, for its owner only, if it is not there.

    Raises:
        InvalidArgument: It is no path of a folder, may be written by other users, lies on a network
            file system, or can't be made or written.
    """
    if isinstance(folder, os.PathLike):
        folder = os.fspath(folder)
    if not isinstance(folder, str) or not folder or "\0" in folder:
        raise InvalidArgument("spool", validation.must_be("the path of a folder", folder))
    if os.name != "posix":
        raise InvalidArgument("spool", "needs a POSIX system")
    path = os.path.abspath(folder)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
        mode = os.stat(path).st_mode
    except OSError as error:
        raise InvalidArgument("spool", f"can't be made: {error.strerror}") from None
    if not stat.S_ISDIR(mode) or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise InvalidArgument("spool", "is not a folder that this process may write")
    # It was made for this, and with a usual umask; one with the sticky bit is for all users.
    if mode & 0o077 and not mode & stat.S_ISVTX and not os.listdir(path):
        with contextlib.suppress(OSError):
            os.chmod(path, 0o700)
            mode = 0o700
    # Each recorder's own folder in it is 0700, whatever this one allows.
    if mode & 0o022 and not mode & stat.S_ISVTX:
        raise InvalidArgument("spool", "may be written by other users: it should have mode 0700")
    if (system := _file_system(path)) in _NETWORK or system.startswith("fuse."):
        problem = f"lies on a network file system ({system}): its locks and pages may be lost"
        raise InvalidArgument("spool", problem)
    return path


def _file_system(path: str) -> str:
    """The type of the file system that it lies on; "" if it is not known."""
    real, best, found = os.path.realpath(path), "", ""
    with (
        contextlib.suppress(OSError),
        open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as mounts,
    ):
        for line in mounts:
            before, _, after = line.partition(" - ")
            point = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), before.split(" ")[4])
            inside = point == "/" or real == point or real.startswith(point + "/")
            if inside and len(point) >= len(best):  # a later mount hides an earlier one
                best, found = point, after.split(" ", 1)[0]
    return found
