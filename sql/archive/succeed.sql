-- Writes a file once more, in which rows that were changed since are as the log has them.
copy (
    select *
    from written
    union all by name
    select * exclude (filename, is_erased, is_ok_now)
    from changed
    where filename = :'old'
    order by strategy_id, created_at, id
) to :'part' (
    format parquet,
    parquet_version v2,
    compression zstd,
    compression_level 3,
    row_group_size 50000
);
