-- The strategies of some realms, or all of them, the slowest or the most failing first.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- $5 by text
-- $6 limit bigint
-- Columns: strategy_id text, runs bigint, failures bigint, error_rate double precision, avg_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, duration_min_ms double precision, duration_max_ms double precision, durations text?, last_run timestamptz?
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- Rollups for the whole hours and minutes of the window, rows for its ragged ends; all from rows where
-- the window has few. By p99 there are all strategies then, without an order: the order needs percentiles,
-- which are read from a histogram faster by the client.
-- The rows of a time lie together in the table, which is only ever appended to. An index that leads with
-- the realm and covers these columns answered in half the time, but cost COPY a quarter more. The index
-- by time is partial: its predicate (strategy_id is distinct from '') holds for every row. If there are few
-- strategies, Postgres 18 may look for the time in the index that leads with the strategy.
-- A row stands for 1/sample_rate executions, and for a thousand million at most.
with part as materialized (
    select
        grain,
        begins,
        ends
    from execlog.rollup_parts(null, $3::timestamptz, $4::timestamptz)
),
whole as materialized (
    select
        count(grain) = 0 as is_exact,
        count(*) filter (where grain = 0) = 0 and $3::timestamptz is null and $4::timestamptz is null as has_timeless
    from part
),
execution as not materialized (
    select
        stored.strategy_id,
        stored.status,
        stored.duration_ms,
        stored.created_at,
        stored.weight
    from part
    cross join lateral (
        select
            strategy_id,
            status,
            duration_ms,
            created_at,
            :weight as weight
        from execlog.strategy_execution_log
        where strategy_id is distinct from ''
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_id = any($2::text[])  -- if strategy_ids
            and created_at >= coalesce($3::timestamptz, '-infinity')
            and created_at <= coalesce($4::timestamptz, 'infinity')
            and created_at >= part.begins
            and created_at <= part.ends
    ) as stored
    where part.grain is null
    union all
    select
        strategy_id,
        status,
        duration_ms,
        created_at,
        :weight
    from execlog.strategy_execution_log
    where created_at is null
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and (select has_timeless from whole)
),
counted as (
    select
        strategy_id,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(weight) filter (where not :is_error), 0) as other_weight,
        sum(duration_ms) as duration_sum_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole)) as percentiles_ms,
        sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from whole)) as durations,
        max(created_at) as last_run
    from execution
    group by strategy_id
    union all
    select
        rolled.strategy_id,
        rolled.runs,
        rolled.failures,
        rolled.failed_weight,
        rolled.other_weight,
        rolled.duration_sum_ms,
        rolled.duration_min_ms,
        rolled.duration_max_ms,
        null,
        rolled.durations,
        rolled.last_run
    from part
    -- Each part by itself, so that it is a range of the index.
    cross join lateral (
        select
            strategy_id,
            sum(ok + error + timeout + "limit" + other)::bigint as runs,
            sum(error + timeout + "limit" + other)::bigint as failures,
            sum(failed_weight) as failed_weight,
            sum(ok_weight + other_weight) as other_weight,
            sum(duration_sum_ms) as duration_sum_ms,
            min(duration_min_ms) as duration_min_ms,
            max(duration_max_ms) as duration_max_ms,
            sum(durations) as durations,
            max(last_run) as last_run
        from execlog.rollup
        where grain = part.grain
            and begins >= part.begins
            and begins <= part.ends
            and realm_id = any($1::text[])  -- if realm_ids
            and strategy_id = any($2::text[])  -- if strategy_ids
        group by strategy_id
    ) as rolled
),
strategy as (
    select
        strategy_id,
        sum(runs)::bigint as runs,
        sum(failures)::bigint as failures,
        sum(failed_weight) / (sum(failed_weight) + sum(other_weight)) as error_rate,
        case when sum(duration_sum_ms) > 1e-290 then sum(duration_sum_ms) / sum(runs)::double precision else 0 end as avg_ms,
        max(percentiles_ms) as percentiles_ms,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(durations) as durations,
        max(last_run) as last_run
    from counted
    group by strategy_id
)
select
    strategy_id,
    runs,
    failures,
    error_rate,
    avg_ms,
    percentiles_ms[1] as p50_ms,
    percentiles_ms[2] as p95_ms,
    percentiles_ms[3] as p99_ms,
    duration_min_ms,
    duration_max_ms,
    durations::text as durations,
    last_run
from strategy
order by
    case $5::text
        when 'p99' then percentiles_ms[3]
        when 'failures' then failures
        when 'error_rate' then error_rate
        when 'runs' then runs
    end desc,
    strategy_id
limit case when $5::text <> 'p99' or (select is_exact from whole) then $6::bigint end
