-- The first failed run of files after a given one.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 after_created_at timestamptz
-- $11 after_id uuid
-- $12 and on: filters
-- Columns: StrategyExecutionLog
-- Index: none
select
    :columns(bare)
:runs
    and status <> 'ok'
    and created_at >= $10::timestamptz
    and (created_at, id) > ($10::timestamptz, $11::uuid)
order by stored.created_at, id
limit 1
