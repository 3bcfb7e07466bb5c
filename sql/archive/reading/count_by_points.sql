-- How often whole points were awarded by runs of files and others that are given, in bars: as `count_by_points.sql` of the log.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 given_points text
-- $11 and on: filters
-- Columns: low double precision, high double precision, count bigint
-- Index: none
with given as materialized (
    select unnest(from_json($10::text, '["DOUBLE"]')) as points
),
run as not materialized (
    select points
    :runs
        and points is not null
    union all
    select points
    from given
    where points is not null
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
        least,
        most,
        min(size * pow(10.0::double precision, power)) as width
    from scale
    cross join (select unnest(range(0, 16)) as power) as decade
    cross join (select unnest([1, 2, 5]::double precision[]) as size) as unit
    where is_whole
        and floor(most / (size * pow(10.0::double precision, power)))
            - floor(least / (size * pow(10.0::double precision, power))) < 12
    group by least, most
)
select
    greatest(floor(points / width) * width, least) as low,
    least(floor(points / width) * width + width - 1, most) as high,
    count(*) as count
from run
cross join bar
group by 1, 2
order by low
limit 12
