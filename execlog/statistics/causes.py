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

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass

from execlog.statistics.cells import Cells, Frame
from execlog.statistics.effects import LEAST_RUNS, Effect, effect
from execlog.statistics.multiplicity import stand
from execlog.statistics.search import Found, Key, Search

__all__ = ["MOST_CAUSES", "Found", "Key", "Screened", "named", "screened", "strata_of", "strongest"]

MOST_CAUSES = 6
"""So many causes are named at most."""


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
    kept = stand([effects[key].p_value for key in keys], level, len(tried))
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
        if min(cells.runs) >= LEAST_RUNS:
            weight = sum(cells.weights[: frame.after])
            rate = sum(cells.outcomes[: frame.after]) / weight
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
    search = Search(dict(masks), frame, is_rate, level)
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
        kept = stand([effects[key].p_value for key in order], level, tried.tried)
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
