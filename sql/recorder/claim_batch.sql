-- Must this batch be stored (claimed), is it stored already (stored), or has another process this identity (another)?
-- It is part of the transaction that stores the rows. If an earlier try is still under way, this waits for
-- its end.
-- The limits hold until the end of the transaction and bound that wait too: the server must not continue
-- what its client has given up, nor keep a batch for a client that is gone. They are set here and not on
-- the connection, because a pooler hands that to other clients.
-- $1 recorder_id uuid
-- $2 batch bigint
-- $3 token uuid
-- $4 last_token uuid? always
-- $5 timeout text
-- $6 durable boolean
-- Columns: outcome text
-- Index: recorder_progress_pkey
with limits as materialized (
    select
        pg_catalog.set_config('lock_timeout', $5::text, true),
        pg_catalog.set_config('statement_timeout', $5::text, true),
        pg_catalog.set_config('idle_in_transaction_session_timeout', $5::text, true),
        case
            -- Of version 17 and up: the role's own may be shorter.
            when pg_catalog.current_setting('transaction_timeout', true) is not null
            then pg_catalog.set_config('transaction_timeout', '0', true)
        end,
        -- On Citus: one connection to each machine, where each shard would have its own.
        pg_catalog.set_config('citus.multi_shard_modify_mode', 'sequential', true),
        -- The files of the batch's rows go once they are committed.
        case
            when $6::boolean and pg_catalog.current_setting('synchronous_commit') <> 'remote_apply'
            then pg_catalog.set_config('synchronous_commit', 'on', true)
        end,
        pg_catalog.set_config('tcp_keepalives_idle', '10', true),
        pg_catalog.set_config('tcp_keepalives_interval', '5', true),
        pg_catalog.set_config('tcp_keepalives_count', '3', true)
)
select execlog.claim_batch($1::uuid, $2::bigint, $3::uuid, $4::uuid) as outcome
from limits
