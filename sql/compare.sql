-- The cards of two strategies over the same window.
-- $1 a text
-- $2 b text
-- $3 since timestamptz?
-- $4 until timestamptz?
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_sum_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations_above text, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text
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
    card.duration_max_ms,
    card.p50_ms,
    card.p95_ms,
    card.p99_ms,
    card.durations_above,
    card.points_sum,
    card.points_weighed,
    card.points_min,
    card.points_step,
    card.points_max,
    card.points_at_least,
    card.nodes_avg,
    card.nodes_max,
    card.top_errors,
    card.top_cases
from (
    (
        with execution as not materialized (
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
                and $3::timestamptz is null
                and $4::timestamptz is null
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
        total as materialized (
            select
                coalesce(sum(runs) filter (where status = 'ok'), 0)::bigint as ok,
                coalesce(sum(runs) filter (where status = 'error'), 0)::bigint as error,
                coalesce(sum(runs) filter (where status = 'timeout'), 0)::bigint as timeout,
                coalesce(sum(runs) filter (where status = 'limit'), 0)::bigint as "limit",
                coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0)::bigint as other,
                coalesce(sum(weight) filter (where status = 'ok'), 0) as ok_weight,
                coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
                coalesce(sum(weight), 0) as weight,
                coalesce(sum(points_sum), 0) as points_sum,
                coalesce(sum(points_weighed), 0) as points_weighed,
                min(points_min) as points_min,
                case when max(points_max) - min(points_min) > 1e-290 then (max(points_max) - min(points_min)) / 10 else 0 end as points_step,
                max(points_max) as points_max,
                coalesce(sum(nodes_sum)::double precision / sum(runs)::double precision, 0) as nodes_avg,
                coalesce(max(nodes_max), 0) as nodes_max
            from kind
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
            from total
        ),
        distribution as (
            select
                coalesce(sum(duration_ms), 0) as duration_sum_ms,
                coalesce(max(duration_ms), 0) as duration_max_ms,
                percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as percentiles_ms,
                json_build_array(
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
            distribution.duration_sum_ms,
            distribution.duration_max_ms,
            distribution.percentiles_ms[1] as p50_ms,
            distribution.percentiles_ms[2] as p95_ms,
            distribution.percentiles_ms[3] as p99_ms,
            distribution.durations_above,
            total.points_sum,
            total.points_weighed,
            total.points_min,
            total.points_step,
            total.points_max,
            distribution.points_at_least,
            total.nodes_avg,
            total.nodes_max,
            (
                select coalesce(json_agg(json_build_array(top.code, top.runs) order by top.runs desc, top.code), '[]')::text
                from (
                    select
                        error_code as code,
                        sum(runs) as runs
                    from kind
                    where error_code is not null
                    group by error_code
                    order by sum(runs) desc, error_code
                    limit 10
                ) as top
            ) as top_errors,
            (
                select coalesce(json_agg(json_build_array(top.name, top.runs) order by top.runs desc, top.name nulls last), '[]')::text
                from (
                    select
                        case_name as name,
                        sum(runs) as runs
                    from kind
                    group by case_name
                    order by sum(runs) desc, case_name nulls last
                    limit 10
                ) as top
            ) as top_cases
        from total
        cross join distribution
    )
    union all
    (
        with execution as not materialized (
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
                and $3::timestamptz is null
                and $4::timestamptz is null
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
        total as materialized (
            select
                coalesce(sum(runs) filter (where status = 'ok'), 0)::bigint as ok,
                coalesce(sum(runs) filter (where status = 'error'), 0)::bigint as error,
                coalesce(sum(runs) filter (where status = 'timeout'), 0)::bigint as timeout,
                coalesce(sum(runs) filter (where status = 'limit'), 0)::bigint as "limit",
                coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0)::bigint as other,
                coalesce(sum(weight) filter (where status = 'ok'), 0) as ok_weight,
                coalesce(sum(weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
                coalesce(sum(weight), 0) as weight,
                coalesce(sum(points_sum), 0) as points_sum,
                coalesce(sum(points_weighed), 0) as points_weighed,
                min(points_min) as points_min,
                case when max(points_max) - min(points_min) > 1e-290 then (max(points_max) - min(points_min)) / 10 else 0 end as points_step,
                max(points_max) as points_max,
                coalesce(sum(nodes_sum)::double precision / sum(runs)::double precision, 0) as nodes_avg,
                coalesce(max(nodes_max), 0) as nodes_max
            from kind
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
            from total
        ),
        distribution as (
            select
                coalesce(sum(duration_ms), 0) as duration_sum_ms,
                coalesce(max(duration_ms), 0) as duration_max_ms,
                percentile_cont('{0.5,0.95,0.99}'::double precision[]) within group (order by duration_ms) as percentiles_ms,
                json_build_array(
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
            distribution.duration_sum_ms,
            distribution.duration_max_ms,
            distribution.percentiles_ms[1] as p50_ms,
            distribution.percentiles_ms[2] as p95_ms,
            distribution.percentiles_ms[3] as p99_ms,
            distribution.durations_above,
            total.points_sum,
            total.points_weighed,
            total.points_min,
            total.points_step,
            total.points_max,
            distribution.points_at_least,
            total.nodes_avg,
            total.nodes_max,
            (
                select coalesce(json_agg(json_build_array(top.code, top.runs) order by top.runs desc, top.code), '[]')::text
                from (
                    select
                        error_code as code,
                        sum(runs) as runs
                    from kind
                    where error_code is not null
                    group by error_code
                    order by sum(runs) desc, error_code
                    limit 10
                ) as top
            ) as top_errors,
            (
                select coalesce(json_agg(json_build_array(top.name, top.runs) order by top.runs desc, top.name nulls last), '[]')::text
                from (
                    select
                        case_name as name,
                        sum(runs) as runs
                    from kind
                    group by case_name
                    order by sum(runs) desc, case_name nulls last
                    limit 10
                ) as top
            ) as top_cases
        from total
        cross join distribution
    )
) as card
order by card.place
