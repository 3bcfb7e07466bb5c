-- Removes from DEFAULT rows that are too old; with an archive, those that its snapshot saw.
set local lock_timeout = :'lock_timeout';

-- On a cluster of Citus; elsewhere it means nothing. What one connection has changed another can't read.
set local citus.multi_shard_modify_mode = 'sequential';

-- The rollups hold these rows, and go on doing so: no mark is made of them.
set local citus.propagate_set_commands = 'local';
set local strategy_execution_log.marked = 'no';

delete from execlog.strategy_execution_log_default
where strategy_id is distinct from ''
    and created_at > '-infinity'
    and created_at < :'ends'
    and (status = 'ok' or created_at < :'begins')
    and (
        not (:'is_saved')::boolean
        or coalesce(stored_xid < (:'xmin')::xid8, true)
        or pg_visible_in_snapshot(stored_xid, (:'snapshot')::pg_snapshot)
    )
    -- And that were not changed since: see `untouched`.
    and (
        not (:'is_saved')::boolean
        or age(xmin) not between -10000000 and age((:'xmin')::xid8::xid)
        or xmin::text = any ((:'seen')::text[])
    )
    and exists (
        select 1
        from pg_catalog.pg_inherits
        where inhrelid = 'execlog.strategy_execution_log_default'::regclass
    );

-- Rows that came late are in no rollup yet.
do $$
begin
    if not execlog.rollup_holds(:'ends') then
        raise lock_not_available using message = 'rows were stored meanwhile';
    end if;
end
$$;

-- From here on, rollups hold runs whose rows are gone, and say so.
update execlog.rollup_state
set rows_from = greatest(rows_from, :'ends');
