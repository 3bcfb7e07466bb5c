-- The runs of a strategy, as far as numbers go; conditions on their time follow.
-- $1 strategy_id text
-- $2 realm_ids text[]?
-- $3 strategy_versions integer[]?
select
    status,
    error_code,
    case_name,
    duration_ms,
    nodes_executed,
    points,
    sample_rate
from execlog.strategy_execution_log
where strategy_id = $1::text
    and realm_id = any($2::text[])  -- if realm_ids
    and strategy_version = any($3::integer[])  -- if strategy_versions
