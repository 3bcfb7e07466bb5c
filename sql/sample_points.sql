-- The newest points awarded; runs without points are left out.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- Columns: points double precision
-- Index: strategy_execution_log_newest
select points
from (
    (
        select
            points,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and points is not null
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
        order by created_at desc nulls last, id desc
        limit 5000
    )
    union all
    (
        select
            points,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and points is not null
            and created_at is null
            and $2::timestamptz is null
            and $3::timestamptz is null
        order by created_at desc nulls last, id desc
        limit 5000
    )
) as newest
order by created_at desc nulls last, id desc
limit $4::bigint
