-- What do the rollups hold, and what do the rows?
-- Columns: enabled boolean, complete_from timestamptz, rows_from timestamptz, newest timestamptz?, oldest timestamptz?
-- Index: strategy_execution_log_time
select
    state.enabled,
    state.complete_from,
    state.rows_from,
    (
        select max(created_at)
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at < 'infinity'
    ) as newest,
    (
        select min(created_at)
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at > '-infinity'
    ) as oldest
from execlog.rollup_state as state
