-- Removes a partition with all its rows, in milliseconds; the log is locked.
--
-- While there is a DEFAULT partition, Postgres can't detach another one concurrently: for a moment the log is
-- locked. Detaching comes first and fails if the table is no partition any more: then it is not ours.

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

drop table execlog.:"partition";

delete from execlog.rollup_partition
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
