-- How often whole points were awarded, in bars of equal width with round edges, twelve at most.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 realm_ids text[]?
-- $5 strategy_versions integer[]?
-- Columns: low double precision, high double precision, count bigint
-- Index: strategy_execution_log_newest
--
-- No bar at all if some points are not whole, or beyond the whole numbers that a double tells apart. The edges are known
-- only after a first pass; a count of each number would take memory that grows with the points.
with run as not materialized (
    select points
    from execlog.strategy_execution_log
    where strategy_id = $1::text
        and created_at >= $2::timestamptz  -- if since
        and created_at <= $3::timestamptz  -- if until
        and realm_id = any($4::text[])  -- if realm_ids
        and strategy_version = any($5::integer[])  -- if strategy_versions
        and points is not null
),
scale as materialized (
    select
        min(points) as least,
        max(points) as most,
        bool_and(points = floor(points) and abs(points) <= 1e15) as is_whole
    from run
),
bar as materialized (
    select
        scale.least,
        scale.most,
        min(unit.size * 10.0::double precision ^ decade.power) as width
    from scale
    cross join generate_series(0, 15) as decade (power)
    cross join unnest('{1,2,5}'::double precision[]) as unit (size)
    where scale.is_whole
        and floor(scale.most / (unit.size * 10.0::double precision ^ decade.power))
            - floor(scale.least / (unit.size * 10.0::double precision ^ decade.power)) < 12
    group by scale.least, scale.most
)
select
    greatest(floor(run.points / bar.width) * bar.width, bar.least) as low,
    least(floor(run.points / bar.width) * bar.width + bar.width - 1, bar.most) as high,
    count(*) as count
from bar
cross join run
group by 1, 2
order by low
limit 12
