-- Rows are added to the rollups from now on. What a log holds already is not in them.
--
-- Rows of a migration that are missing are put back: of the state, as of rollups that were off, and slots.
alter table execlog.strategy_execution_log enable trigger roll_up;

insert into execlog.rollup_state (enabled, complete_from)
values (false, 'infinity')
on conflict do nothing;

insert into execlog.rollup_slot (slot)
select slot
from generate_series(0, 63) as slot
on conflict do nothing;

delete from execlog.rollup
where exists (select from execlog.rollup_state where not enabled and rows_from = '-infinity')
    and not exists (select from execlog.strategy_execution_log);

delete from execlog.rollup_name
where exists (select from execlog.rollup_state where not enabled and rows_from = '-infinity')
    and not exists (select from execlog.strategy_execution_log);

update execlog.rollup_state
set
    enabled = true,
    complete_from = case
        when enabled then complete_from
        when exists (select from execlog.strategy_execution_log) or rows_from > '-infinity' then 'infinity'
        else '-infinity'
    end;
