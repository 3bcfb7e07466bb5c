"""The rows of one example among many in one database, which has strategies of its own."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from execlog import StrategyExecutionLog, StrategyExecutionLogRepository
from execlog.ids import uuid7
from tests.rows import any_row

_examples = itertools.count()
rows_of_two = st.lists(any_row(st.sampled_from(["A", "B"])), max_size=25)


async def stored(
    repository: StrategyExecutionLogRepository, rows: list[StrategyExecutionLog]
) -> tuple[str, list[StrategyExecutionLog]]:
    """Stores the rows as this example's own; the prefix of its strategies and realms, its rows."""
    prefix = f"{next(_examples)}-"
    own = [
        one.model_copy(
            update={
                "id": uuid7(),
                "strategy_id": prefix + one.strategy_id,
                "realm_id": None if one.realm_id is None else prefix + "AB"[len(one.realm_id) % 2],
            }
        )
        for one in rows
    ]
    await repository.insert_rows(own)
    return prefix, own
