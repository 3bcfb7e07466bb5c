-- Which of these runs do files hold? Ids and times, pair by pair.
-- $1 paths text[]
-- $2 ids uuid[]
-- $3 times timestamptz[]
-- Columns: id uuid, strategy_id text, created_at timestamptz
-- Index: none
select
    id,
    strategy_id,
    epoch_us(created_at) as created_at
from read_parquet($1::text[], hive_partitioning = false, union_by_name = true)
where created_at >= list_min($3::timestamptz[])
    and created_at <= list_max($3::timestamptz[])
    and (id, created_at) in (
        select
            unnest($2::uuid[]),
            unnest($3::timestamptz[])
    )
