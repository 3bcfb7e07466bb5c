-- Rows that were changed since the snapshot of the archive are in files as they were. All are looked at, while others
-- store: their versions tell, since an update leaves stored_xid as it was. An age is of this transaction; later ones have ages below 0. (A version
-- that was frozen 4 billion transactions ago may look new: then the next run removes it.)
do $$
begin
    if exists (
        select 1
        from execlog.:"partition"
        where age(xmin) between -10000000 and age((:'xmin')::xid8::xid)
            and not pg_visible_in_snapshot(
                ((:'xmin')::bigint + age((:'xmin')::xid8::xid) - age(xmin))::text::xid8,
                (:'snapshot')::pg_snapshot
            )
    ) then
        raise lock_not_available using message = 'rows were changed meanwhile';
    end if;
end
$$;
