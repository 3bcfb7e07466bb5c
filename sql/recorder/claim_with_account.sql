-- Must this batch be stored (see claim_batch), and what is the recorder's account once it is?
-- The account is kept in the same transaction, and not if another process has this identity: so what it counts
-- as written is written.
-- The log does not wait for its account: a lock on it, such as a backup's, is waited for shortly, and then the
-- batch is sent without. The function takes that lock when it runs, so a limit that is set before applies.
-- The rows wait for theirs as long as ever.
-- $1 recorder_id uuid
-- $2 batch bigint
-- $3 token uuid
-- $4 last_token uuid? always
-- $5 timeout text
-- $6 durable boolean
-- $7 account_id uuid
-- $8 account text
-- Columns: outcome text, kept boolean?
-- Index: none
with claim as materialized (
    :claim_batch($1, $2, $3, $4, $5, $6)
),
hurried as materialized (
    select
        outcome,
        pg_catalog.set_config('lock_timeout', '100ms', true)
    from claim
),
account as materialized (
    select
        outcome,
        case when outcome <> 'another' then execlog.keep_account($7::uuid, $8::text::jsonb) end as kept
    from hurried
),
patient as materialized (
    select
        outcome,
        kept,
        pg_catalog.set_config('lock_timeout', $5::text, true)
    from account
)
select
    outcome,
    kept
from patient
