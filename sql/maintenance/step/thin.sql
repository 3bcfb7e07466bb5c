-- Puts the copies of its failures in the place of a partition; the log is locked.
--
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
