"""One value, or a pair, among the runs that no cause was found for yet: is it what changed?"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from execlog.statistics.blocks import Estimate, ratio
from execlog.statistics.cells import Cells, Frame, joined
from execlog.statistics.effects import LEAST_RUNS, Effect, effect, interaction

__all__ = ["Found", "Key", "Search"]

_LEAST_LEFT = 0.5  # of an effect, within the strata of another attribute


class Key(NamedTuple):
    """A value of an attribute."""

    attribute: str
    value: str


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


class Search:
    """The runs that no cause was found for yet, by which of the values they have.

    Adding up the runs of many combinations takes a millisecond or more: what does so several times
    is a generator, which yields in between.

    Args:
        masks: The runs of each combination.
        frame: The blocks.
        is_rate: Whether an outcome is 0 or 1.
        level: A pair needs a p-value of this, divided by how many pairs were tried.

    Attributes:
        pairs: How many pairs were tried.
    """

    def __init__(
        self, masks: dict[frozenset[Key], Cells], frame: Frame, is_rate: bool, level: float
    ) -> None:
        """Takes the runs. Never raises."""
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
        """The runs that have all of some values, and none of others. Never raises."""
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
        """What the runs with these values did; None: too few. Never raises."""
        part = self.cells(keys)
        return effect(part, self._all.without(part), self._frame, is_rate=self._is_rate)

    def refined(
        self, best: Key, effects: Mapping[Key, Effect], keys: Sequence[Key]
    ) -> Generator[None, None, tuple[Key, ...]]:
        """The value, or the pair with another one that it owes its effect to. Never raises.

        Args:
            best: The value.
            effects: The effect of each value.
            keys: The values that may be the other one.
        """
        others = [key for key in keys if key.attribute != best.attribute]
        self.pairs += len(others)
        pairs = []
        for other in others:
            found = yield from self._of_pair(best, other, effects[best])
            if found is not None:
                pairs.append((found, other))
        if not pairs:
            return (best,)
        return (best, max(pairs)[1])

    def _of_pair(
        self, one: Key, other: Key, effect_of_one: Effect
    ) -> Generator[None, None, float | None]:
        """The strength of a pair; None: it does not explain the effect of the one."""
        both, first = self.cells([one, other]), self.cells([one], [other])
        yield
        second, neither = self.cells([other], [one]), self.cells([], [one, other])
        yield
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
        """Whether the effect is gone within the strata of one of the attributes. Never raises.

        Args:
            keys: The value, or the pair.
            strata: The strata of each attribute; all other values are one more.
            whole: The effect.
        """
        own = {key.attribute for key in keys}
        for attribute in sorted(strata.keys() - own):
            within = yield from self._stratified(keys, strata[attribute], whole)
            if within is not None:
                used = sum(map(bool, self.cells(keys).weights))
                left = within.value / whole.beyond.value
                if left < _LEAST_LEFT or within.p_value(used) > self._level:
                    return True
        return False

    def _stratified(
        self, keys: Sequence[Key], values: Sequence[Key], whole: Effect
    ) -> Generator[None, None, Estimate | None]:
        """The effect as the average of those within each stratum; None: most runs are in none."""
        after = 0 if whole.kind == "gone" else 1
        parts: list[tuple[int, Estimate]] = []
        every = self.cells(keys).runs[after]
        for having, lacking in [*(([value], []) for value in values), ([], values)]:
            part = self.cells([*keys, *having], lacking)
            rest = self.cells(having, lacking).without(part)
            yield
            if part.runs[after]:
                found = _within(part, rest, self._frame)
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
        """The cause that these values are; None: too few runs. Never raises."""
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
        """Leaves out the runs that have all of these values. Never raises."""
        wanted = frozenset(keys)
        self._masks = {mask: one for mask, one in self._masks.items() if not wanted <= mask}
        self._all = joined(self._masks.values(), self._frame)


def _within(part: Cells, rest: Cells, frame: Frame) -> Estimate | None:
    """What runs did beyond the others of their stratum; None: too few of either."""
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
