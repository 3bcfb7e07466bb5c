-- Notes where old rows go.
-- $1 folder text
-- $2 host text
-- Columns: none
-- Index: archive_pkey
insert into execlog.archive (folder, host)
values ($1::text, $2::text)
on conflict (only_row) do update
set
    folder = excluded.folder,
    host = excluded.host
