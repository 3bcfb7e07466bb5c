-- The traces of the newest failed runs of files, and of the newest ok runs that took longer than a time.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 newest bigint
-- $11 most_bytes bigint
-- $12 trace_bytes bigint
-- $13 slower_than_ms double precision? always
-- $14 and on: filters
-- Columns: id uuid, created_at bigint, is_failed boolean, is_error boolean, weight double precision, bytes bigint, trace text?
-- Index: none
--
-- First the sizes, then the texts of those that have room: a trace may have a megabyte.
with picked as materialized (
    (
        select
            id,
            strategy_id,
            created_at,
            status,
            1 / greatest(sample_rate, 1e-9) as weight,
            strlen(trace) as bytes
        :runs
            and status <> 'ok'
            and trace is not null
        order by stored.created_at desc, id desc
        limit $10::bigint
    )
    union all
    (
        select
            id,
            strategy_id,
            created_at,
            status,
            1 / greatest(sample_rate, 1e-9),
            strlen(trace)
        :runs
            and status = 'ok'
            and duration_ms > $13::double precision
            and trace is not null
        order by stored.created_at desc, id desc
        limit $10::bigint
    )
),
sized as materialized (
    select
        id,
        strategy_id,
        created_at,
        status,
        weight,
        bytes,
        bytes <= $12::bigint and sum(bytes) over (order by created_at desc, id desc rows unbounded preceding) <= $11::bigint as is_read
    from picked
),
text as materialized (
    select
        id,
        strategy_id,
        created_at,
        trace
    :runs
        and created_at >= (select min(created_at) from sized where is_read)
        and id in (select id from sized where is_read)
)
select
    sized.id,
    epoch_us(sized.created_at) as created_at,
    status <> 'ok' as is_failed,
    status in ('error', 'timeout', 'limit') as is_error,
    weight,
    bytes,
    trace
from sized
left join text on is_read
    and text.id = sized.id
    and text.strategy_id = sized.strategy_id
    and text.created_at = sized.created_at
order by sized.created_at desc, sized.id desc
