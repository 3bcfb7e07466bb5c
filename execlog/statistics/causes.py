"""Which values explain a change: all are tested, then the strongest is taken out, again and again.

`screened` tests each value of each attribute against all other runs of the same blocks. If one
stands (Benjamini-Hochberg over all that were tried), `named` looks at the runs by which of the
strongest values they have: the strongest is named, its runs are left out, and the others are tested
again on what remains, since most of what stood beside it stood because of it.

A pair of values takes the place of a single one if the change is in their common runs only: within
the runs of either value, those that have the other one too changed beyond those that do not.

A value is not named if its effect vanishes within the strata of another attribute: then its runs
are others than they were (Simpson's paradox), and not what is done with them.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from execlog.statistics.blocks import Estimate, ratio
from execlog.statistics.cells import Cells, Frame, joined
from execlog.statistics.effects import LEAST_RUNS, Effect, effect, interaction
from execlog.statistics.multiplicity import stand

__all__ = ["MOST_CAUSES", "Found", "Key", "Screened", "named", "screened", "strata_of", "strongest"]

MOST_CAUSES = 6
"""So many causes are named at most."""

_LEAST_LEFT = 0.5  # of an effect, within the strata of another attribute


class Key(NamedTuple):
    """A value of an attribute."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Screened:
    """The values that were tested.

    Attributes:
        effects: The effect of each that changed more than the other runs did.
        stands: Those that chance does not explain.
        tried: How many were tested, those that changed less among them.
        attributes: Of how many attributes these are.
    """

    effects: dict[Key, Effect]
    stands: frozenset[Key]
    tried: int
    attributes: int


@dataclass(frozen=True, slots=True)
class Found:
    """A value that explains a part of the change, or a pair of values.

    Attributes:
        keys: The value, or both.
        cells: Its runs, those of the causes before it among them.
        effect: What they did beyond the others, once the causes before it are left out.
        contribution: The part of the change of all runs that is due to it.
    """

    keys: tuple[Key, ...]
    cells: Cells
    effect: Effect
    contribution: Estimate


Masks = Mapping[frozenset[Key], Cells]


def screened(
    total: Cells,
    values: Mapping[Key, Cells],
    frame: Frame,
    *,
    is_rate: bool,
    level: float,
) -> Generator[None, None, Screened]:
    """The effect of each value, and which of them stand. Yields between two values. Never raises.

    Args:
        total: All runs.
        values: The runs of each value.
        frame: The blocks.
        is_rate: Whether an outcome is 0 or 1.
        level: The share of false ones among those that stand, at most.
    """
    effects, tried = {}, []
    for key, cells in values.items():
        found = effect(cells, total.without(cells), frame, is_rate=is_rate)
        if found is not None:
            tried.append(key)
            if found.p_value < 1:
                effects[key] = found
        yield
    keys = list(effects)
    kept = stand([effects[key].p_value for key in keys], level)
    stands = frozenset(key for key, is_kept in zip(keys, kept, strict=True) if is_kept)
    return Screened(effects, stands, len(tried), len({key.attribute for key in tried}))


def strongest(found: Screened, most: int) -> list[Key]:
    """The values whose combinations are worth to be looked at: those that stand, and the next.

    Args:
        found: The values that were tested.
        most: How many.

    Never raises.
    """
    order = sorted(found.effects, key=lambda key: (found.effects[key].p_value, key))
    return order[:most]


def strata_of(values: Mapping[Key, Cells], frame: Frame, *, most: int) -> dict[str, list[Key]]:
    """The attributes whose values differ most in what they did before, each with its largest.

    Args:
        values: The runs of each value.
        frame: The blocks.
        most: How many attributes, and how many values of each.

    Never raises.
    """
    spreads: dict[str, list[tuple[float, float, Key]]] = {}
    for key, cells in values.items():
        weight = sum(cells.weights)
        if min(cells.runs) >= LEAST_RUNS:
            rate = sum(cells.outcomes) / weight
            spreads.setdefault(key.attribute, []).append((weight, rate, key))
    found = []
    for attribute, parts in spreads.items():
        whole = sum(weight for weight, _, _ in parts)
        mean = sum(weight * rate for weight, rate, _ in parts) / whole
        spread = sum(weight * (rate - mean) ** 2 for weight, rate, _ in parts)
        found.append((spread, attribute))
    return {
        attribute: [key for *_, key in sorted(spreads[attribute], reverse=True)[:most]]
        for _, attribute in sorted(found, reverse=True)[:most]
    }


def named(
    masks: Masks,
    tried: Screened,
    frame: Frame,
    *,
    is_rate: bool,
    level: float,
    strata: Mapping[str, Sequence[Key]] | None = None,
) -> Generator[None, None, tuple[list[Found], int]]:
    """The causes, strongest first, and how many pairs were tried. Yields in between. Never raises.

    Args:
        masks: The runs by the values that they have, of those that are looked at.
        tried: What `screened` found.
        frame: The blocks.
        is_rate: As for `screened`.
        level: As for `screened`.
        strata: The values of attributes that are strata; None: there are none.
    """
    search = _Search(dict(masks), frame, is_rate, level)
    keys = strongest(tried, len(tried.effects))
    listed = frozenset(key for mask in masks for key in mask)
    keys = [key for key in keys if key in listed]
    causes: list[Found] = []
    while keys and len(causes) < MOST_CAUSES:
        effects = {}
        for key in keys:
            found = search.effect([key])
            if found is not None:
                effects[key] = found
            yield
        order = list(effects)
        kept = stand([effects[key].p_value for key in order], level, len(tried.effects))
        standing = [key for key, is_kept in zip(order, kept, strict=True) if is_kept]
        if not standing:
            break
        best = max(standing, key=lambda key: (effects[key].strength, key))
        chosen = yield from search.refined(best, effects, keys)
        confounded = yield from search.is_confounded(chosen, strata or {}, effects[best])
        if not confounded:
            cause = search.found(chosen)
            if cause is not None:
                causes.append(cause)
                search.take_out(chosen)
        keys.remove(best)
    return causes, search.pairs


class _Search:
    """The runs that no cause was found for yet."""

    def __init__(
        self, masks: dict[frozenset[Key], Cells], frame: Frame, is_rate: bool, level: float
    ):
        self._masks = masks
        self._every = masks
        self._frame = frame
        self._is_rate = is_rate
        self._level = level
        self._all = joined(masks.values(), frame)
        self._weights = [sum(self._all.weights[w.start : w.stop]) for w in self._windows()]
        self.pairs = 0

    def _windows(self) -> tuple[range, range]:
        return self._frame.before_window, self._frame.after_window

    def cells(self, having: Iterable[Key], lacking: Iterable[Key] = ()) -> Cells:
        """The runs that have all of some values, and none of others."""
        wanted, unwanted = frozenset(having), frozenset(lacking)
        return joined(
            (
                cells
                for mask, cells in self._masks.items()
                if wanted <= mask and not unwanted & mask
            ),
            self._frame,
        )

    def effect(self, keys: Sequence[Key]) -> Effect | None:
        part = self.cells(keys)
        return effect(part, self._all.without(part), self._frame, is_rate=self._is_rate)

    def refined(
        self, best: Key, effects: Mapping[Key, Effect], keys: Sequence[Key]
    ) -> Generator[None, None, tuple[Key, ...]]:
        """The value, or the pair with another one that it owes its effect to."""
        others = [key for key in keys if key.attribute != best.attribute]
        self.pairs += len(others)
        pairs = []
        for other in others:
            found = self._of_pair(best, other, effects[best])
            if found is not None:
                pairs.append((found, other))
            yield
        if not pairs:
            return (best,)
        return (best, max(pairs)[1])

    def _of_pair(self, one: Key, other: Key, effect_of_one: Effect) -> float | None:
        """The strength of a pair; None: it does not explain the effect of the one."""
        both, first = self.cells([one, other]), self.cells([one], [other])
        second, neither = self.cells([other], [one]), self.cells([], [one, other])
        kind = effect_of_one.kind
        within = interaction((both, first, second, neither), self._frame, kind)
        beside = interaction((both, second, first, neither), self._frame, kind)
        if within is None or beside is None:
            return None
        wanted = effect_of_one.beyond.value
        if min(within.beyond.value * wanted, beside.beyond.value * wanted) <= 0:
            return None
        if max(within.p_value, beside.p_value) > self._level / max(self.pairs, 1):
            return None
        whole = self.effect([one, other])
        if whole is None or whole.strength < effect_of_one.strength:
            return None
        return whole.strength

    def is_confounded(
        self, keys: Sequence[Key], strata: Mapping[str, Sequence[Key]], whole: Effect
    ) -> Generator[None, None, bool]:
        """Whether the effect is gone within the strata of one of the attributes."""
        own = {key.attribute for key in keys}
        for attribute in sorted(strata.keys() - own):
            within = self._stratified(keys, strata[attribute], whole)
            if within is not None:
                used = sum(map(bool, self.cells(keys).weights))
                left = within.value / whole.beyond.value
                if left < _LEAST_LEFT or within.p_value(used) > self._level:
                    return True
            yield
        return False

    def _stratified(
        self, keys: Sequence[Key], values: Sequence[Key], whole: Effect
    ) -> Estimate | None:
        """The effect as the average of those within each stratum; None: most runs are in none."""
        after = 0 if whole.kind == "gone" else 1
        parts: list[tuple[int, Estimate]] = []
        every = self.cells(keys).runs[after]
        for having, lacking in [*(([value], []) for value in values), ([], values)]:
            part = self.cells([*keys, *having], lacking)
            rest = self.cells(having, lacking).without(part)
            if part.runs[after]:
                found = effect_within(part, rest, self._frame)
                if found is not None:
                    parts.append((part.runs[after], found))
        known = sum(runs for runs, _ in parts)
        if not parts or 2 * known < every:
            return None
        average = parts[0][1].times(parts[0][0] / known)
        for runs, one in parts[1:]:
            average = average.plus(one, runs / known)
        return average

    def found(self, keys: tuple[Key, ...]) -> Found | None:
        cells = self.cells(keys)
        whole = effect(cells, self._all.without(cells), self._frame, is_rate=self._is_rate)
        if whole is None:
            return None
        side = 0 if whole.kind == "gone" else 1
        window = self._windows()[side]
        share = sum(cells.weights[window.start : window.stop]) / self._weights[side]
        wanted = frozenset(keys)
        every = joined((one for mask, one in self._every.items() if wanted <= mask), self._frame)
        return Found(keys, every, whole, whole.beyond.times(share))

    def take_out(self, keys: Sequence[Key]) -> None:
        wanted = frozenset(keys)
        self._masks = {mask: one for mask, one in self._masks.items() if not wanted <= mask}
        self._all = joined(self._masks.values(), self._frame)


def effect_within(part: Cells, rest: Cells, frame: Frame) -> Estimate | None:
    """What runs did beyond the others of their stratum; None: too few of either. Never raises.

    Args:
        part: The runs.
        rest: The other runs of the stratum.
        frame: The blocks.
    """
    windows = (frame.before_window, frame.after_window)
    few = LEAST_RUNS / 2
    has = [[runs >= few for runs in one.runs] for one in (part, rest)]

    def rate(cells: Cells, side: int) -> Estimate:
        return ratio(cells.outcomes, cells.weights, windows[side])

    if all(map(all, has)):
        own = rate(part, 1).minus(rate(part, 0))
        return own.minus(rate(rest, 1).minus(rate(rest, 0)))
    if has[0][1] and any(has[1]):
        return rate(part, 1).minus(rate(rest, 1 if has[1][1] else 0))
    if has[0][0] and has[1][0]:
        return rate(rest, 0).minus(rate(part, 0))
    return None
