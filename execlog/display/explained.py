"""What an explanation says, in words: on the command line and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, Any

from execlog.display.format import number, percent, shown

if TYPE_CHECKING:
    from execlog.repository.explanation import Cause, Explanation

__all__ = [
    "WORDS",
    "change_of",
    "effect_of",
    "measure_name",
    "name_of",
    "outcome_of",
    "probability_of",
    "sentences_of",
    "share_of",
    "source_of",
    "value_of",
]

WORDS = {
    "version": "strategy_version",
    "type": "strategy_type",
    "realm": "realm_id",
    "game": "external_game_id",
    "task": "external_task_id",
    "user": "external_user_id",
    "parent": "parent_strategy_id",
    "case": "case_name",
}
"""The words of the filters; what is written for `--by` too."""

_MEASURES = {"error_rate": "error rate", "duration": "slower than the baseline's p95"}
_OF_FILTERS = {name: word for word, name in WORDS.items()} | {
    "error_code": "code",
}


def sentences_of(found: Explanation, utc: bool) -> list[str]:
    """All that is said of an explanation, the change first. Never raises.

    Args:
        found: The explanation.
        utc: Whether its times are in UTC; else in the local zone.
    """
    outcome = outcome_of(found)
    return [
        change_of(found, UTC if utc else None),
        *([] if outcome is None else [outcome]),
        *(effect_of(one, found.measure) for one in found.causes),
        *source_of(found),
    ]


def change_of(found: Explanation, zone: tzinfo | None) -> str:
    """What changed, and since when. Never raises.

    Args:
        found: The explanation.
        zone: The zone of its times; None: the local one.
    """
    measure = found.measure
    before, after = (value_of(measure, one) for one in (found.before, found.after))
    moved = "rose" if found.after > found.before else "fell"
    change = f"stayed at {after}" if before == after else f"{moved} from {before} to {after}"
    if not found.runs_before:
        change = f"is {after}" if found.runs_after else "is not known"
    elif not found.runs_after:
        change = f"was {before}"
    counts = f"({number(found.runs_after)} runs, {number(found.runs_before)} before)"
    return f"{_subject(measure)} {change} {counts}{_since(found, zone)}."


def outcome_of(found: Explanation) -> str | None:
    """Why there is no cause, or what it would take; None: causes say it. Never raises."""
    if found.needs is not None:
        return f"Too few runs to tell: it takes {found.needs}."
    if not found.changed:
        return "Chance alone could explain this change."
    return None if found.causes else "None of the values that were tried explains it."


def effect_of(cause: Cause, measure: str) -> str:
    """How much a cause explains. Never raises."""
    share = share_of(cause)
    explains = f"explains {share} of it" if share else "changed beyond all others"
    runs = f"{number(cause.runs_after)} {'run' if cause.runs_after == 1 else 'runs'}"
    if cause.before is None and cause.after is not None:
        change = f"new, {value_of(measure, cause.after)}, {runs}"
    elif cause.after is None:
        change = "gone"
    else:
        ends = (cause.before or 0.0, cause.after)
        before, after = (value_of(measure, one) for one in ends)
        change = f"from {before} to {after}, {runs}"
    return f"{name_of(cause.attributes)} {explains}: {change}."


def source_of(found: Explanation) -> list[str]:
    """What was tried, if anything was, and what was read. Never raises."""
    read = f"Read: {found.method}."
    if not found.tested:
        return [read]
    values = f"{number(found.tested)} values of {found.tested_attributes} attributes"
    return [f"{values} tried; false alarms held at 5 %.", read]


def measure_name(measure: str) -> str:
    """The name of a measure in words. Never raises."""
    return _MEASURES.get(measure, shown(measure).replace("case:", "case "))


def _subject(measure: str) -> str:
    """What rose or fell."""
    if measure == "duration":
        return "The share of runs slower than the baseline's p95"
    if measure == "points":
        return "Points per run"
    name = measure_name(measure)
    return f"The share of {name}" if measure.startswith("case:") else name.capitalize()


def value_of(measure: str, value: float) -> str:
    """A value of a measure. Never raises."""
    return f"{value:,.4g}" if measure == "points" else percent(value)


def share_of(cause: Cause) -> str:
    """The part of the change that is due to a cause, with its interval. Never raises."""
    if cause.share is None or cause.share_low is None or cause.share_high is None:
        return ""
    return f"{cause.share * 100:.0f} % [{cause.share_low * 100:.0f}, {cause.share_high * 100:.0f}]"


def probability_of(cause: Cause) -> str:
    """The p-value of a cause. Never raises."""
    return f"{cause.p_value:.1g}"


def name_of(attributes: Mapping[str, Any]) -> str:
    """The values of a cause in words. Never raises."""
    parts = []
    if "min_nodes" in attributes:
        least, most = attributes["min_nodes"], attributes.get("max_nodes")
        parts.append(f"{least} to {most} nodes" if most is not None else f"{least} nodes and more")
    for name, value in attributes.items():
        if name in ("min_nodes", "max_nodes"):
            continue
        if name == "attributes":
            parts += [f"{shown(key)} {shown(held)}" for key, held in value.items()]
        elif name == "no_case":
            parts.append("no case")
        else:
            parts.append(f"{_OF_FILTERS.get(name, name)} {shown(value)}")
    return " in ".join(parts)


def _since(found: Explanation, zone: tzinfo | None) -> str:
    if found.since is None or found.since_low is None or found.since_high is None:
        return ""
    times = (found.since, found.since_low, found.since_high)
    is_one_day = len({time.astimezone(zone).date() for time in times}) == 1
    at, low, high = (_clock(time, zone, is_one_day) for time in times)
    return f", since about {at} (between {low} and {high})"


def _clock(time: datetime, zone: tzinfo | None, is_one_day: bool) -> str:
    return f"{time.astimezone(zone):{'%H:%M' if is_one_day else '%Y-%m-%d %H:%M'}}"
