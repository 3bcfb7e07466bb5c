"""A replay as one HTML file without scripts, to attach to a pull request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from execlog import __version__
from execlog.display import replayed
from execlog.display.format import percent
from execlog.replaying.result import Example, Replay
from execlog.web.rendering import document

__all__ = ["replay_document"]

_MOST_MOVES = 100
_PARTS = ("same", "changed", "newly_failing", "newly_passing")
_TITLES = {
    "newly_failing": "Newly failing",
    "changed": "Changed",
    "newly_passing": "Newly passing",
    "noise": "Noise",
}
_WHY = {
    "no_input": "The run was recorded without an input.",
    "too_large": "The input was too large to be recorded.",
    "masked": "A value of the input was masked.",
    "expired": "The input was cleared after its time.",
    "erased": "The user's data was erased.",
}


class _Part(NamedTuple):
    """A part of the bar of verdicts, in percent of its width."""

    kind: str
    word: str
    runs: int
    begin: float
    width: float
    share: str


class _Group(NamedTuple):
    """The examples of one kind."""

    kind: str
    title: str
    runs: int
    examples: Sequence[Example]


def replay_document(
    found: Replay,
    *,
    filters: Mapping[str, Any] | None = None,
    limit: float | None = None,
    made_at: datetime | None = None,
) -> str:
    """The HTML. It needs no other file, and all text of the log is escaped.

    Args:
        found: The replay.
        filters: The filters that it was asked with.
        limit: The share of changed and newly failing runs that is allowed; None: any.
        made_at: When it was made; None: now.

    Raises:
        jinja2.TemplateError: The template is wrong.
    """
    return document(
        "replay.html",
        found=found,
        words=replayed,
        level=_level(found, limit),
        limit=limit,
        parts_of=_parts(found),
        moves=replayed.moved(found)[:_MOST_MOVES],
        most=max((move.changed for move in found.moves), default=0),
        pairs=len(replayed.moved(found)),
        groups=_groups(found),
        reasons=sorted(found.not_replayable.items(), key=lambda one: (-one[1], one[0])),
        why=_WHY,
        filters=replayed.filters_of(filters or {}),
        times=_times(found),
        stamp=_stamp,
        made_at=(made_at or datetime.now(UTC)).astimezone(UTC),
        version=__version__,
    )


def _level(found: Replay, limit: float | None) -> str:
    """What the verdict looks like: worse, other or same."""
    if found.newly_failing or (limit is not None and replayed.is_over(found, limit)):
        return "worse"
    differ = found.changed or found.newly_passing
    return "other" if differ or not found.replayed else "same"


def _parts(found: Replay) -> list[_Part]:
    """The verdicts side by side; the smallest part that has runs can be seen."""
    counts = {kind: getattr(found, kind) for kind in _PARTS}
    widths = {kind: max(runs / found.replayed * 100, 0.6) for kind, runs in counts.items() if runs}
    whole, begin, parts = sum(widths.values()), 0.0, []
    for kind, runs in counts.items():
        width = widths.get(kind, 0.0) / whole * 100 if whole else 0.0
        share = percent(runs / found.replayed) if found.replayed else ""
        parts.append(_Part(kind, replayed.KINDS[kind], runs, begin, width, share))
        begin += width
    return parts


def _groups(found: Replay) -> list[_Group]:
    groups = []
    for kind, title in _TITLES.items():
        some = [one for one in found.examples if one.kind == kind]
        if some:
            groups.append(_Group(kind, title, getattr(found, kind) or 0, some))
    return groups


def _times(found: Replay) -> list[tuple[str, Any, str]]:
    """Name, times and how the median compares with the row before."""
    rows: list[tuple[str, Any, str]] = []
    base = None
    for name, times in (
        ("In the log", found.recorded_times),
        ("Baseline", found.baseline_times),
        ("Candidate", found.candidate_times),
    ):
        if times is not None:
            rows.append((name, times, replayed.duration_of(times, base)))
            base = times
    return rows


def _stamp(time: datetime) -> str:
    """A time in UTC, to the second."""
    return time.astimezone(UTC).isoformat(sep=" ", timespec="seconds").removesuffix("+00:00")
