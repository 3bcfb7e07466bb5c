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
from execlog.strategy_execution_log
where strategy_id = $1::text
    and error_code is not null
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
group by error_code
order by count(*) desc, error_code
limit $4::bigint
