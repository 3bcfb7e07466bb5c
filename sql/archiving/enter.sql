-- Enters a file: from here on it is trusted. The log still holds its rows.
-- $1 day date
-- $2 part integer
-- $3 path text
-- $4 begins timestamptz
-- $5 ends timestamptz
-- $6 rows bigint
-- $7 ok_rows bigint
-- $8 bytes bigint
-- $9 sha256 bytea
-- $10 first_at timestamptz
-- $11 last_at timestamptz
-- $12 users bytea
-- Columns: none
-- Index: archived_file_pkey
insert into execlog.archived_file (
    day, part, path, begins, ends, rows, ok_rows, bytes, sha256, first_at, last_at, users, in_log
)
values (
    $1::date,
    $2::integer,
    $3::text,
    $4::timestamptz,
    $5::timestamptz,
    $6::bigint,
    $7::bigint,
    $8::bigint,
    $9::bytea,
    $10::timestamptz,
    $11::timestamptz,
    $12::bytea,
    tstzmultirange(tstzrange($4::timestamptz, $5::timestamptz))
)
