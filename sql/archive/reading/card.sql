-- The card of runs of files and of others that are given, column by column: as `metrics.sql` of the log makes it of rows.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 given_status text
-- $11 given_error_code text
-- $12 given_case_name text
-- $13 given_duration_ms text
-- $14 given_nodes_executed text
-- $15 given_points text
-- $16 given_weight text
-- $17 and on: filters
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_avg_ms double precision, duration_min_ms double precision, duration_max_ms double precision, values_ms double precision[]?, durations_above text, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text
-- Index: none
--
-- Files are read in passes: each kind of run is counted, then durations and points are, whose bars are known only by then;
-- of durations the bars that hold a percentile are read once more. So memory does not grow with the window.
with given as materialized (
    select
        unnest(from_json($10::text, '["VARCHAR"]')) as status,
        unnest(from_json($11::text, '["VARCHAR"]')) as error_code,
        unnest(from_json($12::text, '["VARCHAR"]')) as case_name,
        unnest(from_json($13::text, '["DOUBLE"]')) as duration_ms,
        unnest(from_json($14::text, '["BIGINT"]')) as nodes_executed,
        unnest(from_json($15::text, '["DOUBLE"]')) as points,
        unnest(from_json($16::text, '["DOUBLE"]')) as weight
),
run as not materialized (
    select
        status,
        error_code,
        case_name,
        duration_ms,
        nodes_executed,
        points,
        1 / greatest(sample_rate, 1e-9) as weight
    :runs
    union all
    select
        status,
        error_code,
        case_name,
        duration_ms,
        nodes_executed,
        points,
        weight
    from given
),
kind as materialized (
    select
        status,
        error_code,
        case_name,
        weight,
        count(*) as runs,
        sum(duration_ms) as duration_ms,
        min(duration_ms) as duration_min_ms,
        max(duration_ms) as duration_max_ms,
        sum(nodes_executed) as nodes,
        max(nodes_executed) as nodes_max,
        sum(points) as points,
        min(points) as points_min,
        max(points) as points_max
    from run
    group by status, error_code, case_name, weight
),
total as materialized (
    select
        coalesce(sum(runs) filter (where status = 'ok'), 0) as ok,
        coalesce(sum(runs) filter (where status = 'error'), 0) as error,
        coalesce(sum(runs) filter (where status = 'timeout'), 0) as timeout,
        coalesce(sum(runs) filter (where status = 'limit'), 0) as "limit",
        coalesce(sum(runs) filter (where status not in ('ok', 'error', 'timeout', 'limit')), 0) as other,
        coalesce(sum(runs * weight) filter (where status = 'ok'), 0) as ok_weight,
        coalesce(sum(runs * weight) filter (where status in ('error', 'timeout', 'limit')), 0) as failed_weight,
        coalesce(sum(runs * weight), 0) as weight,
        coalesce(sum(duration_ms * case when duration_ms < 1e290 then weight else 1 end), 0) as duration_ms,
        coalesce(min(duration_min_ms), 0) as duration_min_ms,
        coalesce(max(duration_max_ms), 0) as duration_max_ms,
        coalesce(sum(nodes * weight), 0) as nodes,
        coalesce(max(nodes_max), 0) as nodes_max,
        coalesce(sum(points), 0) as points_sum,
        coalesce(sum(points * case when abs(points) < 1e290 then weight else 1 end), 0) as points_weighed,
        min(points_min) as points_min,
        max(points_max) as points_max,
        case when max(points_max) - min(points_min) > 1e-290 then (max(points_max) - min(points_min)) / 10 else 0 end as points_step
    from kind
),
scale as materialized (
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
distribution as materialized (
    select
        [
            count(*),
            coalesce(countif(duration_ms > 5), 0),
            coalesce(countif(duration_ms > 10), 0),
            coalesce(countif(duration_ms > 25), 0),
            coalesce(countif(duration_ms > 50), 0),
            coalesce(countif(duration_ms > 100), 0),
            coalesce(countif(duration_ms > 150), 0),
            coalesce(countif(duration_ms > 200), 0),
            coalesce(countif(duration_ms > 250), 0),
            coalesce(countif(duration_ms > 500), 0),
            coalesce(countif(duration_ms > 1000), 0),
            coalesce(countif(duration_ms > 2500), 0),
            coalesce(countif(duration_ms > 5000), 0)
        ]::text as durations_above,
        [
            count(points),
            coalesce(countif(points >= at_1), 0),
            coalesce(countif(points >= at_2), 0),
            coalesce(countif(points >= at_3), 0),
            coalesce(countif(points >= at_4), 0),
            coalesce(countif(points >= at_5), 0),
            coalesce(countif(points >= at_6), 0),
            coalesce(countif(points >= at_7), 0),
            coalesce(countif(points >= at_8), 0),
            coalesce(countif(points >= at_9), 0)
        ]::text as points_at_least
    from run
    cross join scale
),
weighed as materialized (
    with weighing as not materialized (
        select
            '' as part,
            duration_ms,
            weight
        from run
    ),
    asked as (
        select
            '' as part,
            unnest([1, 2, 3]) as number,
            unnest([0.5, 0.95, 0.99]) * (weight - 1) as place
        from total
        where weight > 0
    ),
    :weighed_values
)
select
    ok::bigint as ok,
    error::bigint as error,
    timeout::bigint as timeout,
    "limit"::bigint as "limit",
    other::bigint as other,
    ok_weight,
    failed_weight,
    weight,
    coalesce(case when total.duration_ms > 1e-290 then total.duration_ms / weight end, 0) as duration_avg_ms,
    duration_min_ms,
    duration_max_ms,
    (select values_ms from weighed) as values_ms,
    durations_above,
    points_sum,
    points_weighed,
    points_min,
    points_step,
    points_max,
    points_at_least,
    coalesce(nodes / nullif(weight, 0), 0) as nodes_avg,
    nodes_max::integer as nodes_max,
    (
        select coalesce(to_json(list(json_array(name, runs) order by runs desc, name)), '[]')::text
        from (select error_code as name, sum(runs)::bigint as runs from kind where error_code is not null group by error_code order by runs desc, name limit 10) as top
    ) as top_errors,
    (
        select coalesce(to_json(list(json_array(name, runs) order by runs desc, name nulls last)), '[]')::text
        from (select case_name as name, sum(runs)::bigint as runs from kind group by case_name order by runs desc, name nulls last limit 10) as top
    ) as top_cases
from total
cross join distribution
