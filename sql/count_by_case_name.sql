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
from (
    select case_name
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= coalesce($2::timestamptz, '-infinity')
        and created_at <= coalesce($3::timestamptz, 'infinity')
    union all
    select case_name
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at is null
        and $2::timestamptz is null
        and $3::timestamptz is null
) as execution
group by case_name
order by count(*) desc, case_name nulls last
limit $4::bigint
