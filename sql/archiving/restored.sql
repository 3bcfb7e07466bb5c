-- Notes that the log holds all rows of a file again.
-- $1 day date
-- $2 part integer
-- Columns: none
-- Index: archived_file_pkey
update execlog.archived_file
set
    in_log = in_log + tstzmultirange(tstzrange(begins, ends)),
    failures_in_log = failures_in_log - tstzmultirange(tstzrange(begins, ends))
where day = $1::date
    and part = $2::integer
