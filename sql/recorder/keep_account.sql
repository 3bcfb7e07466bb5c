-- What is the recorder's account? It is sent by itself if no batch went for a minute, and at the end.
-- It waits so long at most for another session's lock, and for an earlier one that a lost connection left behind.
-- $1 account_id uuid
-- $2 account text
-- $3 patience text
-- Columns: kept boolean
-- Index: none
with limits as materialized (
    select pg_catalog.set_config('lock_timeout', $3::text, true)
)
select execlog.keep_account($1::uuid, $2::text::jsonb) as kept
from limits
