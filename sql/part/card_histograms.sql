-- How the durations and points of a card are distributed: of all `execution` if it is exact, else with the rollups
-- `kept` in bars of 2 %.
-- switch sampled
scale as materialized (
    select
        points_min,
        case when points_max - points_min > 1e-290 then (points_max - points_min) / 10 else 0 end as points_step
    from total
),
edge as materialized (
    :point_edges
),
distribution as (
    select
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole) and (select is_whole from total)) as percentiles_ms,  -- if not sampled
        null::double precision[] as percentiles_ms,  -- if sampled
        :durations_above,
        :points_at_least
    from execution
),
run as not materialized (
    select
        duration_ms,
        :weight as weight
    from execution
    where (select is_exact from whole)
        and not (select is_whole from total)
        and false  -- if sampled
),
ragged as materialized (
    select
        sum((weight::text || 'e' || 24 * bar)::numeric) as durations,
        null::numeric as points,
        null::numeric as points_below
    from (
        select
            execlog.rollup_bar(duration_ms) as bar,
            sum((1e8::double precision * :weight)::bigint) as weight
        from execution
        where not (select is_exact from whole)
        group by execlog.rollup_bar(duration_ms)
    ) as duration
    union all
    select
        null,
        sum((runs::text || 'e' || 24 * execlog.rollup_bar(points) + 8)::numeric) filter (where points >= 0.001),
        sum((runs::text || 'e' || 24 * execlog.rollup_bar(-points) + 8)::numeric) filter (where points <= -0.001)
    from (
        select
            points,
            count(*) as runs
        from execution
        where not (select is_exact from whole)
            and points is not null
        group by points
    ) as point
),
sketch as materialized (
    select
        sum(durations)::text as durations,
        coalesce(sum(bars), 0)::text as bars,
        coalesce(sum(points), 0)::text as points,
        coalesce(sum(points_below), 0)::text as points_below
    from (
        select
            durations,
            bars,
            points,
            points_below
        from kept
        union all
        select
            durations,
            null,
            points,
            points_below
        from ragged
    ) as part
    where not (select is_exact from whole)
)
