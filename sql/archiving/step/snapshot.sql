-- What is committed now, how many rows of these times seem to have come later (those of a restored backup), and which
-- transactions that are new have made versions of rows: a snapshot does not list those within others.
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
    ) as later,
    (
        select coalesce(array_agg(distinct xmin::text), '{}')::text
        from execlog.:"partition"
        where age(xmin) between -10000000 and age(pg_snapshot_xmin(pg_current_snapshot())::xid)
    ) as seen
