-- The card of one strategy: how its runs ended, how long they took, what they awarded, what failed.
-- $1 strategy_id text
-- $2 since timestamptz? always
-- $3 until timestamptz? always
-- $4 realm_ids text[]?
-- $5 strategy_versions integer[]?
-- switch sampled
-- Columns: ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_avg_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations text?, durations_above text, bars text?, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, points_runs bigint, points text?, points_below text?, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text, other_errors bigint, other_cases bigint, rows_from timestamptz?, versions_from timestamptz?
-- Index: strategy_execution_log_newest
--
-- Rollups for the whole days, hours and minutes of the window, rows for its ragged ends, for what is not summed up
-- yet, and for windows of few runs. OFFSET 0 makes each part a range of the index: the planner, which does not know
-- a part's size, may otherwise read all of the strategy.
-- Rows are read in two passes over the index, in memory that does not grow with the window. The first counts each
-- kind of run and finds the range of the points; the second sorts the durations, once for all percentiles, and
-- counts both histograms, since the edges of the points are known only by then.
-- Sums that would leave the range of a double if they were weighed stay as they are: the server raises (22003) where
-- others round. Lists of unknown length go as JSON: for an array the driver asks the catalogue first.
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
        :stored_runs($1, $4, $5)
            and created_at >= coalesce($2::timestamptz, '-infinity')
            and created_at <= coalesce($3::timestamptz, 'infinity')
            and created_at >= part.begins
            and created_at <= part.ends
    ) as stored
    where part.grain is null
    union all
    :stored_runs($1, $4, $5)
        and created_at is null
        and (select has_timeless from whole)
),
kept as materialized (
    select rollup.*
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
            duration_weighed_ms,
            duration_min_ms,
            duration_max_ms,
            nodes_weighed,
            nodes_max,
            points_sum,
            points_weighed,
            points_min,
            points_max,
            points_runs,
            other_cases,
            other_errors,
            bars,
            durations,
            points,
            points_below,
            case_names,
            case_runs,
            error_codes,
            error_runs
        :stored_rollups($1, $4, $5)
    ) as rollup
),
:card_totals,
:card_histograms,
:card_names
select
    total.ok,
    total.error,
    total.timeout,
    total."limit",
    total.other,
    total.ok_weight,
    total.failed_weight,
    total.weight,
    coalesce(case when total.duration_ms > 1e-290 then total.duration_ms / total.weight end, 0) as duration_avg_ms,
    total.duration_min_ms,
    total.duration_max_ms,
    percentile.values_ms[1] as p50_ms,
    percentile.values_ms[2] as p95_ms,
    percentile.values_ms[3] as p99_ms,
    sketch.durations,
    distribution.durations_above,
    sketch.bars,
    total.points_sum,
    total.points_weighed,
    total.points_min,
    scale.points_step,
    total.points_max,
    distribution.points_at_least,
    total.points_runs,
    sketch.points,
    sketch.points_below,
    coalesce(total.nodes / nullif(total.weight, 0), 0) as nodes_avg,
    total.nodes_max,
    (
        select coalesce(json_agg(json_build_array(name, runs) order by runs desc, name), '[]')::text
        from (select * from name where is_code order by runs desc, name limit 10) as top
    ) as top_errors,
    (
        select coalesce(json_agg(json_build_array(name, runs) order by runs desc, name nulls last), '[]')::text
        from (select * from name where not is_code order by runs desc, name nulls last limit 10) as top
    ) as top_cases,
    (select coalesce(sum(other_errors), 0)::bigint from kept) as other_errors,
    (select coalesce(sum(other_cases), 0)::bigint from kept) as other_cases,
    nullif(greatest(state.rows_from, coalesce($2::timestamptz, '-infinity')), coalesce($2::timestamptz, '-infinity')) as rows_from,
    nullif(greatest(state.versions_from, coalesce($2::timestamptz, '-infinity')), coalesce($2::timestamptz, '-infinity')) as versions_from
from total
cross join whole
cross join scale
cross join distribution
left join sketch on not whole.is_exact
left join lateral (
    select distribution.percentiles_ms as values_ms where total.is_whole is not false
    union all
    (
        with
        :weighed_percentiles
    )
) as percentile on whole.is_exact
left join execlog.rollup_state as state on state.enabled
