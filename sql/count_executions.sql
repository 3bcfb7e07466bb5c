-- How many executions pass the filters: exact up to 10,000, and 10,001 if there are more.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 and on: filters
-- switch of_all
-- switch failed_of_all
-- Columns: count bigint
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_time, strategy_execution_log_newest_failures, strategy_execution_log_realm_failures, strategy_execution_log_user_hash
--
-- It stops at the limit, which the planner must know: so it is no parameter. What no index finds is looked for in
-- the rows of the window, so that the caller sets a time for it.
select count(*) as count
from (
    select true as passes
    :filtered
    limit 10001
) as found
