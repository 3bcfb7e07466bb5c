-- All executions, or those of one strategy, newest first, through a cursor.
-- $1 strategy_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- It is prepared again for each stream, so that the plan is made for its parameters.
-- The limit is NULL (floor(random()) is 0), but the planner can't know that and assumes a tenth of the rows:
-- so it walks along an index, and does not sort all rows on disk before the first one.
select
    :columns
from execlog.strategy_execution_log
where strategy_id is distinct from ''
    and strategy_id = $1::text  -- if strategy_id
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
order by created_at desc nulls last, id desc
limit nullif(floor(random())::bigint, 0)
