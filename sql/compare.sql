-- The cards of two strategies over the same window.
-- $1 a text
-- $2 b text
-- $3 since timestamptz? always
-- $4 until timestamptz? always
-- $5 realm_ids text[]?
-- $6 strategy_versions integer[]?
-- switch sampled
-- Columns: place integer, :metrics
-- Index: strategy_execution_log_newest
--
-- Each card is a subquery of its own, so that a cluster sends it to the machine that has its strategy.
select
    1 as place,
    card.*
from (
    :metrics($1, $3, $4, $5, $6)
) as card
union all
select
    2 as place,
    card.*
from (
    :metrics($2, $3, $4, $5, $6)
) as card
order by place
