-- The cards of two slices of the log, each of a strategy and a window, and their sums by whole blocks of time.
-- $1 a text
-- $2 since timestamptz? always
-- $3 until timestamptz? always
-- $4 realm_ids text[]?
-- $5 strategy_versions integer[]?
-- $6 b text
-- $7 since_b timestamptz? always
-- $8 until_b timestamptz? always
-- $9 realm_ids_b text[]?
-- $10 strategy_versions_b integer[]?
-- switch sampled
-- Columns: place integer, :metrics, blocks text?
-- Index: strategy_execution_log_newest
--
-- Each slice is a subquery of its own: the planner knows its window and its strategy.
select
    1 as place,
    card.*,
    block.blocks
from (
    :metrics($1, $2, $3, $4, $5)
) as card
cross join (
    :block_sums($1, $2, $3, $4, $5)
) as block
union all
select
    2 as place,
    card.*,
    block.blocks
from (
    :metrics($6, $7, $8, $9, $10)
) as card
cross join (
    :block_sums($6, $7, $8, $9, $10)
) as block
order by place
