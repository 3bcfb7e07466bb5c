"""A file that is replaced as a whole: a reader finds what was there before, or what is new."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["replace_file"]


def replace_file(path: Path, held: bytes) -> None:
    """Has a file hold this, and the disk keep it; only its owner may read it.

    It is written beside itself and moved into its place. A link stays, and what it leads to is
    replaced.

    Args:
        path: The file; it need not exist.
        held: What it is to hold.

    Raises:
        OSError: It can't be written; then it is as it was.
    """
    final = Path(os.path.realpath(path))
    descriptor, beside = tempfile.mkstemp(prefix=f".{final.name}-", dir=final.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(held)
            file.flush()
            os.fsync(descriptor)
        os.replace(beside, final)
    except BaseException:
        os.unlink(beside)
        raise
