-- How many runs of files ended how.
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
-- Columns: status text, count bigint
-- Index: none
select
    status,
    count(*) as count
:runs
group by status
order by status
