-- The newest points awarded; runs without points are left out.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- Columns: points double precision, created_at timestamptz?, id uuid
-- Index: strategy_execution_log_newest
--
-- The inner limit is the largest sample: part/newest.sql says why.
select
    points,
    created_at,
    id
from (
    select
        points,
        created_at,
        id
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and points is not null
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
    order by created_at desc nulls last, id desc
    limit 5000
) as newest
order by created_at desc nulls last, id desc
limit $4::bigint
