-- Count, duration, nodes and points of a window in one row; zeros if it holds no row.
-- $1 strategy_id text
-- $2 since timestamptz?
-- $3 until timestamptz?
-- Columns: DurationAndNodesSummary
-- Index: strategy_execution_log_newest
--
-- sum/count, not avg(): avg of double precision also computes the sum of squares, which costs time
-- and overflows on a single absurd value; avg of integer computes in numeric.
-- Values below 1e-290 count as 0: their quotient may underflow, which the server raises as an error
-- (22003).
select
    count(*) as count,
    case when sum(duration_ms) > 1e-290 then sum(duration_ms) / count(*) else 0 end as duration_avg_ms,
    coalesce(min(duration_ms), 0) as duration_min_ms,
    coalesce(max(duration_ms), 0) as duration_max_ms,
    coalesce(sum(duration_ms), 0) as duration_sum_ms,
    coalesce(sum(nodes_executed)::double precision / count(*), 0) as nodes_avg,
    coalesce(max(nodes_executed), 0) as nodes_max,
    coalesce(sum(points), 0) as points_sum
from execlog.strategy_execution_log
where strategy_id = $1::text
    and created_at >= $2::timestamptz  -- if since
    and created_at <= $3::timestamptz  -- if until
