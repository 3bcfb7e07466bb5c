-- The card of one strategy: how its runs ended, how long they took, what they awarded, what failed.
-- $1 strategy_id text
-- $2 since timestamptz? always
-- $3 until timestamptz? always
-- $4 realm_ids text[]?
-- switch sampled
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_sum_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations text?, durations_above text, bars text?, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, points_runs bigint, points text?, points_below text?, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text, rows_from timestamptz?
-- Index: strategy_execution_log_newest
--
-- Rollups for the whole hours and minutes of the window, rows for its ragged ends and for windows of few
-- runs; histograms of rollups are numbers, see migrations/0003_rollup.sql. OFFSET 0 has each part be a
-- range of the index: the planner, which knows no part's size, may else read all of the strategy.
-- Of rows there are two passes over the index, and no memory that grows with the window. The first counts
-- each kind of run and finds the range of the points; the second sorts the durations, once for all
-- percentiles, and counts both histograms, since the edges of the points are known only by then.
-- One pass must keep the rows somewhere. On 200,000 rows, as multiples of the bare percentiles: these
-- two passes 3.0; a materialised CTE 3.8, through the disk; arrays 2.5 to 2.8, in 65 bytes of the
-- server's memory a row. Points as one more key of the first pass: 2.6, but 4.9 where they hardly
-- repeat. GROUPING SETS: 3.6 for the counts alone.
-- A row stands for 1/sample_rate executions, and for a thousand million at most. Sums of points that
-- would leave the range of a double when weighed, and spreads that would when divided, are left as
-- they are: the server raises (22003) where others round.
-- Lists of unknown length go as JSON: for an array the driver asks the catalogue first.
with part as materialized (
    select
        grain,
        begins,
        ends
    from execlog.rollup_parts($1::text, $2::timestamptz, $3::timestamptz)
),
whole as materialized (
    select
        count(grain) = 0 as is_exact,
        count(*) filter (where grain = 0) = 0 and $2::timestamptz is null and $3::timestamptz is null as has_timeless
    from part
),
execution as not materialized (
    select stored.*
    from part
    cross join lateral (
        select
            status,
            error_code,
            case_name,
            duration_ms,
            nodes_executed,
            points,
            sample_rate
        from execlog.strategy_execution_log
        where strategy_id = $1::text
            and realm_id = any($4::text[])  -- if realm_ids
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
            and created_at >= part.begins
            and created_at <= part.ends
    ) as stored
    where part.grain is null
    union all
    select
        status,
        error_code,
        case_name,
        duration_ms,
        nodes_executed,
        points,
        sample_rate
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and realm_id = any($4::text[])  -- if realm_ids
        and created_at is null
        and (select has_timeless from whole)
),
rolled as materialized (
    select
        coalesce(sum(rollup.ok), 0)::bigint as ok,
        coalesce(sum(rollup.error), 0)::bigint as error,
        coalesce(sum(rollup.timeout), 0)::bigint as timeout,
        coalesce(sum(rollup."limit"), 0)::bigint as "limit",
        coalesce(sum(rollup.other), 0)::bigint as other,
        coalesce(sum(rollup.ok_weight), 0) as ok_weight,
        coalesce(sum(rollup.failed_weight), 0) as failed_weight,
        coalesce(sum(rollup.other_weight), 0) as other_weight,
        coalesce(sum(rollup.duration_sum_ms), 0) as duration_sum_ms,
        min(rollup.duration_min_ms) as duration_min_ms,
        max(rollup.duration_max_ms) as duration_max_ms,
        coalesce(sum(rollup.nodes_sum), 0)::bigint as nodes_sum,
        max(rollup.nodes_max) as nodes_max,
        coalesce(sum(rollup.points_sum), 0) as points_sum,
        coalesce(sum(rollup.points_weighed), 0) as points_weighed,
        min(rollup.points_min) as points_min,
        max(rollup.points_max) as points_max,
        sum(rollup.points_runs)::bigint as points_runs,
        sum(rollup.bars) as bars,
        sum(rollup.durations) as durations,
        sum(rollup.points) as points,
        sum(rollup.points_below) as points_below
    from part
    cross join lateral (
        select
            ok,
            error,
            timeout,
            "limit",
            other,
            ok_weight,
            failed_weight,
            other_weight,
            duration_sum_ms,
            duration_min_ms,
            duration_max_ms,
            nodes_sum,
            nodes_max,
            points_sum,
            points_weighed,
            points_min,
            points_max,
            points_runs,
            bars,
            durations,
            points,
            points_below
        from execlog.rollup
        where strategy_id = $1::text
            and grain = part.grain
            and begins >= part.begins
            and begins <= part.ends
            and realm_id = any($4::text[])  -- if realm_ids
        offset 0
    ) as rollup
),
kind as materialized (
    select
        status,
        error_code,
        case_name,
        count(*) as runs,
        count(*) / greatest(sample_rate, 1e-9) as weight,
        sum(nodes_executed) as nodes_sum,
        max(nodes_executed) as nodes_max,
        sum(points) as points_sum,
        sum(points) / case when abs(sum(points)) < 1e290 then greatest(sample_rate, 1e-9) else 1 end as points_weighed,
        min(points) as points_min,
        max(points) as points_max
    from execution
    group by status, error_code, case_name, sample_rate
),
name as materialized (
    select
        kind,
        name,
        sum(runs) as runs
    from (
        select
            'e'::"char" as kind,
            error_code as name,
            runs
        from kind
        where error_code is not null
        union all
        select
            'c',
            case_name,
            runs
        from kind
        union all
        select
            named.kind,
            named.name,
            named.runs
        from part
        cross join lateral (
            select
                kind,
                name,
                runs
            from execlog.rollup_name
            where strategy_id = $1::text
                and grain = part.grain
                and begins >= part.begins
                and begins <= part.ends
                and realm_id = any($4::text[])  -- if realm_ids
            offset 0
        ) as named
    ) as named
    group by kind, name
),
counted as materialized (
    select
        coalesce(sum(runs) filter (where status = 'ok'), 0)::bigint as ok,
        coalesce(sum(runs) filter (where status = 'error'), 0)::bigint as error,
        coalesce(sum(runs) filter (where status = 'timeout'), 0)::bigint as timeout,
        coalesce(sum(runs) filter (where status = 'limit'), 0)::bigint as "limit",
        coalesce(sum(runs) filter (where :is_other), 0)::bigint as other,
        coalesce(sum(weight) filter (where status = 'ok'), 0) as ok_weight,
        coalesce(sum(weight) filter (where :is_error), 0) as failed_weight,
        coalesce(sum(weight) filter (where :is_other), 0) as other_weight,
        coalesce(sum(points_sum), 0) as points_sum,
        coalesce(sum(points_weighed), 0) as points_weighed,
        min(points_min) as points_min,
        max(points_max) as points_max,
        coalesce(sum(nodes_sum), 0)::bigint as nodes_sum,
        max(nodes_max) as nodes_max
    from kind
),
total as materialized (
    select
        counted.ok + rolled.ok as ok,
        counted.error + rolled.error as error,
        counted.timeout + rolled.timeout as timeout,
        counted."limit" + rolled."limit" as "limit",
        counted.other + rolled.other as other,
        counted.ok_weight + rolled.ok_weight as ok_weight,
        counted.failed_weight + rolled.failed_weight as failed_weight,
        counted.ok_weight + rolled.ok_weight + (counted.failed_weight + rolled.failed_weight) + (counted.other_weight + rolled.other_weight) as weight,
        counted.points_sum + rolled.points_sum as points_sum,
        counted.points_weighed + rolled.points_weighed as points_weighed,
        least(counted.points_min, rolled.points_min) as points_min,
        greatest(counted.points_max, rolled.points_max) as points_max,
        counted.nodes_sum + rolled.nodes_sum as nodes_sum,
        coalesce(greatest(counted.nodes_max, rolled.nodes_max), 0) as nodes_max
    from counted
    cross join rolled
),
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
        coalesce(sum(duration_ms), 0) as duration_sum_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole)) as percentiles_ms,  -- if not sampled
        null::double precision[] as percentiles_ms,  -- if sampled
        sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from whole)) as durations,
        sum(('1e' || 10 * execlog.rollup_bar(points))::numeric) filter (where points >= 0.001 and not (select is_exact from whole)) as points,
        sum(('1e' || 10 * execlog.rollup_bar(-points))::numeric) filter (where points <= -0.001 and not (select is_exact from whole)) as points_below,
        count(points) as points_runs,
        :durations_above,
        :points_at_least
    from execution
)
select
    total.ok,
    total.error,
    total.timeout,
    total."limit",
    total.other,
    total.ok_weight,
    total.failed_weight,
    total.weight,
    distribution.duration_sum_ms + rolled.duration_sum_ms as duration_sum_ms,
    coalesce(least(distribution.duration_min_ms, rolled.duration_min_ms), 0) as duration_min_ms,
    coalesce(greatest(distribution.duration_max_ms, rolled.duration_max_ms), 0) as duration_max_ms,
    distribution.percentiles_ms[1] as p50_ms,
    distribution.percentiles_ms[2] as p95_ms,
    distribution.percentiles_ms[3] as p99_ms,
    case when not whole.is_exact then coalesce(rolled.durations, 0) + coalesce(distribution.durations, 0) end::text as durations,
    distribution.durations_above,
    rolled.bars::text as bars,
    total.points_sum,
    total.points_weighed,
    total.points_min,
    scale.points_step,
    total.points_max,
    distribution.points_at_least,
    coalesce(rolled.points_runs, 0) + distribution.points_runs as points_runs,
    case when not whole.is_exact then coalesce(rolled.points, 0) + coalesce(distribution.points, 0) end::text as points,
    case when not whole.is_exact then coalesce(rolled.points_below, 0) + coalesce(distribution.points_below, 0) end::text as points_below,
    coalesce(total.nodes_sum::double precision / nullif(total.ok + total.error + total.timeout + total."limit" + total.other, 0), 0) as nodes_avg,
    total.nodes_max,
    (
        select coalesce(json_agg(json_build_array(top.name, top.runs) order by top.runs desc, top.name), '[]')::text
        from (
            select
                name,
                runs
            from name
            where kind = 'e'
            order by runs desc, name
            limit 10
        ) as top
    ) as top_errors,
    (
        select coalesce(json_agg(json_build_array(top.name, top.runs) order by top.runs desc, top.name nulls last), '[]')::text
        from (
            select
                name,
                runs
            from name
            where kind = 'c'
            order by runs desc, name nulls last
            limit 10
        ) as top
    ) as top_cases,
    (
        select nullif(rows_from, '-infinity')
        from execlog.rollup_state
        where coalesce($2::timestamptz, '-infinity') < rows_from
            and complete_from < 'infinity'
    ) as rows_from
from total
cross join rolled
cross join whole
cross join scale
cross join distribution
