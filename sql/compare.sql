-- The cards of two strategies over the same window.
-- $1 a text
-- $2 b text
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 realm_ids text[]?
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_sum_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations text?, durations_above text, bars text?, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, points_runs bigint, points text?, points_below text?, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text, rows_from timestamptz?
-- Index: strategy_execution_log_newest
--
-- Two rows, a before b. Each side is the statement of metrics.sql, word for word: see there. Both are
-- written out, so that on a cluster each is sent to the machine that has its strategy.
select
    card.ok,
    card.error,
    card.timeout,
    card."limit",
    card.other,
    card.ok_weight,
    card.failed_weight,
    card.weight,
    card.duration_sum_ms,
    card.duration_min_ms,
    card.duration_max_ms,
    card.p50_ms,
    card.p95_ms,
    card.p99_ms,
    card.durations,
    card.durations_above,
    card.bars,
    card.points_sum,
    card.points_weighed,
    card.points_min,
    card.points_step,
    card.points_max,
    card.points_at_least,
    card.points_runs,
    card.points,
    card.points_below,
    card.nodes_avg,
    card.nodes_max,
    card.top_errors,
    card.top_cases,
    card.rows_from
from (
    (
        with part as materialized (
            select
                grain,
                begins,
                ends
            from execlog.rollup_parts($1::text, $3::timestamptz, $4::timestamptz)
        ),
        whole as materialized (
            select
                count(grain) = 0 as is_exact,
                count(*) filter (where grain = 0) = 0 and $3::timestamptz is null and $4::timestamptz is null as has_timeless
            from part
        ),
        execution as not materialized (
            select
                stored.status,
                stored.error_code,
                stored.case_name,
                stored.duration_ms,
                stored.nodes_executed,
                stored.points,
                stored.sample_rate
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
                    and created_at >= coalesce($3::timestamptz, '-infinity')
                    and created_at <= coalesce($4::timestamptz, 'infinity')
                    and created_at >= part.begins
                    and created_at <= part.ends
            ) as stored
            where part.grain is null
                and $5::text[] is null
            union all
            select
                stored.status,
                stored.error_code,
                stored.case_name,
                stored.duration_ms,
                stored.nodes_executed,
                stored.points,
                stored.sample_rate
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
                    and realm_id = any($5::text[])
                    and created_at >= coalesce($3::timestamptz, '-infinity')
                    and created_at <= coalesce($4::timestamptz, 'infinity')
                    and created_at >= part.begins
                    and created_at <= part.ends
            ) as stored
            where part.grain is null
                and $5::text[] is not null
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
                and created_at is null
                and (select has_timeless from whole)
                and $5::text[] is null
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
                and realm_id = any($5::text[])
                and created_at is null
                and (select has_timeless from whole)
                and $5::text[] is not null
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
                    and ($5::text[] is null or realm_id = any($5::text[]))
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
                        and ($5::text[] is null or realm_id = any($5::text[]))
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
                coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0)::bigint as other,
                coalesce(sum(weight) filter (where status = 'ok'), 0) as ok_weight,
                coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
                coalesce(sum(weight) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other_weight,
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
            select
                points_min + points_step * 1 as at_1,
                points_min + points_step * 2 as at_2,
                points_min + points_step * 3 as at_3,
                points_min + points_step * 4 as at_4,
                points_min + points_step * 5 as at_5,
                points_min + points_step * 6 as at_6,
                points_min + points_step * 7 as at_7,
                points_min + points_step * 8 as at_8,
                points_min + points_step * 9 as at_9
            from scale
        ),
        distribution as (
            select
                coalesce(sum(duration_ms), 0) as duration_sum_ms,
                min(duration_ms) as duration_min_ms,
                max(duration_ms) as duration_max_ms,
                percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole)) as percentiles_ms,
                sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from whole)) as durations,
                sum(('1e' || 10 * execlog.rollup_bar(points))::numeric) filter (where points >= 0.001 and not (select is_exact from whole)) as points,
                sum(('1e' || 10 * execlog.rollup_bar(-points))::numeric) filter (where points <= -0.001 and not (select is_exact from whole)) as points_below,
                count(points) as points_runs,
                json_build_array(
                    count(*),
                    count(*) filter (where duration_ms > 5),
                    count(*) filter (where duration_ms > 10),
                    count(*) filter (where duration_ms > 25),
                    count(*) filter (where duration_ms > 50),
                    count(*) filter (where duration_ms > 100),
                    count(*) filter (where duration_ms > 150),
                    count(*) filter (where duration_ms > 200),
                    count(*) filter (where duration_ms > 250),
                    count(*) filter (where duration_ms > 500),
                    count(*) filter (where duration_ms > 1000),
                    count(*) filter (where duration_ms > 2500),
                    count(*) filter (where duration_ms > 5000)
                )::text as durations_above,
                json_build_array(
                    count(points),
                    count(*) filter (where points >= (select at_1 from edge)),
                    count(*) filter (where points >= (select at_2 from edge)),
                    count(*) filter (where points >= (select at_3 from edge)),
                    count(*) filter (where points >= (select at_4 from edge)),
                    count(*) filter (where points >= (select at_5 from edge)),
                    count(*) filter (where points >= (select at_6 from edge)),
                    count(*) filter (where points >= (select at_7 from edge)),
                    count(*) filter (where points >= (select at_8 from edge)),
                    count(*) filter (where points >= (select at_9 from edge))
                )::text as points_at_least
            from execution
        )
        select
            1 as place,
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
                where coalesce($3::timestamptz, '-infinity') < rows_from
                    and complete_from < 'infinity'
            ) as rows_from
        from total
        cross join rolled
        cross join whole
        cross join scale
        cross join distribution
    )
    union all
    (
        with part as materialized (
            select
                grain,
                begins,
                ends
            from execlog.rollup_parts($2::text, $3::timestamptz, $4::timestamptz)
        ),
        whole as materialized (
            select
                count(grain) = 0 as is_exact,
                count(*) filter (where grain = 0) = 0 and $3::timestamptz is null and $4::timestamptz is null as has_timeless
            from part
        ),
        execution as not materialized (
            select
                stored.status,
                stored.error_code,
                stored.case_name,
                stored.duration_ms,
                stored.nodes_executed,
                stored.points,
                stored.sample_rate
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
                where strategy_id = $2::text
                    and created_at >= coalesce($3::timestamptz, '-infinity')
                    and created_at <= coalesce($4::timestamptz, 'infinity')
                    and created_at >= part.begins
                    and created_at <= part.ends
            ) as stored
            where part.grain is null
                and $5::text[] is null
            union all
            select
                stored.status,
                stored.error_code,
                stored.case_name,
                stored.duration_ms,
                stored.nodes_executed,
                stored.points,
                stored.sample_rate
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
                where strategy_id = $2::text
                    and realm_id = any($5::text[])
                    and created_at >= coalesce($3::timestamptz, '-infinity')
                    and created_at <= coalesce($4::timestamptz, 'infinity')
                    and created_at >= part.begins
                    and created_at <= part.ends
            ) as stored
            where part.grain is null
                and $5::text[] is not null
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
            where strategy_id = $2::text
                and created_at is null
                and (select has_timeless from whole)
                and $5::text[] is null
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
            where strategy_id = $2::text
                and realm_id = any($5::text[])
                and created_at is null
                and (select has_timeless from whole)
                and $5::text[] is not null
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
                where strategy_id = $2::text
                    and grain = part.grain
                    and begins >= part.begins
                    and begins <= part.ends
                    and ($5::text[] is null or realm_id = any($5::text[]))
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
                    where strategy_id = $2::text
                        and grain = part.grain
                        and begins >= part.begins
                        and begins <= part.ends
                        and ($5::text[] is null or realm_id = any($5::text[]))
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
                coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0)::bigint as other,
                coalesce(sum(weight) filter (where status = 'ok'), 0) as ok_weight,
                coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
                coalesce(sum(weight) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other_weight,
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
            select
                points_min + points_step * 1 as at_1,
                points_min + points_step * 2 as at_2,
                points_min + points_step * 3 as at_3,
                points_min + points_step * 4 as at_4,
                points_min + points_step * 5 as at_5,
                points_min + points_step * 6 as at_6,
                points_min + points_step * 7 as at_7,
                points_min + points_step * 8 as at_8,
                points_min + points_step * 9 as at_9
            from scale
        ),
        distribution as (
            select
                coalesce(sum(duration_ms), 0) as duration_sum_ms,
                min(duration_ms) as duration_min_ms,
                max(duration_ms) as duration_max_ms,
                percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) filter (where (select is_exact from whole)) as percentiles_ms,
                sum(('1e' || 10 * execlog.rollup_bar(duration_ms))::numeric) filter (where not (select is_exact from whole)) as durations,
                sum(('1e' || 10 * execlog.rollup_bar(points))::numeric) filter (where points >= 0.001 and not (select is_exact from whole)) as points,
                sum(('1e' || 10 * execlog.rollup_bar(-points))::numeric) filter (where points <= -0.001 and not (select is_exact from whole)) as points_below,
                count(points) as points_runs,
                json_build_array(
                    count(*),
                    count(*) filter (where duration_ms > 5),
                    count(*) filter (where duration_ms > 10),
                    count(*) filter (where duration_ms > 25),
                    count(*) filter (where duration_ms > 50),
                    count(*) filter (where duration_ms > 100),
                    count(*) filter (where duration_ms > 150),
                    count(*) filter (where duration_ms > 200),
                    count(*) filter (where duration_ms > 250),
                    count(*) filter (where duration_ms > 500),
                    count(*) filter (where duration_ms > 1000),
                    count(*) filter (where duration_ms > 2500),
                    count(*) filter (where duration_ms > 5000)
                )::text as durations_above,
                json_build_array(
                    count(points),
                    count(*) filter (where points >= (select at_1 from edge)),
                    count(*) filter (where points >= (select at_2 from edge)),
                    count(*) filter (where points >= (select at_3 from edge)),
                    count(*) filter (where points >= (select at_4 from edge)),
                    count(*) filter (where points >= (select at_5 from edge)),
                    count(*) filter (where points >= (select at_6 from edge)),
                    count(*) filter (where points >= (select at_7 from edge)),
                    count(*) filter (where points >= (select at_8 from edge)),
                    count(*) filter (where points >= (select at_9 from edge))
                )::text as points_at_least
            from execution
        )
        select
            2 as place,
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
                where coalesce($3::timestamptz, '-infinity') < rows_from
                    and complete_from < 'infinity'
            ) as rows_from
        from total
        cross join rolled
        cross join whole
        cross join scale
        cross join distribution
    )
) as card
order by card.place
