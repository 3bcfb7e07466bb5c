-- Makes a partition, and moves into it what DEFAULT holds of its time.
--
-- It is made as a table of its own and then attached, which stops no COPY, where CREATE TABLE ...
-- PARTITION OF waits for all of them. What DEFAULT holds is moved while others store; then DEFAULT is
-- locked, and the little that came meanwhile follows. The server looks through all of DEFAULT as it
-- attaches; through the new table it need not, for its constraint says the same.
set local lock_timeout = :'lock_timeout';

lock table only execlog.strategy_execution_log in share update exclusive mode;

create table execlog.:"partition" (
    like execlog.strategy_execution_log including all,
    constraint within_partition check (created_at is not null and created_at >= :'begins' and created_at < :'ends')
) with (
    -- Index-only scans need VACUUM's marks on pages that are only ever inserted into.
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

with moved as (
    delete from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= :'begins'
        and created_at < :'ends'
    returning *
)
insert into execlog.:"partition"
select *
from moved;

lock table execlog.strategy_execution_log_default in access exclusive mode;

with moved as (
    delete from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= :'begins'
        and created_at < :'ends'
    returning *
)
insert into execlog.:"partition"
select *
from moved;

alter table execlog.strategy_execution_log
    attach partition execlog.:"partition" for values from (:'begins') to (:'ends');

alter table execlog.:"partition" drop constraint within_partition;
