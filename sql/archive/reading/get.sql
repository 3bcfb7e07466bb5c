-- One run of files whole, by its id.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 id uuid
-- $11 and on: filters
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: none
select
    :columns(not bare)
:runs
    and id = $10::uuid
order by stored.created_at desc, strategy_id
limit 1
