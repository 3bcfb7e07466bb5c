-- The traces of the newest failed runs, and of the newest ok runs that took longer than the p95 of their window.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 newest bigint
-- $6 most_bytes bigint
-- $7 trace_bytes bigint
-- $8 slower_than_ms double precision? always
-- $9 and on: filters
-- switch of_all
-- switch failed_of_all
-- Columns: is_failed boolean, is_error boolean, created_at timestamptz?, weight double precision, trace text?, slower_than_ms double precision?, id uuid, bytes bigint
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_time, strategy_execution_log_newest_failures, strategy_execution_log_realm_failures, strategy_execution_log_user_hash
--
-- A trace is NULL if its text is longer than may be, or if those of newer runs take all the bytes, as they are stored.
-- What is stored is seldom larger than its text: a trace of twice the size is not even unpacked. A percentile that is given
-- is of files too.
with stored as not materialized (
    select
        duration_ms,
        :weight as weight
    :filtered
),
asked as (
    select
        1 as number,
        0.95::double precision as fraction
),
whole as materialized (
    select
        percentile_cont(0.95::double precision) within group (order by duration_ms) as p95_ms,
        max(weight) > 1 as is_sampled
    from stored
),
slow as materialized (
    select p95_ms
    from whole
    where is_sampled is not true
    union all
    select values_ms[1]
    from (
        with run as not materialized (
            select
                duration_ms,
                weight
            from stored
            where (select is_sampled from whole)
        ),
        :weighed_values(not by_strategy)
    ) as weighed
),
picked as (
    (
        select
            id,
            created_at,
            true as is_failed,
            :is_error as is_error,
            :weight as weight,
            trace
        :filtered
            and status <> 'ok'
            and status is distinct from 'ok'  -- if of_all
            and trace is not null
        order by created_at desc nulls last, id desc
        limit $5::bigint
    )
    union all
    (
        select
            id,
            created_at,
            false,
            false,
            :weight,
            trace
        :filtered
            and status = 'ok'
            and duration_ms > coalesce($8::double precision, (select p95_ms from slow))
            and trace is not null
        order by created_at desc nulls last, id desc
        limit $5::bigint
    )
)
select
    is_failed,
    is_error,
    created_at,
    weight,
    case when octet_length(trace) <= $7::bigint then trace end as trace,
    coalesce($8::double precision, (select p95_ms from slow)) as slower_than_ms,
    id,
    bytes
from (
    select
        is_failed,
        is_error,
        created_at,
        weight,
        case when bytes <= $6::bigint and pg_column_size(trace) <= 2 * $7::bigint then trace::text end as trace,
        id,
        size as bytes
    from (
        select
            is_failed,
            is_error,
            created_at,
            weight,
            trace,
            id,
            pg_column_size(trace)::bigint as size,
            sum(pg_column_size(trace)) over (order by created_at desc nulls last, id desc rows unbounded preceding) as bytes
        from picked
    ) as sized
    offset 0
) as unpacked
order by created_at desc nulls last, id desc
