-- The newest durations or points of runs of files, and the weight of each.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 limit bigint
-- $11 and on: filters
-- switch of_points
-- Columns: duration_ms double precision, points double precision?, weight double precision, created_at bigint, id uuid
-- Index: none
select
    duration_ms,
    points,
    1 / greatest(sample_rate, 1e-9) as weight,
    epoch_us(created_at) as created_at,
    id
:runs
    and points is not null  -- if of_points
order by stored.created_at desc, id desc
limit $10::bigint
