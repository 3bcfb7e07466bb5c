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
        :rollup_sums
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
        :rollup_sums
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
