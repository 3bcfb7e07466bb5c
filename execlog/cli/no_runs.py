"""The hint of a command whose strategy has no execution in the window."""

from __future__ import annotations

import sys

from execlog import StrategyMetrics
from execlog.display.format import shown

__all__ = ["hint_if_no_runs", "hint_no_runs"]


def hint_if_no_runs(card: StrategyMetrics) -> None:
    """Names the command that lists strategies with runs, if this card is empty. Raises OSError."""
    if not card.status_breakdown.total:
        hint_no_runs(card.strategy_id)


def hint_no_runs(strategy: str) -> None:
    """Names the command that lists strategies with runs, since this has none. Raises OSError."""
    print(
        f"execlog: no execution of {shown(strategy)} in this time;"
        " `execlog top --by runs` shows which strategies ran",
        file=sys.stderr,
    )
