"""Values that the form of filters suggests: those of rows that a page has read or reads cheaply."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from execlog import context
from execlog.display.format import shown
from execlog.display.trace_tree import compact
from execlog.models import StrategyExecutionLog
from execlog.web.filters import label
from execlog.web.view import View

__all__ = ["suggested"]

# The columns in the order of their use, each with how many of its values are suggested at most.
_COLUMNS = (
    ("error_code", 8),
    ("case_name", 8),
    ("realm_id", 8),
    ("strategy_version", 5),
    ("strategy_id", 8),
    ("status", 5),
    ("strategy_type", 3),
    ("external_user_id", 5),
    ("external_game_id", 3),
)
_ATTRIBUTES = 8
_LONGEST = 60  # characters; a longer value is no help in a list


def suggested(view: View, rows: Sequence[StrategyExecutionLog]) -> list[str]:
    """What the form may add, as it takes it: `code=E1`, the most frequent of a column first.

    Never raises.

    Args:
        view: The page's view: what is on already is left out, and so is a strategy beside `id`.
        rows: Executions that the view may see.
    """
    found: list[str] = []
    for column, most in _COLUMNS:
        if column != "strategy_id" or "id" not in view.own:
            values = (getattr(one, column) for one in rows)
            found += _named(label(column), values, most, _on(view, column))
    pairs: Counter[str] = Counter()
    for one in rows:
        pairs.update(
            f"{key}={text}"
            for key, value in (one.attributes or {}).items()
            if context.is_attribute(key, text := compact(value)) and _is_plain(text)
        )
    on = view.own.get("attr", ())
    return found + [pair for pair, _ in pairs.most_common(_ATTRIBUTES) if pair not in on]


def _named(word: str, values: Iterable[object], most: int, on: set[str]) -> list[str]:
    counts = Counter(str(value) for value in values if value is not None)
    frequent = [value for value, _ in counts.most_common(most) if _is_plain(value)]
    return [f"{word}={value}" for value in frequent if value not in on]


def _on(view: View, column: str) -> set[str]:
    """The values of a column that are asked for already."""
    if column == "realm_id" and view.realm is not None:
        return {view.realm}
    return set(view.own.get(column, ()))


def _is_plain(text: str) -> bool:
    """Whether a form takes and shows it as it is."""
    return 0 < len(text) <= _LONGEST and shown(text) == text == text.strip()
