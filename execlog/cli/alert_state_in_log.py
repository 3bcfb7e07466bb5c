"""What fires, kept in the log's own database by a role that may write nothing else there."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

from pydantic import TypeAdapter, ValidationError

from execlog.cli.alert_state import PATIENCE, AlertState, Held
from execlog.cli.alerts import Firing
from execlog.cli.server import SECONDS, connected
from execlog.cli.state_file import StateUnavailable
from execlog.db.executor import Store
from execlog.db.files import folder
from execlog.db.statements import Statement, load_statements
from execlog.errors import NO_RIGHT, READ_ONLY, ExeclogError

__all__ = ["in_log"]

_HELD_SECONDS = 120.0  # longer than a check and its webhook take; then its process counts as dead
_POLL_SECONDS = 0.2
_STATEMENTS = {"hold_state", "keep_state", "release_state"}
_NO_WRITER = (
    "the state of the alerts can't be kept in the log: this role or server takes no writes; give"
    " --state, or make a role with `execlog roles --alerter`"
)
_FIRING = TypeAdapter(list[Firing])


def in_log(dsn: str | None, schema: str) -> AlertState:
    """A state in the log's database, on a connection of its own. Never raises.

    Args:
        dsn: The server, as it was given; its role must be one of `execlog roles --alerter`.
        schema: The schema of the log.
    """

    @contextlib.asynccontextmanager
    async def held(check: str) -> AsyncIterator[Held]:
        holder = uuid4()
        asked: dict[str, Any] = {"check_id": check, "holder": holder}
        sql = _statements(schema)
        async with connected(dsn, writes=True) as pool:
            store = Store(pool, SECONDS)

            async def run(name: str, **more: Any) -> list[Any]:
                try:
                    return await store.fetch(sql[name].query(**asked, **more))
                except ExeclogError as error:
                    if error.sqlstate not in (NO_RIGHT, READ_ONLY):
                        raise
                raise StateUnavailable(_NO_WRITER)

            async def keep(firing: Sequence[Firing]) -> None:
                text = _FIRING.dump_json(list(firing), by_alias=True).decode()
                if not await run("keep_state", seconds=_HELD_SECONDS, firing=text):
                    raise StateUnavailable("another check holds the state of the alerts")

            last = time.monotonic() + PATIENCE
            while not (found := await run("hold_state", seconds=_HELD_SECONDS)):
                if time.monotonic() > last:
                    raise StateUnavailable("another check holds the state of the alerts")
                await asyncio.sleep(_POLL_SECONDS)
            try:
                yield Held(_read(found[0]["firing"]), keep)
            finally:
                await run("release_state")

    return held


def _read(text: str) -> list[Firing]:
    try:
        return _FIRING.validate_json(text)
    except ValidationError:
        raise StateUnavailable("the log holds what is no state of alerts") from None


@functools.cache
def _statements(schema: str) -> Mapping[str, Statement]:
    return load_statements(folder("sql") / "alerts", _STATEMENTS, schema)
