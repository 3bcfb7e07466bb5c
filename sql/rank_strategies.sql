-- The strategies of some realms, or all of them, the slowest or the most failing first.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- $5 by text
-- $6 limit bigint
-- $7 strategy_versions integer[]?
-- $8 min_runs bigint?
-- switch in_total
-- Columns: strategy_id text, runs bigint, failures bigint, error_rate double precision, failed_rate double precision, avg_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, duration_min_ms double precision, duration_max_ms double precision, durations text?, last_run timestamptz?
-- Index: strategy_execution_log_time, strategy_execution_log_newest
--
-- Rollups for the whole days, hours and minutes of the window, rows for its ragged ends and for what is not summed
-- up yet; all from rows if the window has few runs, and those of sampled strategies once more. A strategy that a
-- mark names is cut by itself. By p99 the quantile is looked for in the histograms of twice as many strategies
-- as are wanted, those with the longest runs, and of the others where a hundredth lies above the least that is wanted.
-- The rows of a time lie together in the table, which is only ever appended to. An index that leads with
-- the realm and covers these columns answered in half the time, but cost COPY a quarter more. The index
-- by time is partial: its predicate (strategy_id is distinct from '') holds for every row. If there are few
-- strategies, Postgres 18 may look for the time in the index that leads with the strategy.
with
general as materialized (
    select
        grain,
        begins,
        ends
    from execlog.rollup_parts(null, $3::timestamptz, $4::timestamptz)
),
:rank_source,
counted as (
    select
        strategy_id,
        count(*) as runs,
        count(*) filter (where status <> 'ok') as failures,
        coalesce(sum(weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(weight) filter (where status <> 'ok'), 0) as not_ok_weight,
        sum(weight) as weight,
        sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end) as duration_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where weight = 1 and (select is_exact from whole)) as values_ms,
        max(weight) > 1 and (select is_exact from whole) as is_sampled,
        null::numeric as durations,
        max(created_at) as last_run
    from execution
    group by strategy_id
    union all
    select
        kept.strategy_id,  -- if not in_total
        '',  -- if in_total
        kept.runs,
        kept.failures,
        kept.failed_weight,
        kept.not_ok_weight,
        kept.failed_weight + kept.other_weight,
        kept.duration_ms,
        kept.duration_min_ms,
        kept.duration_max_ms,
        null,
        false,
        kept.durations,
        kept.last_run
    from (
        :part_rollups($1, $2, $7)
    ) as kept
),
ragged as materialized (
    select
        strategy_id,
        sum((weight::text || 'e' || 24 * bar)::numeric) as durations
    from (
        select
            strategy_id,
            execlog.rollup_bar(duration_ms) as bar,
            sum((1e8::double precision * weight)::bigint) as weight
        from execution
        where not (select is_exact from whole)
        group by strategy_id, execlog.rollup_bar(duration_ms)
    ) as duration
    group by strategy_id
),
summed as (
    select
        strategy_id,
        sum(runs)::bigint as runs,
        sum(failures)::bigint as failures,
        sum(failed_weight) / sum(weight) as error_rate,
        sum(not_ok_weight) / sum(weight) as failed_rate,
        case when sum(duration_ms) > 1e-290 then sum(duration_ms) / sum(weight) else 0 end as avg_ms,
        max(values_ms) as values_ms,
        bool_or(is_sampled) as is_sampled,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(weight) as weight,
        nullif(coalesce(sum(counted.durations), 0) + coalesce(max(ragged.durations), 0), 0) as durations,
        max(last_run) as last_run
    from counted
    left join ragged using (strategy_id)
    group by strategy_id
),
strategy as materialized (
    select *
    from summed
    where true
        and runs >= $8::bigint  -- if min_runs
),
asked as (
    :asked
),
run as not materialized (
    select
        strategy_id,
        duration_ms,
        weight
    from execution
    where (select bool_or(is_sampled) from strategy)
        and strategy_id in (select strategy_id from strategy where is_sampled)
),
percentile as (
    with
    :weighed_values(by_strategy)
),
longest as materialized (
    select
        strategy_id,
        greatest(least(execlog.quantile(durations, 0.99), duration_max_ms), duration_min_ms) as p99_ms
    from (
        select *
        from strategy
        where durations is not null
            and $5::text = 'p99'
        order by duration_max_ms desc
        limit 2 * $6::bigint
    ) as long
),
least_wanted as materialized (
    select p99_ms
    from longest
    order by p99_ms desc
    offset $6::bigint - 1
    limit 1
),
ranked as (
    select
        strategy.*,
        coalesce(percentile.values_ms, strategy.values_ms) as percentiles_ms,
        case $5::text
            when 'p99' then coalesce(
                (coalesce(percentile.values_ms, strategy.values_ms))[3],
                longest.p99_ms,
                case
                    when execlog.rollup_weight_from(durations, least_bar) >= 0.99e6 * (weight - 1)
                    then greatest(least(execlog.quantile(durations, 0.99), duration_max_ms), duration_min_ms)
                end
            )
            when 'failures' then failures
            when 'error_rate' then error_rate
            when 'failed_rate' then failed_rate
            when 'runs' then runs
        end as measure
    from strategy
    left join percentile on percentile.strategy_id = strategy.strategy_id
    left join longest on longest.strategy_id = strategy.strategy_id
    cross join (
        select greatest(execlog.rollup_bar(coalesce((select p99_ms from least_wanted), 0)) - 1, 0) as least_bar
    ) as wanted
    order by measure desc nulls last, strategy.strategy_id
    limit $6::bigint
)
select
    strategy_id,
    runs,
    failures,
    error_rate,
    failed_rate,
    avg_ms,
    percentiles_ms[1] as p50_ms,
    percentiles_ms[2] as p95_ms,
    percentiles_ms[3] as p99_ms,
    duration_min_ms,
    duration_max_ms,
    durations::text as durations,
    last_run
from ranked
order by measure desc nulls last, strategy_id
