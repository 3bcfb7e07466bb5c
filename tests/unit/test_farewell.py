"""What a server says before it ends a connection, in whatever pieces it arrives."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from execlog.db.farewell import Farewell


class Driver(asyncio.Protocol):
    """Takes what comes."""

    def __init__(self) -> None:
        self.taken = b""

    def data_received(self, data: bytes) -> None:
        self.taken += data


class Wire(asyncio.Transport):
    """Knows its protocol."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = Driver()

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol  # type: ignore[no-any-return]

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def message(kind: bytes, body: bytes) -> bytes:
    return kind + (4 + len(body)).to_bytes(4) + body


ROWS = message(b"D", b"x" * 50_000) + message(b"s", b"")
READY = message(b"Z", b"T")
NOTICE = message(b"N", b"SNOTICE\0C00000\0Mhush\0\0")
LAST = message(b"E", b"SFATAL\0C40001\0Mterminating\0Fpostgres.c\0\0")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([ROWS + READY], [LAST]),
        ([ROWS + READY], [NOTICE + LAST[:9], LAST[9:]]),
        ([ROWS + READY + LAST], []),
        ([ROWS + READY, LAST], []),
        ([ROWS + READY[:3], READY[3:] + NOTICE, LAST], []),
        ([ROWS[:7], ROWS[7:] + READY + LAST[:1]], [LAST[1:]]),
    ],
    ids=["later", "in pieces", "together", "at once", "readiness in pieces", "half of it before"],
)
async def test_its_last_words_are_heard(before: list[bytes], after: list[bytes]) -> None:
    wire = Wire()
    driver = wire.protocol
    farewell = Farewell(SimpleNamespace(_transport=wire))
    for data in before:
        farewell.data_received(data)
    farewell.rest()
    for data in after:
        farewell.data_received(data)
    with pytest.raises(asyncpg.ConnectionDoesNotExistError) as caught:
        await farewell.ask()
    assert isinstance(caught.value.__cause__, asyncpg.SerializationError)
    assert driver.taken == b"".join([*before, *after])
    farewell.end()
    assert wire.protocol is driver


async def test_no_last_words() -> None:
    farewell = Farewell(SimpleNamespace(_transport=Wire()))
    # An error of the answer before is none, nor is one that a row seems to hold.
    farewell.data_received(message(b"D", LAST) + LAST + READY)
    farewell.rest()
    farewell.data_received(NOTICE)
    await farewell.ask()
    farewell.data_received(ROWS + READY)
    farewell.rest()
    await farewell.ask()
