-- The cards of two strategies over the same window.
-- $1 a text
-- $2 b text
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- $5 realm_ids text[]?
-- switch percentiles
-- Columns: place integer, ok bigint, error bigint, timeout bigint, limit bigint, other bigint, ok_weight double precision, failed_weight double precision, weight double precision, duration_sum_ms double precision, duration_min_ms double precision, duration_max_ms double precision, p50_ms double precision?, p95_ms double precision?, p99_ms double precision?, durations text?, durations_above text, bars text?, points_sum double precision, points_weighed double precision, points_min double precision?, points_step double precision?, points_max double precision?, points_at_least text, points_runs bigint, points text?, points_below text?, nodes_avg double precision, nodes_max integer, top_errors text, top_cases text, rows_from timestamptz?
-- Index: strategy_execution_log_newest
--
-- Each card is a statement of its own, so that a cluster sends it to the machine that has its strategy.
select
    1 as place,
    card.*
from (
    :metrics($1, $3, $4, $5)
) as card
union all
select
    2 as place,
    card.*
from (
    :metrics($2, $3, $4, $5)
) as card
order by place
