-- The newest durations, in milliseconds, from which percentiles are computed if the server can't.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 realm_ids text[]?
-- $5 limit bigint
-- Columns: duration_ms double precision
-- Index: strategy_execution_log_newest
--
-- The inner limit is the largest sample: part/newest.sql says why.
select duration_ms
from (
    select
        duration_ms,
        created_at,
        id
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
        and realm_id = any($4::text[])  -- if realm_ids
    order by created_at desc nulls last, id desc
    limit 5000
) as newest
order by created_at desc nulls last, id desc
limit $5::bigint
