-- Writes the offered rows that no other file holds. Groups are small, so that their statistics exclude most of them
-- for one strategy; version 2 has the deltas of times and the split bytes of doubles.
copy (
    select *
    from offered
    where (id, strategy_id, created_at) not in (
        select
            id,
            strategy_id,
            created_at
        from held
    )
    order by strategy_id, created_at, id
) to :'part' (
    format parquet,
    parquet_version v2,
    compression zstd,
    compression_level 3,
    row_group_size 50000
);
