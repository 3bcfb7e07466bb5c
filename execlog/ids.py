"""Identifiers that sort by time: UUID version 7 (RFC 9562)."""

from __future__ import annotations

import os
import threading
import time
from uuid import UUID

__all__ = ["uuid7"]

_lock = threading.Lock()
_last = 0
# 74 bits are left beside time, version and variant: a counter of 42 on top of 32 random ones. The
# counter starts anywhere in its lower half and then only rises, so ids of one process never tie.
_COUNTER_BITS = 42
_RANDOM_BITS = 32


def uuid7() -> UUID:
    """A new identifier, greater than every one that this process made before.

    It holds the clock's milliseconds. Where the clock stands still or goes back, the last
    identifier's successor follows. Safe to call from threads. Never raises.
    """
    global _last
    noise = int.from_bytes(os.urandom(10), "big")
    with _lock:
        millisecond = time.time_ns() // 1_000_000
        ordinal = (millisecond << _COUNTER_BITS) | (noise >> (80 - _COUNTER_BITS + 1))
        # The same millisecond, or an earlier one: count on from the last.
        if millisecond <= _last >> _COUNTER_BITS:
            ordinal = _last + 1
        _last = ordinal
    tail = ((ordinal & ((1 << _COUNTER_BITS) - 1)) << _RANDOM_BITS) | (noise & 0xFFFFFFFF)
    value = (ordinal >> _COUNTER_BITS) << 80
    value |= 0x7 << 76 | (tail >> 62) << 64
    value |= 0b10 << 62 | (tail & ((1 << 62) - 1))
    return UUID(int=value)


def _forget() -> None:
    """A forked child starts a line of its own: its first id must not repeat its parent's next."""
    global _last, _lock
    _lock = threading.Lock()
    _last = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
