-- What follows the columns that are wanted: the executions of one strategy, of several or of all that pass the filters.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 and on: filters
-- switch of_all
-- switch failed_of_all
--
-- The switches are for statements across strategies: their predicates are those of the indexes by time.
from execlog.strategy_execution_log
where true
    and strategy_id = $1::text  -- if strategy_id
    and strategy_id is distinct from ''  -- if of_all, not failed_of_all, not external_user_ids
    and strategy_id = any($2::text[])  -- if strategy_ids
    and status is distinct from 'ok'  -- if failed_of_all
    and created_at >= $3::timestamptz  -- if since
    and created_at <= $4::timestamptz  -- if until
    :filters
