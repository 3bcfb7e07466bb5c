-- Who maintains the log, when was that last completed, and what was left in DEFAULT?
-- Columns: maintained_at timestamptz?, maintained_by text?, tracked_since timestamptz?, left_in_default bigint
-- Index: none
--
-- One row. If the table's row is missing, for example after a restore of the schema alone, the times are NULL.
select
    state.maintained_at,
    case when state.held_until > statement_timestamp() then state.holder end as maintained_by,
    state.tracked_since,
    coalesce(state.left_in_default, 0) as left_in_default
from (values (true)) as answer (only_row)
left join execlog.maintenance as state on state.only_row = answer.only_row
