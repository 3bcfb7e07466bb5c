"""Many tests at once: which of them stand, if false ones are held at a level."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["stand"]


def stand(p_values: Sequence[float], level: float, tests: int | None = None) -> list[bool]:
    """Which of the tests stand by the procedure of Benjamini and Hochberg.

    At most a share `level` of those that stand is false on average; if nothing is true, one stands
    with a probability of `level` at most (Benjamini and Hochberg, 1995, Journal of the Royal
    Statistical Society B 57: sort the p-values, find the last k with p(k) <= level k / tests, keep
    the first k).

    Args:
        p_values: One for each test.
        level: Within (0, 1).
        tests: How many were tried in all, if the p-values of some that can't stand are left out;
            None: as many as there are.

    Never raises for such arguments.
    """
    tried = len(p_values) if tests is None else tests
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    last = 0
    for rank, place in enumerate(order, 1):
        if p_values[place] <= level * rank / tried:
            last = rank
    kept = set(order[:last])
    return [place in kept for place in range(len(p_values))]
