-- How often each case fired in runs of files; NULL: no rule matched.
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
-- Columns: case_name text?, count bigint
-- Index: none
select
    case_name,
    count(*) as count
:runs
group by case_name
order by case_name nulls last
