-- Rollups are not made any more, and all is read from rows.
insert into execlog.rollup_state (enabled)
values (false)
on conflict do nothing;

update execlog.rollup_state
set enabled = false, complete_until = rows_from;

alter table execlog.strategy_execution_log disable trigger mark_late;

alter table execlog.strategy_execution_log disable trigger mark_changed;

alter table execlog.strategy_execution_log disable trigger mark_removed;
