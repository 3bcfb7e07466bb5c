"""The pauses between tries: longer each time, capped, spread, and short again after a success."""

from __future__ import annotations

import random

from execlog.recorder.backoff import Backoff


def test_they_double_up_to_the_cap_and_keep_to_the_upper_half() -> None:
    backoff = Backoff(0.1, 5.0, random.Random(1))
    longest = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    for most in longest:
        assert most / 2 <= backoff.next() <= most
    backoff.reset()
    assert 0.05 <= backoff.next() <= 0.1


def test_two_are_not_in_step() -> None:
    one, other = (Backoff(1.0, 1.0, random.Random(seed)) for seed in (1, 2))
    pauses = [one.next() for _ in range(50)]
    assert pauses != [other.next() for _ in range(50)]
    assert len({round(pause, 2) for pause in pauses}) > 20
