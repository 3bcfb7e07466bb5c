-- The rollups of each `part` of a window that a breakdown adds up, with the value of their group: those of strategies that
-- no mark names or, with of_marked, those of each `marked` strategy in parts of its own. Each part is a range of an index.
-- $1 realm_ids text[]?
-- $2 strategy_ids text[]?
-- $3 strategy_versions integer[]?
-- switch by_realm_id | by_strategy_version
-- switch details
-- switch of_marked
select
    kept.*,
    part.grain
from part
cross join lateral (
    select
        :group_columns
    from execlog.rollup
    where true
        and strategy_id not in (select strategy_id from marked)  -- if not of_marked
        and strategy_id = part.strategy_id  -- if of_marked
        and grain = part.grain
        and begins >= part.begins
        and begins <= part.ends
        and realm_id = any($1::text[])  -- if realm_ids
        and strategy_id = any($2::text[])  -- if strategy_ids
        and strategy_version = any($3::integer[])  -- if strategy_versions
    offset 0
) as kept
where part.grain is not null
    and part.strategy_id is null  -- if not of_marked
    and part.strategy_id is not null  -- if of_marked
