-- The newest runs of files that pass the filters, a page at a time.
-- $1 paths text[]
-- $2 span_paths text[]?
-- $3 span_begins bigint[]?
-- $4 span_ends bigint[]?
-- $5 span_whole boolean[]?
-- $6 strategy_id text?
-- $7 strategy_ids text[]?
-- $8 since timestamptz?
-- $9 until timestamptz?
-- $10 before_created_at timestamptz?
-- $11 before_id uuid?
-- $12 before_strategy_id text?
-- $13 limit bigint
-- $14 and on: filters
-- switch bare
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: none
--
-- Of one strategy the cursor has that one: its runs differ in time or id.
select
    :columns
:runs
    and created_at <= $10::timestamptz and (created_at, id, strategy_id) < ($10::timestamptz, $11::uuid, $12::text)  -- if before_created_at, before_id, before_strategy_id
order by stored.created_at desc, id desc, strategy_id desc
limit $13::bigint
