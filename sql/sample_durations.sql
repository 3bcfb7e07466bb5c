-- The newest durations, in milliseconds, and the weight of each; percentiles are computed from them if the server can't.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 realm_ids text[]?
-- $5 limit bigint
-- $6 strategy_versions integer[]?
-- Columns: duration_ms double precision, weight double precision, created_at timestamptz?, id uuid
-- Index: strategy_execution_log_newest
--
-- The inner limit is the largest sample: part/newest.sql says why.
select
    duration_ms,
    :weight as weight,
    created_at,
    id
from (
    select
        duration_ms,
        sample_rate,
        created_at,
        id
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
        and realm_id = any($4::text[])  -- if realm_ids
        and strategy_version = any($6::integer[])  -- if strategy_versions
    order by created_at desc nulls last, id desc
    limit 5000
) as newest
order by created_at desc nulls last, id desc
limit $5::bigint
