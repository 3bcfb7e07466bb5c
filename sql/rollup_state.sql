-- What do the rollups hold, and what do the rows?
-- Columns: enabled boolean, complete_from timestamptz, rows_from timestamptz, minutes_from timestamptz, hours_from timestamptz, missing boolean
-- Index: none
--
-- One row. -infinity: from the first run on; infinity: of none. If the table's row is missing, for example
-- after a restore of the schema alone, nothing is known of the rollups and all is read from rows.
select
    coalesce(state.enabled, false) as enabled,
    coalesce(state.complete_from, 'infinity') as complete_from,
    coalesce(state.rows_from, '-infinity') as rows_from,
    coalesce(state.minutes_from, '-infinity') as minutes_from,
    coalesce(state.hours_from, '-infinity') as hours_from,
    state.enabled is null as missing
from (values (true)) as answer (only_row)
left join execlog.rollup_state as state on state.only_row operator(pg_catalog.=) answer.only_row
