-- The runs of files of two windows, their weight and their outcome: as `part/explained_runs.sql` of the log.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 baseline_since timestamptz
-- $11 baseline_until timestamptz
-- $12 window_since timestamptz
-- $13 measured_case text? always
-- $14 slow_ms double precision
-- $15 and on: filters
-- switch slower | awarded | of_case
--
-- `side` is 0 in the window before, and 1,000,000 in the one after; `after_us` is how long after its begin a run ended.
select
    case when created_at >= $12::timestamptz then 1000000 else 0 end as side,
    epoch_us(created_at) - epoch_us(case when created_at >= $12::timestamptz then $12::timestamptz else $10::timestamptz end) as after_us,
    strategy_version::text as strategy_version,
    strategy_type,
    realm_id,
    external_game_id,
    external_task_id,
    external_user_id,
    parent_strategy_id,
    case_name,
    status,
    error_code,
    length(ltrim(bin(nodes_executed), '0'))::text as nodes_bits,
    attributes,
    1 / greatest(sample_rate, 1e-9) as weight,
    case when duration_ms > $14::double precision then 1.0 else 0.0 end::double precision as outcome  -- if slower
    (coalesce(points, 0) * case when abs(points) >= 1e290 then greatest(sample_rate, 1e-9) else 1 end)::double precision as outcome  -- if awarded
    case when case_name = $13::text then 1.0 else 0.0 end::double precision as outcome  -- if of_case
    case when status in ('error', 'timeout', 'limit') then 1.0 else 0.0 end::double precision as outcome  -- if not slower, not awarded, not of_case
:runs
    and created_at >= $10::timestamptz
    and (created_at <= $11::timestamptz or created_at >= $12::timestamptz)
