-- Makes a partition, and moves into it the rows of its time in DEFAULT.
--
-- It is made as a table of its own, and gets the rows of DEFAULT while others store. Then the log is locked,
-- the few rows that came meanwhile follow, and it is attached. The lock must be the log's: a COPY that waits
-- for DEFAULT alone has chosen its partition already, and would be refused. ATTACH scans all of DEFAULT, but
-- not the new table, whose constraint proves its bounds.

-- Autovacuum is cancelled after a second, during which nothing else waits.
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

-- What the rollups hold of the rows that are moved stays right: no mark is made of them.
set local citus.propagate_set_commands = 'local';
set local strategy_execution_log.marked = 'no';

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

-- From here on all other sessions wait: at most the limit for this lock, and then that for the rest.
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

insert into execlog.rollup_partition (id, name, file, watch, begins, ends)
select
    id,
    name,
    file,
    watch,
    :'begins',
    :'ends'
from execlog.rollup_watched()
where name = :'partition';
