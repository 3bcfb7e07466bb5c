-- Writes a file once more, without the user and all that may tell of the user, as `erase.sql` of the log.
copy (
    select * replace (
        case when external_user_id = :'user' then null else trace end as trace,
        case when external_user_id = :'user' then null else trace_id end as trace_id,
        case when external_user_id = :'user' then null else error_message end as error_message,
        case when external_user_id = :'user' then null else input end as input,
        case when external_user_id = :'user' then null else attributes end as attributes,
        case when external_user_id = :'user' then 'erased' else notes end as notes,
        case when external_user_id = :'user' then null else external_user_id end as external_user_id
    )
    from written
    order by strategy_id, created_at, id
) to :'part' (
    format parquet,
    parquet_version v2,
    compression zstd,
    compression_level 3,
    row_group_size 50000
);
