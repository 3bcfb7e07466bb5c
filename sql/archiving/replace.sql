-- Enters a file in the place of another one that holds the same rows as they were.
-- $1 day date
-- $2 part integer
-- $3 new_part integer
-- $4 path text
-- $5 bytes bigint
-- $6 sha256 bytea
-- $7 ok_rows bigint
-- $8 users bytea
-- Columns: none
-- Index: archived_file_pkey
with gone as (
    delete from execlog.archived_file
    where day = $1::date
        and part = $2::integer
    returning *
)
insert into execlog.archived_file (
    day, part, path, begins, ends, rows, ok_rows, bytes, sha256, first_at, last_at, users, in_log, failures_in_log
)
select
    day,
    $3::integer,
    $4::text,
    begins,
    ends,
    rows,
    $7::bigint,
    $5::bigint,
    $6::bytea,
    first_at,
    last_at,
    $8::bytea,
    in_log,
    failures_in_log
from gone
