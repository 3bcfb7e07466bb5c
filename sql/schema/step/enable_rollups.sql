-- Rows are added to the rollups from now on. What a log holds already is not in them.
--
-- The row of the state is put back where it is missing: as of rollups that were off.
alter table execlog.strategy_execution_log enable trigger roll_up;

insert into execlog.rollup_state (enabled, complete_from)
values (false, 'infinity')
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
