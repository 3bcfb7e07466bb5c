-- What follows the columns that are wanted: the rollups of a strategy in a `part` of a window, a range of the index.
-- $1 strategy_id text
-- $2 realm_ids text[]?
-- $3 strategy_versions integer[]?
from execlog.rollup
where strategy_id = $1::text
    and grain = part.grain
    and begins >= part.begins
    and begins <= part.ends
    and realm_id = any($2::text[])  -- if realm_ids
    and strategy_version = any($3::integer[])  -- if strategy_versions
offset 0
