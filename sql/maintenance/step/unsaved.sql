-- Rows that were stored since the snapshot of the archive are in no file yet.
do $$
begin
    if (
        select count(*)
        from execlog.:"partition"
        where stored_xid >= (:'xmin')::xid8
            and not pg_visible_in_snapshot(stored_xid, (:'snapshot')::pg_snapshot)
    ) <> (:'later')::bigint then
        raise lock_not_available using message = 'rows were stored meanwhile';
    end if;
end
$$;
