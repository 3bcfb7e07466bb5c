-- Leaves of a partition its failures only.
--
-- They are copied into a table that takes its place: to delete the others would read and write all of
-- it. Late rows for its time wait until it is done; the log itself is locked for the exchange alone.
set local lock_timeout = :'lock_timeout';

lock table execlog.:"partition" in share row exclusive mode;

create table execlog.:"thinned" (
    like execlog.strategy_execution_log including all,
    constraint within_partition check (created_at is not null and created_at >= :'begins' and created_at < :'ends')
) with (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

insert into execlog.:"thinned"
select *
from execlog.:"partition"
where status is distinct from 'ok';

alter table execlog.strategy_execution_log detach partition execlog.:"partition";

alter table execlog.strategy_execution_log
    attach partition execlog.:"thinned" for values from (:'begins') to (:'ends');

drop table execlog.:"partition";

alter table execlog.:"thinned" drop constraint within_partition;

alter table execlog.:"thinned" rename to :"partition";

comment on table execlog.:"partition" is 'Failures only.';
