-- Which migrations does this database have?
-- Columns: name text, checksum text
-- Index: none
select
    name,
    checksum
from execlog.schema_migration
order by name
