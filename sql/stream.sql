-- All executions, or those of some strategies, newest first, through a cursor.
-- $1 strategy_id text?
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 strategy_ids text[]?
-- $5 and on: filters
-- switch failed_of_all
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_time, strategy_execution_log_newest, strategy_execution_log_newest_failures, strategy_execution_log_user_hash
--
-- It is prepared again for each stream, so that the plan is made for its parameters.
-- The limit is NULL (floor(random()) is 0), but the planner can't know that and assumes a tenth of the rows:
-- so it walks along an index, and does not sort all rows on disk before the first one.
select
    :columns
from execlog.strategy_execution_log
where true
    and strategy_id is distinct from ''  -- if not strategy_id, not failed_of_all, not external_user_ids
    and status is distinct from 'ok'  -- if failed_of_all
    and strategy_id = $1::text  -- if strategy_id
    and strategy_id = any($4::text[])  -- if strategy_ids
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
    :filters
order by created_at desc nulls last, id desc
limit nullif(floor(random())::bigint, 0)
