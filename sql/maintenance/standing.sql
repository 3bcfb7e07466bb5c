-- The state of the maintenance: who does it now, and when was it last completed?
-- $1 token uuid
-- Columns: is_ours boolean, holder text?, held_since timestamptz?, maintained_at timestamptz?, tracked_since timestamptz
-- Index: none
--
-- One row; none if it is missing and the lease was not taken since.
select
    coalesce(token = $1::uuid, false) as is_ours,
    holder,
    held_since,
    maintained_at,
    tracked_since
from execlog.maintenance
