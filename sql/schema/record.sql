-- Records that this migration is applied.
-- $1 name text
-- $2 checksum text
-- Columns: none
-- Index: none
insert into execlog.schema_migration (name, checksum)
values ($1::text, $2::text)
