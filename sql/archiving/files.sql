-- Which files are there of these times, and which of them may hold runs of a user?
-- $1 since timestamptz? always
-- $2 until timestamptz? always
-- $3 external_user_id text? always
-- Columns: day date, part integer, path text, rows bigint, ok_rows bigint, bytes bigint, sha256 text, first_at timestamptz, last_at timestamptz, rows_in_log boolean, failures_in_log boolean, written_at timestamptz, may_hold boolean
-- Index: none
--
-- A hundred thousand are 270 years of days.
select
    day,
    part,
    path,
    rows,
    ok_rows,
    bytes,
    encode(sha256, 'hex') as sha256,
    first_at,
    last_at,
    in_log @> tstzrange(first_at, last_at, '[]') as rows_in_log,
    failures_in_log && tstzrange(first_at, last_at, '[]') as failures_in_log,
    written_at,
    $3::text is null or execlog.may_hold(users, sha256(convert_to($3::text, 'UTF8'))) as may_hold
from execlog.archived_file
where last_at >= coalesce($1::timestamptz, '-infinity')
    and first_at <= coalesce($2::timestamptz, 'infinity')
order by day, part
limit 100000
