-- The most frequent error codes.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- Columns: code text, count bigint
-- Index: strategy_execution_log_newest
select
    error_code as code,
    count(*) as count
from (
    select error_code
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and error_code is not null
        and created_at >= coalesce($2::timestamptz, '-infinity')
        and created_at <= coalesce($3::timestamptz, 'infinity')
    union all
    select error_code
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and error_code is not null
        and created_at is null
        and $2::timestamptz is null
        and $3::timestamptz is null
) as execution
group by error_code
order by count(*) desc, error_code
limit $4::bigint
