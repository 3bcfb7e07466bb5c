-- Count, duration, nodes and points of runs of files; NULL if there is none.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 and on: filters
-- Columns: count bigint, duration_min_ms double precision?, duration_max_ms double precision?, duration_sum_ms double precision?, nodes_sum bigint?, nodes_max integer?, points_sum double precision?
-- Index: none
select
    count(*) as count,
    min(duration_ms) as duration_min_ms,
    max(duration_ms) as duration_max_ms,
    sum(duration_ms) as duration_sum_ms,
    sum(nodes_executed)::bigint as nodes_sum,
    max(nodes_executed) as nodes_max,
    sum(points) as points_sum
:runs
