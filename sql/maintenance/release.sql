-- Gives the lease back, and records how the run ended.
-- $1 token uuid
-- $2 completed_at timestamptz? always
-- $3 left_in_default bigint? always
-- Columns: maintained_at timestamptz?
-- Index: none
update execlog.maintenance
set
    holder = null,
    token = null,
    held_since = null,
    held_until = null,
    maintained_at = coalesce($2::timestamptz, maintained_at),
    left_in_default = coalesce($3::bigint, left_in_default)
where token = $1::uuid
returning maintained_at
