-- How many runs of files pass the filters, up to a limit.
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
-- Columns: count bigint
-- Index: none
select count(*) as count
from (
    select true as passes
    :runs
    limit $10::bigint
) as found
