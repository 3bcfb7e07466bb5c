-- Makes a partition, and moves into it what DEFAULT holds of its time.
--
-- It is made as a table of its own, and takes what DEFAULT holds while others store. Then the log is
-- locked, the little that came meanwhile follows, and it is attached: the lock must be the log's, since a
-- COPY that waits for DEFAULT alone has chosen its partition already, and would be refused. The server
-- looks through all of DEFAULT as it attaches; through the new table it need not, for its constraint says
-- the same.

-- Autovacuum gives way after a second, in which nobody else has to wait.
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

create table execlog.:"partition" (
    like execlog.strategy_execution_log including all,
    constraint within_partition check (created_at is not null and created_at >= :'begins' and created_at < :'ends')
) with (
    -- Index-only scans need VACUUM's marks on pages that are only ever inserted into.
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.02
);

alter table execlog.:"partition" replica identity full;

alter table execlog.:"partition" owner to :"owner";

with moved as (
    delete from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= :'begins'
        and created_at < :'ends'
        and exists (
            select 1
            from pg_catalog.pg_inherits
            where inhrelid = 'execlog.strategy_execution_log_default'::regclass
        )
    returning :columns
)
insert into execlog.:"partition" (:columns)
select :columns
from moved;

-- From here on everybody waits: no longer than the limit for this lock, and than that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';

with moved as (
    delete from execlog.strategy_execution_log_default
    where strategy_id is distinct from ''
        and created_at >= :'begins'
        and created_at < :'ends'
        and exists (
            select 1
            from pg_catalog.pg_inherits
            where inhrelid = 'execlog.strategy_execution_log_default'::regclass
        )
    returning :columns
)
insert into execlog.:"partition" (:columns)
select :columns
from moved;

alter table execlog.strategy_execution_log
    attach partition execlog.:"partition" for values from (:'begins') to (:'ends');

alter table execlog.:"partition" drop constraint within_partition;
