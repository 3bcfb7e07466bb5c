-- Rows are not added to the rollups any more, and all is read from rows.
alter table execlog.strategy_execution_log disable trigger roll_up;

insert into execlog.rollup_state (enabled, complete_from)
values (false, 'infinity')
on conflict do nothing;

update execlog.rollup_state
set enabled = false, complete_from = 'infinity';
