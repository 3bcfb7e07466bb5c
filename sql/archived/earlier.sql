-- Do rollups hold runs of a window that are older than all files: that went before there was an archive?
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- Columns: earlier boolean
-- Index: rollup_key, rollup_time
with oldest as (
    select true as found
    from execlog.rollup
    where grain in (3600, 86400)
        and begins + make_interval(secs => grain) <= (select min(first_at) from execlog.archived_file)
        and begins + make_interval(secs => grain) > coalesce($3::timestamptz, '-infinity')
        and begins <= coalesce($4::timestamptz, 'infinity')
        and strategy_id = $1::text  -- if strategy_id
        and strategy_id = any($2::text[])  -- if strategy_ids
    limit 1
)
select count(*) > 0 as earlier
from oldest
