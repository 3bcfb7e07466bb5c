-- May this batch be stored, or was it stored by an earlier try whose answer got lost?
-- One row says that it may; it is part of the transaction that stores the rows. No row says that it
-- was stored. Where an earlier try is still under way, this waits for its end.
-- The limits hold until the end of the transaction, and they bound that wait too: the server must
-- not go on with what its client has given up, nor hold a batch for one that is gone. They are set
-- here and not on the connection, because a pooler hands that to others.
-- $1 recorder_id uuid
-- $2 batch bigint
-- $3 timeout text
-- Columns: batch bigint
-- Index: recorder_progress_pkey
with limits as materialized (
    select
        set_config('lock_timeout', $3::text, true),
        set_config('statement_timeout', $3::text, true),
        set_config('idle_in_transaction_session_timeout', $3::text, true),
        set_config('tcp_keepalives_idle', '10', true),
        set_config('tcp_keepalives_interval', '5', true),
        set_config('tcp_keepalives_count', '3', true)
)
insert into execlog.recorder_progress as progress (recorder_id, batch)
select $1::uuid, $2::bigint
from limits
on conflict (recorder_id) do update
set
    batch = excluded.batch,
    stored_at = excluded.stored_at
where progress.batch < excluded.batch
returning progress.batch
