"""How sure a share is that was found among some runs."""

from __future__ import annotations

import math

__all__ = ["wilson"]

_Z = 1.959963984540054  # of the normal distribution, 95 % lie within


def wilson(share: float, runs: float) -> tuple[float, float]:
    """Wilson's interval of 95 %; from 0 to 1 if nothing ran. Never raises.

    Args:
        share: The share that was found, 0 to 1.
        runs: Of how many independent runs; of weighed ones the effective number, the square of the
            sum of the weights over the sum of their squares.
    """
    if runs <= 0:
        return 0.0, 1.0
    spread = _Z * _Z / runs
    middle = (share + spread / 2) / (1 + spread)
    half = _Z * math.sqrt(share * (1 - share) / runs + spread / (4 * runs)) / (1 + spread)
    # At 0 and 1 rounding must not leave the share outside.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)
