-- The first failed run of a strategy after a given one.
-- $1 strategy_id text
-- $2 realm_ids text[]?
-- $3 after_created_at timestamptz
-- $4 after_id uuid
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest, strategy_execution_log_failures
--
-- The index of the newest runs is read backwards, so rows without a time come first in its order; the condition on
-- the time leaves them out. If few runs fail, the planner reads all later failures and sorts them.
-- The traces and inputs are left out, as in `list_executions` without payloads.
select
    :columns(bare)
from execlog.strategy_execution_log
where strategy_id = $1::text
    and status <> 'ok'
    and created_at >= $3::timestamptz
    and (created_at, id) > ($3::timestamptz, $4::uuid)
    and realm_id = any($2::text[])  -- if realm_ids
order by created_at nulls first, id
limit 1
