-- The newest executions of one strategy, a page at a time.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- $4 before_created_at timestamptz?
-- $5 before_id uuid?
-- $6 before_undated_id uuid?
-- $7 limit bigint
-- $8 and on: filters
-- switch undated_follow
-- switch bare
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_id
--
-- The page is found in the index alone if that holds all columns that are filtered, and only its rows are
-- fetched, by their ids: rows that are skipped need no look into the table. OFFSET 0 keeps the planner
-- from joining with the whole window in place of one lookup for each row.
-- part/newest.sql says why rows without a time are a list of their own, and why the limit is inside.
select
    :columns
from (
    select *
    from (
        (
            :execution_keys
        )
        union all  -- if undated_follow
        (  -- if undated_follow
            :execution_keys(undated)  -- if undated_follow
        )  -- if undated_follow
    ) as candidate
    order by created_at desc nulls last, id desc
    limit $7::bigint
) as page (finished_at, key)
cross join lateral (
    select
        :columns(stored)
    from execlog.strategy_execution_log as stored
    where stored.strategy_id = $1::text
        and stored.id = page.key
        and stored.created_at = page.finished_at
                -- The window again, so that the planner prunes partitions.
        and stored.created_at >= $2::timestamptz  -- if since
        and stored.created_at <= $3::timestamptz  -- if until
        and stored.created_at <= $4::timestamptz  -- if before_created_at
    union all  -- if not since, not until
    select  -- if not since, not until
        :columns(stored)  -- if not since, not until
    from execlog.strategy_execution_log as stored  -- if not since, not until
    where stored.strategy_id = $1::text and stored.id = page.key  -- if not since, not until
        and stored.created_at is null and page.finished_at is null  -- if not since, not until
    offset 0
) as execution
order by page.finished_at desc nulls last, page.key desc
