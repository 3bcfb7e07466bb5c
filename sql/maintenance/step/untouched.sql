-- Rows that were changed since the snapshot of the archive are in files as they were. All are looked at, while others
-- store: their versions tell, since an update leaves stored_xid as it was. An age counts from this transaction back:
-- later ones are below 0. Those that the snapshot saw are listed.
do $$
begin
    if exists (
        select 1
        from execlog.:"partition"
        where age(xmin) between -10000000 and age((:'xmin')::xid8::xid)
            and xmin::text <> all ((:'seen')::text[])
    ) then
        raise lock_not_available using message = 'rows were changed meanwhile';
    end if;
end
$$;
