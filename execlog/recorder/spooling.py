"""How a recorder keeps what is pending in files, as it was asked to."""

from __future__ import annotations

import os
from typing import Literal, get_args

from execlog.db import validation
from execlog.errors import InvalidArgument
from execlog.recorder.spool.place import prepared
from execlog.recorder.spool.spool import Spool
from execlog.recorder.this_process import about_process

__all__ = ["Durability", "Spooling"]

Durability = Literal["process", "disk"]
"""What pending executions outlive: their process, or the machine too."""

_LEAST_BYTES = 1024 * 1024


class Spooling:
    """The settings of a spool.

    Args:
        folder: Where the files are.
        most_bytes: Bytes that a recorder's files may take.
        durability: What pending executions outlive.

    Raises:
        InvalidArgument: One of them can't be used.
    """

    def __init__(
        self, folder: str | os.PathLike[str], most_bytes: int, durability: Durability
    ) -> None:
        """Makes the folder, if it is not there. Raises InvalidArgument: see the class."""
        self._most_bytes = validation.count("spool_bytes", most_bytes, least=_LEAST_BYTES)
        if durability not in get_args(Durability):
            problem = f"must be one of {', '.join(get_args(Durability))}"
            raise InvalidArgument("durability", problem)
        self._durable = durability == "disk"
        self._folder = prepared(folder)

    def begin(self, batch_bytes: int) -> Spool:
        """The files of a new recorder in this process. Never raises.

        Args:
            batch_bytes: The rows of a batch take about so many bytes at most.
        """
        return Spool(
            self._folder,
            limit=self._most_bytes,
            batch_bytes=batch_bytes,
            durable=self._durable,
            info=about_process(),
        )
