-- The runs of files whose ids begin alike, in the order of their ids.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 lowest uuid
-- $11 highest uuid
-- $12 limit bigint
-- $13 and on: filters
-- switch bare
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: none
select
    :columns
:runs
    and id >= $10::uuid
    and id <= $11::uuid
order by id, strategy_id, stored.created_at
limit $12::bigint
