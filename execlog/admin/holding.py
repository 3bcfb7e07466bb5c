"""The lease of a log for work on its archive."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from execlog.admin.lease import Lease
from execlog.admin.session import DRIVER_ERRORS, Session
from execlog.errors import InvalidArgument, StoreUnavailable

if TYPE_CHECKING:
    from execlog.db.connections import Target

__all__ = ["held"]


@contextlib.asynccontextmanager
async def held(target: Target, schema: str) -> AsyncIterator[Lease]:
    """The lease is ours inside the block.

    Args:
        target: A DSN, a Connection outside of a transaction, or a Pool; of the log's owner.
        schema: The schema of the log.

    Raises:
        InvalidArgument: `target` is in a transaction, or leads to a pooler.
        StoreUnavailable: Another process maintains the log.
        PostgresError, InterfaceError, OSError, TimeoutError: As the driver raises them.
    """
    async with Session(target) as session:
        if session.connection.is_in_transaction():
            raise InvalidArgument("target", "is a connection in a transaction")
        lease = Lease(session, schema)
        await lease.look()
        try:
            standing = await lease.take()
            if not standing.is_ours:
                holder = standing.holder or "another process"
                raise StoreUnavailable(f"{holder} maintains this log: try again later")
            yield lease
        finally:
            with contextlib.suppress(*DRIVER_ERRORS):
                await lease.release(completed=False, left=None)
