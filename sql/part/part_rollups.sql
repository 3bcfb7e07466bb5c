-- What the rollups of each `part` of a window say of each strategy: those that no mark names, all at once, and each of the
-- `marked` ones in parts of its own. Each part is a range of an index.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 strategy_versions integer[]?
select
    part.number,
    kept.*
from part
cross join lateral (
    select
        strategy_id,
        sum(ok + error + timeout + "limit" + other) as runs,
        sum(error + timeout + "limit" + other) as failures,
        sum(failed_weight) as failed_weight,
        sum(ok_weight + other_weight) as other_weight,
        sum(duration_weighed_ms) as duration_ms,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(durations) as durations,
        max(last_run) as last_run
    from execlog.rollup
    where strategy_id not in (select strategy_id from marked)
        and grain = part.grain
        and begins >= part.begins
        and begins <= part.ends
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and strategy_version = any($3::integer[])  -- if strategy_versions
    group by strategy_id
) as kept
where part.grain is not null
    and part.strategy_id is null
union all
select
    part.number,
    kept.*
from part
cross join lateral (
    select
        strategy_id,
        sum(ok + error + timeout + "limit" + other) as runs,
        sum(error + timeout + "limit" + other) as failures,
        sum(failed_weight) as failed_weight,
        sum(ok_weight + other_weight) as other_weight,
        sum(duration_weighed_ms) as duration_ms,
        min(duration_min_ms) as duration_min_ms,
        max(duration_max_ms) as duration_max_ms,
        sum(durations) as durations,
        max(last_run) as last_run
    from execlog.rollup
    where strategy_id = part.strategy_id
        and grain = part.grain
        and begins >= part.begins
        and begins <= part.ends
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and strategy_version = any($3::integer[])  -- if strategy_versions
    group by strategy_id
) as kept
where part.grain is not null
    and part.strategy_id is not null
