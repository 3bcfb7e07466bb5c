"""How long runs took, as a histogram: memory does not grow with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from execlog.replaying.result import Times
from execlog.repository import histogram

__all__ = ["Durations"]

# The bars of the rollups.
_FIRST, _GROWTH, _LAST = 0.001, math.log(1.02), 1745


@dataclass
class Durations:
    """Durations as a histogram whose bars are 2 % wide."""

    weight: float = 0.0
    total: float = 0.0
    low: float = math.inf
    high: float = 0.0
    bars: dict[int, float] = field(default_factory=dict)

    def add(self, ms: float, weight: float) -> None:
        """Counts one. Never raises for a duration of the log."""
        bar = 0 if ms < _FIRST else min(1 + int(math.log(ms / _FIRST) / _GROWTH), _LAST)
        self.bars[bar] = self.bars.get(bar, 0.0) + weight
        self.weight += weight
        self.total += ms * weight
        self.low, self.high = min(self.low, ms), max(self.high, ms)

    def times(self) -> Times | None:
        """The average and percentiles; None without any. Never raises."""
        if not self.weight:
            return None
        ordered = dict(sorted(self.bars.items()))
        found, _ = histogram.percentiles(ordered, (0.5, 0.95, 0.99), self.low, self.high)
        p50, p95, p99 = found
        return Times(avg_ms=self.total / self.weight, p50_ms=p50, p95_ms=p95, p99_ms=p99)

    def dump(self) -> list[Any]:
        """The state as JSON. Never raises."""
        low = self.low if self.weight else None
        return [self.weight, self.total, low, self.high, list(self.bars.items())]

    @classmethod
    def load(cls, state: list[Any]) -> Durations:
        """What was dumped. Raises ValueError: it is none."""
        weight, total, low, high, bars = state
        return cls(weight, total, math.inf if low is None else low, high, dict(bars))
