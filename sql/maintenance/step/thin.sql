-- Removes all rows of a partition but its failures.
--
-- Failures are copied into a table that takes its place: deleting the other rows would read and write all of
-- it. The copy is made while others store; then the log is locked, and failures that came late meanwhile
-- follow. (Never lock a partition before the log: a COPY locks them in the other order.)

-- On a cluster of Citus; elsewhere it means nothing. What one connection has changed another can't read.
set local citus.multi_shard_modify_mode = 'sequential';

-- Autovacuum is cancelled after a second, during which nothing else waits.
lock table execlog.:"partition" in share update exclusive mode;
lock table execlog.strategy_execution_log_default in share update exclusive mode;

set local lock_timeout = :'lock_timeout';

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

-- From here on all other sessions wait: at most the limit for this lock, and then that for the rest.
lock table only execlog.strategy_execution_log in access exclusive mode;

set local statement_timeout = :'lock_timeout';

-- A user may have been erased meanwhile, or a row removed: those copies are made again.
with failure as materialized (
    select
        created_at,
        id,
        strategy_id,
        external_user_id,
        notes
    from execlog.:"partition"
    where status is distinct from 'ok'
),
stale as materialized (
    select
        created_at,
        id,
        strategy_id
    from execlog.:"thinned" as copied
    where not exists (
        select 1
        from failure
        where failure.created_at = copied.created_at
            and failure.id = copied.id
            and failure.strategy_id = copied.strategy_id
            and failure.external_user_id is not distinct from copied.external_user_id
            and failure.notes is not distinct from copied.notes
    )
)
delete from execlog.:"thinned"
where (created_at, id, strategy_id) in (
    select
        created_at,
        id,
        strategy_id
    from stale
);

with failure as materialized (
    select
        created_at,
        id,
        strategy_id
    from execlog.:"partition"
    where status is distinct from 'ok'
),
late as materialized (
    select
        created_at,
        id,
        strategy_id
    from failure
    where not exists (
        select 1
        from execlog.:"thinned" as copied
        where copied.status is distinct from 'ok'
            and copied.created_at = failure.created_at
            and copied.id = failure.id
            and copied.strategy_id = failure.strategy_id
    )
)
insert into execlog.:"thinned" (:columns)
select :columns
from execlog.:"partition"
where status is distinct from 'ok'
    and (created_at, id, strategy_id) in (
        select
            created_at,
            id,
            strategy_id
        from late
    );

-- Rows of before that came late up to now are summed up, if they are few.
do $$
declare
    state execlog.rollup_state;
begin
    select * into state from execlog.rollup_state;
    for turn in 1..10 loop
        exit when state.enabled is not true;
        exit when not execlog.roll_up_marked(state.complete_until, greatest(state.rows_from, state.hours_from));
    end loop;
end
$$;

alter table execlog.strategy_execution_log detach partition execlog.:"partition";

alter table execlog.strategy_execution_log
    attach partition execlog.:"thinned" for values from (:'begins') to (:'ends');

drop table execlog.:"partition";

alter table execlog.:"thinned" drop constraint within_partition;

alter table execlog.:"thinned" rename to :"partition";

comment on table execlog.:"partition" is 'Failures only.';

delete from execlog.rollup_partition
where name = :'partition';

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

-- Rows that came late are in no rollup yet.
do $$
begin
    if not execlog.rollup_holds(date_bin('1 hour', :'ends'::timestamptz + interval '1 hour' - interval '1 microsecond', '2000-01-01 00:00:00+00')) then
        raise lock_not_available using message = 'rows were stored meanwhile';
    end if;
end
$$;

-- From here on, rollups hold runs whose rows are gone, in whole hours, and say so.
update execlog.rollup_state
set rows_from = greatest(rows_from, date_bin('1 hour', :'ends'::timestamptz + interval '1 hour' - interval '1 microsecond', '2000-01-01 00:00:00+00'));
