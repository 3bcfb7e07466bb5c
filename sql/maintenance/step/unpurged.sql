-- Rows that the snapshot of the archive saw, and that were changed since, are left: files have them as they were.
do $$
begin
    if exists (
        select 1
        from execlog.strategy_execution_log_default
        where strategy_id is distinct from ''
            and created_at > '-infinity'
            and created_at < :'ends'
            and (
                coalesce(stored_xid < (:'xmin')::xid8, true)
                or pg_visible_in_snapshot(stored_xid, (:'snapshot')::pg_snapshot)
            )
            and age(xmin) between -10000000 and age((:'xmin')::xid8::xid)
            and xmin::text <> all ((:'seen')::text[])
    ) then
        raise lock_not_available using message = 'rows were changed meanwhile';
    end if;
end
$$;
