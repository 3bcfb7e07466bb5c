-- The newest durations, in milliseconds: what percentiles are computed from where the server can't.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 limit bigint
-- $5 realm_ids text[]?
-- Columns: duration_ms double precision
-- Index: strategy_execution_log_newest
--
-- The index holds no realm, so rows of some realms are a list of their own: of all, none is fetched.
select duration_ms
from (
    (
        select
            duration_ms,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
            and $5::text[] is null
        order by created_at desc nulls last, id desc
        limit 5000
    )
    union all
    (
        select
            duration_ms,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
            and realm_id = any($5::text[])
            and $5::text[] is not null
        order by created_at desc nulls last, id desc
        limit 5000
    )
    union all
    (
        select
            duration_ms,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and created_at is null
            and $2::timestamptz is null
            and $3::timestamptz is null
            and $5::text[] is null
        order by created_at desc nulls last, id desc
        limit 5000
    )
    union all
    (
        select
            duration_ms,
            created_at,
            id
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and created_at is null
            and $2::timestamptz is null
            and $3::timestamptz is null
            and realm_id = any($5::text[])
            and $5::text[] is not null
        order by created_at desc nulls last, id desc
        limit 5000
    )
) as newest
order by created_at desc nulls last, id desc
limit $4::bigint
