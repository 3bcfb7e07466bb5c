"""The hint of a command whose strategy has no execution in the window."""

from __future__ import annotations

import sys

from execlog import StrategyMetrics
from execlog.display.format import shown

__all__ = ["hint_if_no_runs"]


def hint_if_no_runs(card: StrategyMetrics) -> None:
    """Names the command that lists strategies with runs, if this card is empty. Raises OSError."""
    if not card.status_breakdown.total:
        print(
            f"execlog: no execution of {shown(card.strategy_id)} in this time;"
            " `execlog top --by runs` shows which strategies ran",
            file=sys.stderr,
        )
