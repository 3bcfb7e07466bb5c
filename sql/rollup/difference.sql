-- Where do the rollups of an hour differ from its rows, and those of its day from its hours?
-- $1 hour timestamptz
-- $2 day timestamptz? always
-- Columns: strategy_id text, realm_id text?, strategy_version integer?, grain integer, begins timestamptz, kept bigint, counted bigint
-- Index: strategy_execution_log_time, rollup_time
--
-- What is read from rows anyway is passed over: what a mark names, or is not summed up yet. Sums of doubles depend
-- on their order: they may differ by rounding.
with state as materialized (
    select
        complete_until,
        $1::timestamptz + interval '1 hour' <= complete_until as is_closed,
        execlog.rollup_dirty(null) && tstzrange($1::timestamptz, $1::timestamptz + interval '1 hour') as is_dirty,
        execlog.rollup_dirty(null) && tstzrange($2::timestamptz, $2::timestamptz + interval '1 day') as is_dirty_day,
        $2::timestamptz + interval '1 day' <= complete_until and $2::timestamptz >= greatest(rows_from, hours_from) as is_closed_day
    from execlog.rollup_state
),
dirty as materialized (
    select
        strategy_id,
        bool_or(begins < $1::timestamptz + interval '1 hour' and ends > $1::timestamptz) as is_dirty
    from execlog.rollup_mark
    where begins < coalesce($2::timestamptz + interval '1 day', $1::timestamptz + interval '1 hour')
        and ends > coalesce($2::timestamptz, $1::timestamptz)
    group by strategy_id
),
thick as materialized (
    select distinct strategy_id
    from execlog.rollup
    where grain = 3600
        and begins = $1::timestamptz
        and has_minutes
),
side as materialized (
    select
        true as is_made,
        made.*
    from state
    cross join lateral execlog.rollup_of_rows(3600, $1::timestamptz, $1::timestamptz + interval '1 hour', null) as made
    where is_closed
        and not is_dirty
    union all
    select
        true,
        made.*
    from state
    cross join lateral execlog.rollup_of_rows(60, $1::timestamptz, least($1::timestamptz + interval '1 hour', complete_until), null) as made
    where not is_dirty
        and (
            not is_closed
            or made.strategy_id in (select strategy_id from thick)
        )
        and $1::timestamptz >= (select minutes_from from execlog.rollup_state)
    union all
    select
        true,
        made.*
    from state
    cross join lateral execlog.rollup_of_rollups(3600, 86400, $2::timestamptz, $2::timestamptz + interval '1 day', null) as made
    where is_closed_day
        and not is_dirty_day
    union all
    select
        false,
        kept.*
    from state
    cross join execlog.rollup as kept
    where not is_dirty
        and (
            kept.grain = 3600 and kept.begins = $1::timestamptz and is_closed
            or kept.grain = 60
                and kept.begins >= $1::timestamptz
                and kept.begins < least($1::timestamptz + interval '1 hour', complete_until)
                and kept.begins >= (select minutes_from from execlog.rollup_state)
        )
        or not is_dirty_day and is_closed_day and kept.grain = 86400 and kept.begins = $2::timestamptz
),
compared as (
    select
        side.strategy_id,
        side.realm_id,
        side.strategy_version,
        side.grain,
        side.begins,
        coalesce(sum(ok + error + timeout + "limit" + other) filter (where not is_made), 0)::bigint as kept,
        coalesce(sum(ok + error + timeout + "limit" + other) filter (where is_made), 0)::bigint as counted,
        count(*) as sides,
        count(distinct row(
            ok, error, timeout, "limit", other, nodes_max, points_runs, last_run, other_cases, other_errors,
            bars, durations, points, points_below, duration_min_ms, duration_max_ms, points_min, points_max,
            case_names, case_runs, case_failures, error_codes, error_runs
        )) as ways,
        max(greatest(ok_weight, 1e-290)) - min(greatest(ok_weight, 1e-290)) > 1e-9 * max(ok_weight)
            or max(failed_weight) - min(failed_weight) > 1e-9 * max(failed_weight)
            or max(other_weight) - min(other_weight) > 1e-9 * max(other_weight)
            or max(duration_sum_ms) - min(duration_sum_ms) > 1e-9 * max(duration_sum_ms)
            or max(duration_weighed_ms) - min(duration_weighed_ms) > 1e-9 * max(duration_weighed_ms)
            or max(nodes_weighed) - min(nodes_weighed) > 1e-9 * max(nodes_weighed)
            or abs(max(points_sum) - min(points_sum)) > max(1e-9 * greatest(abs(points_max), abs(points_min), 1) * points_runs)
            or abs(max(points_weighed) - min(points_weighed)) > max(1e-9 * greatest(abs(points_max), abs(points_min), 1) * (ok_weight + failed_weight + other_weight)) as is_off
    from side
    left join dirty on dirty.strategy_id = side.strategy_id
    where dirty.strategy_id is null
        or side.grain < 86400 and not dirty.is_dirty
    group by side.strategy_id, side.realm_id, side.strategy_version, side.grain, side.begins
)
select
    strategy_id,
    realm_id,
    strategy_version,
    grain,
    begins,
    kept,
    counted
from compared
where sides <> 2
    or ways <> 1
    or is_off
order by begins desc, grain, strategy_id, realm_id, strategy_version
limit 1000
