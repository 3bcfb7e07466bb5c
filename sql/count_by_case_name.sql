-- Which rule cases fire. NULL is the default bucket: no rule matched.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- Columns: case_name text?, count bigint
-- Index: strategy_execution_log_newest
select
    case_name,
    count(*) as count
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
group by case_name
order by count(*) desc, case_name nulls last
limit $4::bigint
