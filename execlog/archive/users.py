"""The filter of the users of a file, by which files that can't hold a user are left alone."""

from __future__ import annotations

from execlog.archive.engine import Engine

__all__ = ["filter_of_users"]

_BITS_OF_USER, _BITS_OF_BLOCK = 12, 512
_MOST_BLOCKS = 2**20  # 64 MB; DuckDB makes less than twice as much


async def filter_of_users(engine: Engine) -> bytes:
    """The bits that tell which users a file may hold; `may_hold` of the log reads them.

    A block of 512 bits for about 43 users, each of whom sets seven: one in some hundred users that
    the file does not hold seems to be there, and none that it holds seems not to be. More than 44
    million users share the most blocks that there are.

    Args:
        engine: It has the file as `written`.

    Raises:
        ArchiveError: DuckDB refuses.
    """
    count = await engine.sent("user_count")
    blocks = count["users"] * _BITS_OF_USER // _BITS_OF_BLOCK + 1
    words = {"blocks": str(min(blocks, _MOST_BLOCKS))}
    found = await engine.sent("user_filter", words)
    return found["bits"] or b""
