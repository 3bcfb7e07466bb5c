-- Where do the rollups differ from those that this transaction has made of the rows?
-- $1 since timestamptz
-- $2 until timestamptz
-- Columns: strategy_id text, realm_id text?, grain integer, begins timestamptz, kept bigint, counted bigint
-- Index: rollup_time, rollup_name_time
--
-- Sums of doubles depend on their order: they are the same where they are but for rounding.
-- No double is in the JSON, which has as many of its digits as extra_float_digits says.
with side as materialized (
    select
        strategy_id,
        realm_id,
        grain,
        begins,
        slot = execlog.rollup_own_slot() as is_made,
        coalesce('=' || realm_id, '') as realm_key,
        sum(ok + error + timeout + "limit" + other) as runs,
        jsonb_build_array(
            sum(ok),
            sum(error),
            sum(timeout),
            sum("limit"),
            sum(other),
            sum(nodes_sum),
            max(nodes_max),
            sum(points_runs),
            max(last_run),
            sum(bars),
            sum(durations),
            sum(points),
            sum(points_below)
        ) as exact,
        array[
            min(duration_min_ms),
            max(duration_max_ms),
            min(points_min),
            max(points_max)
        ] as extremes,
        array[
            sum(ok_weight),
            sum(failed_weight),
            sum(other_weight),
            sum(duration_sum_ms),
            coalesce(sum(points_sum), 0),
            coalesce(sum(points_weighed), 0)
        ] as rounded,
        greatest(abs(max(points_max)), abs(min(points_min)), 1) * 1e-9 * sum(ok_weight + failed_weight + other_weight) as points_error
    from execlog.rollup
    where grain > 0
        and begins >= $1::timestamptz
        and begins <= $2::timestamptz
    group by strategy_id, realm_id, grain, begins, slot = execlog.rollup_own_slot()
),
list as materialized (
    select
        strategy_id,
        realm_id,
        grain,
        begins,
        is_made,
        coalesce('=' || realm_id, '') as realm_key,
        jsonb_object_agg(kind::text || coalesce('=' || name, ''), runs) as names
    from (
        select
            strategy_id,
            realm_id,
            grain,
            begins,
            slot = execlog.rollup_own_slot() as is_made,
            kind,
            name,
            sum(runs) as runs
        from execlog.rollup_name
        where grain > 0
            and begins >= $1::timestamptz
            and begins <= $2::timestamptz
        group by strategy_id, realm_id, grain, begins, slot = execlog.rollup_own_slot(), kind, name
    ) as named
    group by strategy_id, realm_id, grain, begins, is_made
),
made as (
    select
        side.strategy_id,
        side.realm_id,
        side.realm_key,
        side.grain,
        side.begins,
        side.runs,
        side.exact,
        side.extremes,
        side.rounded,
        side.points_error,
        list.names
    from side
    left join list
        on list.is_made
        and list.strategy_id = side.strategy_id
        and list.realm_key = side.realm_key
        and list.grain = side.grain
        and list.begins = side.begins
    where side.is_made
),
kept as (
    select
        side.strategy_id,
        side.realm_id,
        side.realm_key,
        side.grain,
        side.begins,
        side.runs,
        side.exact,
        side.extremes,
        side.rounded,
        list.names
    from side
    left join list
        on not list.is_made
        and list.strategy_id = side.strategy_id
        and list.realm_key = side.realm_key
        and list.grain = side.grain
        and list.begins = side.begins
    where not side.is_made
)
select
    coalesce(made.strategy_id, kept.strategy_id) as strategy_id,
    coalesce(made.realm_id, kept.realm_id) as realm_id,
    coalesce(made.grain, kept.grain) as grain,
    coalesce(made.begins, kept.begins) as begins,
    coalesce(kept.runs, 0)::bigint as kept,
    coalesce(made.runs, 0)::bigint as counted
from made
full join kept
    on kept.strategy_id = made.strategy_id
    and kept.realm_key = made.realm_key
    and kept.grain = made.grain
    and kept.begins = made.begins
where kept.exact <> made.exact
    or (kept.exact is null) <> (made.exact is null)
    or kept.extremes <> made.extremes
    or kept.names <> made.names
    or (kept.names is null) <> (made.names is null)
    or abs(kept.rounded[1] - made.rounded[1]) > 1e-9 * greatest(made.rounded[1], 1e-290)
    or abs(kept.rounded[2] - made.rounded[2]) > 1e-9 * greatest(made.rounded[2], 1e-290)
    or abs(kept.rounded[3] - made.rounded[3]) > 1e-9 * greatest(made.rounded[3], 1e-290)
    or abs(kept.rounded[4] - made.rounded[4]) > 1e-9 * greatest(made.rounded[4], 1e-290)
    or abs(kept.rounded[5] - made.rounded[5]) > made.points_error
    or abs(kept.rounded[6] - made.rounded[6]) > made.points_error
order by begins desc, grain, strategy_id, realm_id
limit 1000
