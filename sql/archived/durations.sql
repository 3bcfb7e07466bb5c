-- The durations of the runs that pass the filters, and the weight and the number of runs of each; up to a limit.
-- $1 strategy_id text?
-- $2 strategy_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 limit bigint
-- $6 and on: filters
-- switch of_all
-- switch failed_of_all
-- Columns: duration_ms double precision, weight double precision, runs bigint
-- Index: strategy_execution_log_newest
select
    duration_ms,
    sum(:weight) as weight,
    count(*) as runs
:filtered
group by duration_ms
limit $5::bigint
