"""Which runs are drawn: failures and rare cases whole, the rest by case.

A run is drawn by a hash of its id, so that the same ones are drawn each time. How many of a stratum
that gives is known in the end, and is what the estimates go by.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from execlog.replaying.result import Sampling
from execlog.replaying.source import Stratum

__all__ = ["OTHERS", "Plan", "planned"]

OTHERS = ""
"""The stratum of those that are too many to be listed."""

_HASHES = 2**64
_FEWEST = 30  # of a stratum; a smaller one is rare, and taken whole


@dataclass
class Plan:
    """Which part of each stratum is drawn.

    Attributes:
        sampling: What is said of it.
        parts: The part that is drawn, by stratum; `OTHERS` for all that are not listed.
        rows: The runs of the log, by stratum and sample rate, as a list of triples.
    """

    sampling: Sampling
    parts: dict[str, float]
    rows: list[tuple[str, float, int]] = field(default_factory=list)

    def part(self, stratum: str | None) -> float:
        """Which part of a stratum is drawn. Never raises."""
        found = self.parts.get(stratum or OTHERS)
        return self.parts[OTHERS] if found is None else found

    def expected(self) -> float:
        """About how many runs are drawn. Never raises."""
        listed = sum(self.part(stratum) * runs for stratum, _, runs in self.rows)
        others = self.sampling.runs - sum(runs for _, _, runs in self.rows)
        return listed + others * self.parts[OTHERS]

    def bounds(self) -> str:
        """The greatest hash that is drawn, by stratum: what next_runs.sql takes. Never raises."""
        return json.dumps(
            {
                stratum: min(int(part * _HASHES), _HASHES - 1) - _HASHES // 2
                for stratum, part in self.parts.items()
            }
        )

    def dump(self) -> dict[str, Any]:
        """The plan as JSON. Never raises."""
        sampling = self.sampling.model_dump(mode="json")
        return {"sampling": sampling, "parts": self.parts, "rows": self.rows}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Plan:
        """The plan that was dumped. Raises KeyError: it is none."""
        rows = [(stratum, rate, runs) for stratum, rate, runs in state["rows"]]
        return cls(Sampling(**state["sampling"]), state["parts"], rows)


def planned(strata: Sequence[Stratum], sample: int) -> Plan | None:
    """How so many runs are drawn; None: there are no more than that. Never raises.

    Args:
        strata: The groups of runs, as `Source.strata` lists them.
        sample: How many.
    """
    known = [one for one in strata if one.reason is None]
    sizes: dict[str, int] = {}
    failed = set[str]()
    for one in known:
        stratum = one.stratum or OTHERS
        sizes[stratum] = sizes.get(stratum, 0) + one.runs
        if one.status != "ok":
            failed.add(stratum)
    listed = sum(one.runs for one in strata)
    others = (int(strata[0].all_runs) - listed) if strata else 0
    if others:
        sizes[OTHERS] = others
    runs = sum(sizes.values())
    if runs <= sample:
        return None
    parts = _parts(sizes, failed, sample)
    sampling = Sampling(
        asked=sample,
        runs=runs,
        whole=sum(size for stratum, size in sizes.items() if parts[stratum] >= 1),
        failures=sum(sizes[stratum] for stratum in failed),
        failures_are_whole=all(parts[stratum] >= 1 for stratum in failed),
    )
    rows = [(one.stratum or OTHERS, one.sample_rate or 1.0, one.runs) for one in known]
    return Plan(sampling, {OTHERS: 1.0} | parts, rows)


def _parts(sizes: Mapping[str, int], failed: Iterable[str], sample: int) -> dict[str, float]:
    """The part of each stratum that is drawn.

    Failures may take half of the sample. If they are more, they are drawn as all others are.
    """
    failures = {stratum: sizes[stratum] for stratum in failed}
    passed = {stratum: size for stratum, size in sizes.items() if stratum not in failures}
    left = sample
    parts: dict[str, float] = {}
    if sum(failures.values()) <= sample / 2 or not passed:
        share = min(sum(failures.values()), sample)
    else:
        share = max(sample // 2, sample - sum(passed.values()))
    parts |= _spread(failures, share)
    left -= share
    return parts | _spread(passed, left)


def _spread(sizes: Mapping[str, int], sample: int) -> dict[str, float]:
    """The parts of strata of one kind: the rare ones whole, the rest alike."""
    parts = dict.fromkeys(sizes, 1.0)
    left, rest = float(sample), sum(sizes.values())
    if rest <= sample:
        return parts
    # A stratum is rare up to its share of a quarter of the sample, or if there is room for more.
    rare = max(_FEWEST, sample // (4 * len(sizes)))
    drawn = []
    for stratum, size in sorted(sizes.items(), key=lambda one: (one[1], one[0])):
        if size <= rare and left - size >= sample / 2:
            left -= size
            rest -= size
        else:
            drawn.append(stratum)
    for stratum in drawn:
        least = min(_FEWEST / sizes[stratum], 1.0)
        parts[stratum] = min(max(left / rest, least if left > _FEWEST * len(drawn) else 0.0), 1.0)
    return parts
