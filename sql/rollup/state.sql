-- What do the rollups hold, and what do the rows?
-- Columns: enabled boolean, complete_from timestamptz, rows_from timestamptz, minutes_from timestamptz, hours_from timestamptz, newest timestamptz?
-- Index: strategy_execution_log_time
select
    state.enabled,
    state.complete_from,
    state.rows_from,
    state.minutes_from,
    state.hours_from,
    (
        select max(created_at)
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and created_at < 'infinity'
    ) as newest
from execlog.rollup_state as state
