-- What is committed now, and how many rows of these times seem to have come later: those of a restored backup.
select
    pg_current_snapshot()::text as snapshot,
    pg_snapshot_xmin(pg_current_snapshot())::text as xmin,
    (
        select count(*)
        from execlog.:"partition"
        where created_at >= :'begins'
            and created_at < :'ends'
            and stored_xid >= pg_snapshot_xmin(pg_current_snapshot())
            and not pg_visible_in_snapshot(stored_xid, pg_current_snapshot())
    ) as later
