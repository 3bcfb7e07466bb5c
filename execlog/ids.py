"""Identifiers that sort by time: UUID version 7 (RFC 9562)."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable
from uuid import UUID

# The driver's own UUID, as it reads them too: a subclass of the standard one, made in an eighth of
# the time.
from asyncpg.pgproto.pgproto import UUID as FastUUID

__all__ = ["FastUUID", "uuid7", "uuid7_bytes"]

_TICKS_A_MILLISECOND = 4096  # the 12 bits beside the version hold a fraction of the millisecond
_VERSION, _VARIANT = 0x7000, 1 << 63

# Reentrant: a signal handler may ask for an identifier while its thread is being given one.
_lock = threading.RLock()
_last_tick = 0
_halves = struct.Struct(">QQ").pack
_number = int.from_bytes


def _source() -> Callable[[int], bytes]:
    """The system's own random bytes.

    Any other source - a generator, bytes that were fetched ahead - is part of the memory image,
    and a clone of the process would repeat it.
    """
    try:
        # It keeps the GIL. os.urandom releases it, and beside a thread that computes gets it back
        # a hundred times as late.
        os.getrandom(1)
    except (AttributeError, OSError):  # not Linux, or a sandbox that refuses it
        return os.urandom
    return os.getrandom


_random = _source()


def uuid7() -> UUID:
    """A new identifier, greater than every one that this process made before.

    It holds the clock's time to a quarter of a microsecond. If the clock stands still or goes
    back, it is a quarter of a microsecond after the last one. Its other 62 bits are fetched from
    the system for each identifier, so two processes that come of one memory image (a fork that
    Python does not notice, a snapshot that is resumed twice) make different ones. Safe to call
    from threads. Never raises.
    """
    return FastUUID(uuid7_bytes(time.time_ns()))


def uuid7_bytes(now: int) -> bytes:
    """The 16 bytes of such an identifier.

    Args:
        now: The clock, in nanoseconds since 1970.

    Never raises.
    """
    global _last_tick
    tick = now * _TICKS_A_MILLISECOND // 1_000_000
    with _lock:
        if tick <= _last_tick:
            tick = _last_tick + 1
        _last_tick = tick
    # The 48 bits of the millisecond, the version, the 12 bits of its fraction.
    upper = tick >> 12 << 16 | _VERSION | tick & 0xFFF
    return _halves(upper, _VARIANT | _number(_random(8), "big") >> 2)


def _forget() -> None:
    """A forked child needs a new lock: a thread that held the parent's does not exist here."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
