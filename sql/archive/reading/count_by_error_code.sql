-- How often each error code is in files.
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
-- Columns: code text, count bigint
-- Index: none
select
    error_code as code,
    count(*) as count
:runs
    and error_code is not null
group by error_code
order by error_code
