-- The newest executions of one strategy that a number of its card counts, a page at a time.
-- $1 strategy_id text
-- $2 realm_ids text[]?
-- $3 since timestamptz?
-- $4 until timestamptz?
-- $5 status text?
-- $6 error_code text?
-- $7 case_name text?
-- $8 min_duration_ms double precision?
-- $9 max_duration_ms double precision?
-- $10 above_duration_ms double precision?
-- $11 min_points double precision?
-- $12 max_points double precision?
-- $13 below_points double precision?
-- $14 before_created_at timestamptz?
-- $15 before_id uuid?
-- $16 before_undated_id uuid?
-- $17 limit bigint
-- switch failed
-- switch errors
-- switch other
-- switch undated_follow
-- switch bare
-- switch no_input
-- Columns: StrategyExecutionLog
-- Index: strategy_execution_log_newest, strategy_execution_log_failures, strategy_execution_log_id
--
-- The page is found in the index alone, which holds every filtered column but the realm, and only its rows
-- are fetched, by their ids: rows that are skipped need no look into the table. OFFSET 0 keeps the planner
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
    limit $17::bigint
) as page (finished_at, key)
cross join lateral (
    select
        :columns(stored)
    from execlog.strategy_execution_log as stored
    where stored.strategy_id = $1::text
        and stored.id = page.key
        and stored.created_at = page.finished_at
                -- The window again, so that the planner prunes partitions.
        and stored.created_at >= $3::timestamptz  -- if since
        and stored.created_at <= $4::timestamptz  -- if until
        and stored.created_at <= $14::timestamptz  -- if before_created_at
    union all  -- if not since, not until
    select  -- if not since, not until
        :columns(stored)  -- if not since, not until
    from execlog.strategy_execution_log as stored  -- if not since, not until
    where stored.strategy_id = $1::text and stored.id = page.key  -- if not since, not until
        and stored.created_at is null and page.finished_at is null  -- if not since, not until
    offset 0
) as execution
order by page.finished_at desc nulls last, page.key desc
