-- The strategies of some realms, or all of them, the slowest or the most failing first, from rows alone.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 by text
-- $6 limit bigint
-- Columns: strategy_id text, runs bigint, failures bigint, error_rate double precision, avg_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, duration_min_ms double precision, duration_max_ms double precision, durations text?, last_run timestamptz?
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- In the place of ../rank_strategies.sql for a log that is spread over a cluster, which has no rollups: grouped by
-- the strategy, each machine ranks its own, and only the answers leave it.
select
    strategy_id,
    runs,
    failures,
    failed_weight / (failed_weight + other_weight) as error_rate,
    case when duration_sum_ms > 1e-290 then duration_sum_ms / runs::double precision else 0 end as avg_ms,
    percentiles_ms[1] as p50_ms,
    percentiles_ms[2] as p95_ms,
    percentiles_ms[3] as p99_ms,
    duration_min_ms,
    duration_max_ms,
    null::text as durations,
    last_run
from (
    select
        strategy_id,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(:weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(:weight) filter (where not :is_error), 0) as other_weight,
        sum(duration_ms) as duration_sum_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as percentiles_ms,
        max(created_at) as last_run
    from execlog.strategy_execution_log
    where strategy_id is distinct from ''
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and created_at >= $3::timestamptz  -- if since
        and created_at <= $4::timestamptz  -- if until
    group by strategy_id
) as strategy
order by
    case $5::text
        when 'p99' then percentiles_ms[3]
        when 'failures' then failures
        when 'error_rate' then failed_weight / (failed_weight + other_weight)
        when 'runs' then runs
    end desc,
    strategy_id
limit $6::bigint
