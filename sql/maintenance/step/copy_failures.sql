-- Copies the failures of a partition that is to lose all its other rows.
--
-- Failures are copied into a table that takes its place: deleting the other rows would read and write all of
-- it. The copy is made while others store; then the log is locked, and failures that came late meanwhile
-- follow. (Never lock a partition before the log: a COPY locks them in the other order.)

create table execlog.:"thinned" (
    like execlog.strategy_execution_log including all,
    constraint within_partition check (created_at is not null and created_at >= :'begins' and created_at < :'ends')
) with (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

alter table execlog.:"thinned" replica identity full;

alter table execlog.:"thinned" owner to :"owner";

insert into execlog.:"thinned" (:columns)
select :columns
from execlog.:"partition"
where status is distinct from 'ok';
