-- Rollups are made from now on, of what the log holds already too.
--
-- What was summed up before they were off is summed up again, but for hours whose rows are gone. If the row of the
-- state is missing, it is put back, as of rollups that were off.
alter table execlog.strategy_execution_log enable always trigger mark_late;

alter table execlog.strategy_execution_log enable always trigger mark_changed;

alter table execlog.strategy_execution_log enable always trigger mark_removed;

insert into execlog.rollup_state (enabled)
values (false)
on conflict do nothing;

delete from execlog.rollup
where exists (
    select
    from execlog.rollup_state as state
    where not state.enabled
        and (rollup.begins >= state.rows_from or rollup.grain = 0)
);

insert into execlog.rollup_mark_of_all (begins, ends)
select
    '-infinity',
    '-infinity'
from execlog.rollup_state
where not enabled
on conflict do nothing;

update execlog.rollup_state
set enabled = true, begun_at = now(), complete_until = rows_from
where not enabled;
