-- One execution whole, by its id.
-- $1 id uuid
-- $2 strategy_id text?
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_id
--
-- The id finds one row in practice, but only id, strategy and time together are unique. Materialised,
-- because the planner could otherwise read a whole strategy, newest first, to avoid the sort.
with found as materialized (
    select
        :columns(stored)
    from execlog.strategy_execution_log
    where id = $1::uuid
        and strategy_id = $2::text  -- if strategy_id
)
select
    :columns
from found
order by created_at desc nulls last, strategy_id
limit 1
