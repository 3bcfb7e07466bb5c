-- The rows of a file, as COPY reads them.
copy (
    select
        id,
        created_at,
        strategy_id,
        strategy_version,
        strategy_type,
        realm_id,
        external_game_id,
        external_task_id,
        external_user_id,
        status,
        error_code,
        points,
        case_name,
        duration_ms,
        nodes_executed,
        trace,
        sampled,
        sample_rate,
        parent_strategy_id,
        notes,
        trace_id,
        error_message,
        input,
        attributes
    from read_parquet(:'part', hive_partitioning = false)
    order by created_at, id
) to :'rows' (
    format csv,
    header false,
    delim ',',
    quote '"',
    escape '"',
    nullstr '\N'
);
