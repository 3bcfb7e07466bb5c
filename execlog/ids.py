"""Identifiers that sort by time: UUID version 7 (RFC 9562)."""

from __future__ import annotations

import os
import random
import threading
import time
from uuid import UUID

# The driver's own UUID, as it reads them too: a subclass of the standard one, made in an eighth of
# the time.
from asyncpg.pgproto.pgproto import UUID as FastUUID

__all__ = ["FastUUID", "uuid7", "uuid7_bytes"]

_TICKS_A_MILLISECOND = 4096  # the 12 bits beside the version hold a fraction of the millisecond
_TAIL_BITS = 62
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62

# Reentrant: a signal handler may ask for an identifier while its thread is being given one.
_lock = threading.RLock()
_last_tick = 0
_tail = 0
# Unique is what they must be, not hard to guess; a generator of one's own is five times as fast as
# asking the system for each.
_bits = random.Random().getrandbits  # noqa: S311


def uuid7() -> UUID:
    """A new identifier, greater than every one that this process made before.

    It holds the clock's time to a quarter of a microsecond. Where the clock stands still or goes
    back, the last identifier's successor follows. Safe to call from threads. Never raises.
    """
    return FastUUID(uuid7_bytes(time.time_ns()))


def uuid7_bytes(now: int) -> bytes:
    """The 16 bytes of such an identifier.

    Args:
        now: The clock, in nanoseconds since 1970.

    Never raises.
    """
    global _last_tick, _tail
    tick = now * _TICKS_A_MILLISECOND // 1_000_000
    with _lock:
        if tick > _last_tick:
            # Anywhere in its lower half, so that there is room to count on.
            _last_tick, _tail = tick, _bits(_TAIL_BITS - 1)
        else:
            _tail += _bits(32) + 1
            if _tail >> _TAIL_BITS:
                _last_tick, _tail = _last_tick + 1, _bits(_TAIL_BITS - 1)
        millisecond, fraction = divmod(_last_tick, _TICKS_A_MILLISECOND)
        value = millisecond << 80 | fraction << 64 | _VERSION_AND_VARIANT | _tail
    return value.to_bytes(16, "big")


def _forget() -> None:
    """A forked child starts a line of its own: its first id must not repeat its parent's next."""
    global _lock, _last_tick, _bits
    _lock = threading.RLock()
    _last_tick = 0
    _bits = random.Random().getrandbits  # noqa: S311


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
