-- What do the rollups hold, and what do the rows?
-- Columns: enabled boolean, complete_from timestamptz, rows_from timestamptz, minutes_from timestamptz, hours_from timestamptz
-- Index: none
--
-- One row. -infinity: from the first run on; infinity: of none.
select
    enabled,
    complete_from,
    rows_from,
    minutes_from,
    hours_from
from execlog.rollup_state
